"""Operations on instances. Source: docs/contracts/core.md sections 1.1 and 5."""

from contextlib import suppress
from http import HTTPStatus

from msgspec import Struct
from msgspec.structs import replace

from shared.api.core import answers
from shared.api.core.authorizer import Authorizer, NamedInstance
from shared.api.core.days import instant_in_strategy, instant_on_instance, required_instant
from shared.api.core.errors import bad_request, not_found, unless_refused
from shared.api.core.instance_filter import InstanceFilter, list_of
from shared.api.core.paging import Paging
from shared.api.core.render import event_shape, instance_shape, open_event_shape, paused_shape, summary_shape
from shared.api.core.render_plan import (
    coming_shape,
    created_shape,
    forecast_shape,
    migration_shape,
    moved_shape,
    preview_shape,
    resumed_shape,
    updated_shape,
)
from shared.api.core.schemas import (
    MAX_STRATEGY_ID,
    AddAnEvent,
    CancelInstance,
    CreateInstance,
    ForecastQuery,
    InstancesQuery,
    MigrateInstance,
    PauseInstance,
    PauseQuery,
    RescheduleEvent,
    ResumeInstance,
    SkipCycles,
    TasksQuery,
    UpdateInstance,
)
from shared.api.http.models import read_as, read_json
from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.api.http.unreadable import UnreadableItems
from shared.application.command_preview import Commanded, command_or_preview
from shared.application.commit import decide_loaded, strategy_of
from shared.application.control import control
from shared.application.list_instances import page_of
from shared.application.migrate import migrate_instance
from shared.application.ports import SavedSettings, UnknownStrategyError, Unreadable
from shared.application.start import StartInstance, preview_start, start_instance
from shared.domain.errors import RitornelloError, StoredShapeError
from shared.domain.ids import event_address
from shared.domain.instance.attributes import merge_attributes
from shared.domain.instance.event import Event, EventKind
from shared.domain.instance.journal import EventHistory
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.phase import Phase
from shared.domain.instance.verdict import Actor, AlreadyThere, Applied
from shared.domain.lifecycle.add_event import added_by
from shared.domain.lifecycle.commands import (
    AddEvent,
    Cancel,
    CancelAt,
    CancelTasks,
    Command,
    Pause,
    Reschedule,
    Resume,
    RevokeCancellation,
    Skip,
    Update,
)
from shared.domain.planning.forecast import ComingRuns, forecast, overdue
from shared.domain.planning.start import attribute_problems
from shared.domain.strategy.model import OnResume, Strategy, StrategyHead

KEY_LENGTH = 32
"""Characters of a hash that are stored with an event: 128 bits in hex."""


class Creation(Struct, frozen=True, kw_only=True):
    """The body of a request to start an instance, and the strategy that it names."""

    body: CreateInstance
    head: StrategyHead


def post_instance(request: Request, body: Creation) -> Answer[answers.CreationShape]:
    """Start an instance of a strategy's latest version, with its first events (I1).

    The answer lists missed dates that still run, and those that do not. With ``dryRun``, nothing is stored.
    """
    sent = body.body
    strategy = _latest(request, body.head)
    new = StartInstance(
        strategy_id=sent.strategyId,
        attributes=sent.attributes,
        description=sent.description,
        start_date=instant_in_strategy(strategy, sent.attributes, sent.startDate, pointer="/startDate"),
        end_date=instant_in_strategy(strategy, sent.attributes, sent.endDate, pointer="/endDate"),
        by=request.principal.name,
        repeatable=request.repeatable(),
        reference=sent.reference,
        missed=None if sent.missed is None else OnResume(sent.missed),
    )
    if sent.dryRun:
        preview = preview_start(request.ports, strategy, new)
        late = overdue(strategy, preview.instance, now=request.ports.clock.now())
        return Answer(body=preview_shape(preview.instance, late, preview.skipped))
    started = start_instance(request.ports, strategy, new)
    instance, now = started.instance, request.ports.clock.now()
    # If the request is sent again, the events may have begun.
    unreadable = UnreadableItems()
    # An instance without a next date has no main event.
    main = _events(request, instance, unreadable, EventKind.MAIN)
    events: answers.FirstEvents = {
        "onCreateEvents": _events(request, instance, unreadable, EventKind.ON_CREATE),
        "leadingUpEvents": _events(request, instance, unreadable, EventKind.LEADING_UP),
    }
    if main:
        events["mainEvent"] = main[0]
    is_new = isinstance(started, Applied)
    skipped = started.skipped if isinstance(started, Applied) else None
    late = overdue(strategy, instance, now=now) if is_new else ()
    shape = created_shape(instance, events, late, skipped, now=now)
    status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    return Answer(body=shape, status=status, headers=unreadable.headers())


def list_instances(request: Request, query: InstancesQuery) -> Answer[answers.InstancePageShape]:
    """List instances: those of one strategy, or of all strategies without their attributes.

    Lists by phase, reason or who stopped them are ordered by reason, those of a folder by strategy, others by age.
    """
    head = None if query.strategyId is None else Authorizer(request).strategy_named(query.strategyId)
    which = list_of(_filter(query, head))
    paging = Paging(request, f"instances {which}", query)
    after = paging.before(str)
    page = page_of(request.ports, request.principal.account_id, which, after=after, limit=query.limit)
    now = request.ports.clock.now()
    # Without a strategy no secret guards the list, so it must not show attributes.
    shapes: list[answers.InstanceSummaryShape] = [
        summary_shape(instance, now=now) if head is None else {**instance_shape(instance, now=now)}
        for instance in page.instances
    ]
    return Answer(body=paging.page_up_to(shapes, page.after, page.unreadable))


def _filter(query: InstancesQuery, head: StrategyHead | None) -> InstanceFilter:
    return InstanceFilter(
        strategy=None if head is None else head.sid,
        folder=query.folder,
        status=None if query.status is None else InstanceStatus(query.status),
        phase=None if query.phase is None else Phase(query.phase),
        reason=query.reason,
        stopped_by=query.stoppedBy,
        created_from=query.createdFrom,
        created_to=query.createdTo,
        reference=query.reference,
        attribute=None if query.attribute is None else next(iter(query.attribute.items())),
    )


def get_instance(request: Request, named: NamedInstance) -> Answer[answers.InstanceShape]:
    """Return an instance (I2)."""
    return Answer(body=_shown(request, named.instance))


def patch_instance(
    request: Request, named: NamedInstance, body: UpdateInstance
) -> Answer[answers.UpdatedShape]:
    """Change description, attributes or end date. The answer lists the planned dates that this moves.

    Events that have begun keep their dates. With ``dryRun``, nothing is stored, and the answer is the same.
    """
    # A day is one of the zone that the attributes of the same request may name.
    changed = replace(named.instance, attributes=merge_attributes(named.instance, body.attributes or {}))
    command = Update(
        by=request.actor,
        description=body.description,
        attributes=body.attributes,
        sets_end_date="endDate" in body.model_fields_set,
        end_date=instant_on_instance(request, changed, body.endDate, pointer="/endDate"),
    )
    if body.dryRun:
        verdict = unless_refused(decide_loaded(request.ports, named.instance, command), "instance")
    else:
        verdict = _execute(request, named, command)
    return Answer(body=updated_shape(verdict, dry_run=body.dryRun, now=request.ports.clock.now()))


def get_forecast(
    request: Request, named: NamedInstance, query: ForecastQuery
) -> Answer[answers.ForecastShape]:
    """Return the coming cycles of an instance as the engine will plan them, the open cycle first."""
    strategy = _strategy_of(request, named.instance)
    foreseen = forecast(strategy, named.instance, cycles=query.cycles, now=request.now)
    return Answer(body=forecast_shape(strategy, foreseen))


def get_tasks(request: Request, named: NamedInstance) -> Answer[answers.EventsShape]:
    """List the unfinished events of an instance (I5)."""
    # The list is the whole answer, so a header names the events that are left out.
    unreadable = UnreadableItems()
    found = _events(request, named.instance, unreadable, *EventKind)
    return Answer(body=found, headers=unreadable.headers())


def cancel_tasks(
    request: Request, named: NamedInstance, query: TasksQuery
) -> Answer[answers.TasksCanceledShape]:
    """Cancel the unfinished events of some tasks; other events continue (I6)."""
    tasks = tuple(filter(None, (key.strip() for key in query.tasks.split(","))))
    verdict = _execute(request, named, CancelTasks(tasks=tasks, by=request.actor))
    shape = _shown(request, verdict.instance)
    return Answer(body={"executionInstance": shape, "numCanceledEvents": _canceled(verdict)})


def post_event(request: Request, named: NamedInstance, body: AddAnEvent) -> Answer[answers.EventShape]:
    """Add an event of any task by hand. It does not move the plan."""
    hashes = _stored_identities(request)
    key, body_hash = hashes[0] if hashes else (None, None)
    command = AddEvent(
        task=body.task,
        by=request.actor,
        date=instant_on_instance(request, named.instance, body.date, pointer="/date"),
        data=body.data,
        onhold=body.manualTrigger,
        key=key,
        body=body_hash,
        others=tuple(hashes[1:]),
    )
    verdict = _execute(request, named, command)
    instance, seq = verdict.instance, added_by(verdict.instance, command)
    shape = event_shape(instance, seq, request.ports.instances.event_history(instance.sid, seq))
    if shape is None:
        raise not_found("event")
    return Answer(body=shape, status=HTTPStatus.CREATED if isinstance(verdict, Applied) else HTTPStatus.OK)


def _stored_identities(request: Request) -> list[tuple[str, str]]:
    """Return the hashes of key and body that may be stored with an event; first those that are stored now."""
    repeatable = request.repeatable()
    if repeatable is None:
        return []
    keys, bodies = request.hasher.hashes(repeatable.key), (repeatable.body_hash, *repeatable.other_hashes)
    # They are stored with the instance, so they are shortened.
    return [(key[:KEY_LENGTH], body[:KEY_LENGTH]) for key, body in zip(keys, bodies, strict=True)]


def pause_instance(
    request: Request, named: NamedInstance, query: PauseQuery, body: PauseInstance
) -> Answer[answers.PausedShape]:
    """Pause an instance: no events start until it is resumed; a step in flight is completed (I4).

    With ``until``, it resumes by itself then. With ``dryRun``, nothing is changed. The settings in the answer are
    without credentials, unless ``include=settings`` is in the query.
    """
    command = Pause(
        by=request.actor,
        sets_until="until" in body.model_fields_set,
        until=instant_on_instance(request, named.instance, body.until, pointer="/until"),
    )
    commanded, coming = _command_or_preview(request, named, command, dry_run=body.dryRun)
    instance = commanded.verdict.instance
    saved: SavedSettings | None = None
    # The instance stays paused if they cannot be read.
    with suppress(RitornelloError, UnknownStrategyError):
        # The instance may be on an older version than the latest one.
        saved = request.ports.strategies.settings(named.head.sid, instance.strategy_version)
    is_complete = query.include is not None
    now = request.ports.clock.now()
    ends = instance.stop is not None and instance.stop.until is not None
    shape = paused_shape(
        instance,
        named.head,
        saved,
        is_complete=is_complete,
        now=now,
        plan=coming_shape(commanded.verdict, coming) if ends else None,
        dry_run=body.dryRun,
    )
    return Answer(body=shape)


def resume_instance(
    request: Request, named: NamedInstance, body: ResumeInstance
) -> Answer[answers.ResumedShape]:
    """Resume an instance. The answer lists what will run, and what will not; with ``dryRun``, nothing is changed."""
    on_late = None if body.onResume is None else OnResume(body.onResume)
    command = Resume(by=request.actor, on_late=on_late)
    commanded, coming = _command_or_preview(request, named, command, dry_run=body.dryRun)
    now = request.ports.clock.now()
    return Answer(body=resumed_shape(commanded, coming, dry_run=body.dryRun, now=now))


def reschedule_event(
    request: Request, named: NamedInstance, body: RescheduleEvent
) -> Answer[answers.MovedShape]:
    """Move the next date of an instance, or one event. The answer lists what will run; ``dryRun`` changes nothing."""
    instance = named.instance
    date = required_instant(request, instance, body.date, pointer="/date")
    seq = None if body.event is None else _seq_on(instance, body.event)
    command = Reschedule(date=date, seq=seq, keep_anchor=body.keepAnchor, by=request.actor)
    return _moved(request, named, command, dry_run=body.dryRun)


def skip_cycles(request: Request, named: NamedInstance, body: SkipCycles) -> Answer[answers.MovedShape]:
    """Skip the next cycles of an instance. The answer lists what will run; ``dryRun`` changes nothing."""
    hashes = _stored_identities(request)
    key, body_hash = hashes[0] if hashes else (None, None)
    command = Skip(cycles=body.cycles, by=request.actor, key=key, body=body_hash, others=tuple(hashes[1:]))
    return _moved(request, named, command, dry_run=body.dryRun)


def _seq_on(instance: Instance, sid: str) -> int:
    """Return the number of an event that a body names, 0 if it is none of the instance."""
    address = event_address(sid)
    return address[1] if address is not None and address[0] == instance.sid else 0


def _moved(
    request: Request, named: NamedInstance, command: Reschedule | Skip, *, dry_run: bool
) -> Answer[answers.MovedShape]:
    commanded, coming = _command_or_preview(request, named, command, dry_run=dry_run)
    now = request.ports.clock.now()
    return Answer(body=moved_shape(commanded, coming, dry_run=dry_run, now=now))


def migrate_an_instance(
    request: Request, named: NamedInstance, body: MigrateInstance
) -> Answer[answers.MigrationShape]:
    """Move an instance to another version of its strategy. The answer lists what will run.

    With ``dryRun``, nothing is changed.
    """
    instance = named.instance
    try:
        migration = migrate_instance(
            request.ports, instance.sid, body.version, by=request.actor, dry_run=body.dryRun, known=instance
        )
    except UnknownStrategyError as error:
        raise not_found("version") from error
    verdict = unless_refused(None if migration is None else migration.verdict, "instance")
    if migration is None:
        raise not_found("instance")
    changes, shape = migration_shape(migration, instance.sid), _shown(request, verdict.instance)
    plan = coming_shape(verdict, migration.coming)
    return Answer(body={**changes, "plan": plan, "executionInstance": shape, "dryRun": body.dryRun})


def cancel_instance(
    request: Request, named: NamedInstance, body: CancelInstance
) -> Answer[answers.CanceledShape]:
    """Cancel an instance: it never runs again, and its on-cancel events are created (I3).

    With ``at``, that happens at a date or at the end of the cycle, and the answer lists what still runs before. With
    ``dryRun``, nothing is changed.
    """
    # The reason in the body takes precedence over the header.
    by = request.actor if body.reason is None else replace(request.actor, reason=body.reason)
    command = _cancel(request, named.instance, body, by)
    commanded, coming = _command_or_preview(request, named, command, dry_run=body.dryRun)
    verdict = unless_refused(commanded.verdict, "instance")
    instance = verdict.instance
    # If the instance was canceled before, the events may have begun.
    unreadable = UnreadableItems()
    created = _events(request, instance, unreadable, EventKind.ON_CANCEL)
    shape: answers.CanceledShape = {
        "executionInstance": _shown(request, instance),
        "createdEvents": {"onCancelEvents": created},
        "numCanceledEvents": _canceled(verdict),
    }
    if body.dryRun or body.at is not None:
        shape["plan"] = coming_shape(verdict, coming)
    if body.dryRun:
        shape["dryRun"] = True
    return Answer(body=shape, headers=unreadable.headers())


def _cancel(request: Request, instance: Instance, body: CancelInstance, by: Actor) -> Cancel | CancelAt:
    if body.at is None:
        return Cancel(by=by)
    day = None if isinstance(body.at, str) else body.at
    return CancelAt(by=by, at=instant_on_instance(request, instance, day, pointer="/at"))


def revoke_cancellation(request: Request, named: NamedInstance) -> Answer[answers.InstanceShape]:
    """Remove the scheduled cancellation of an instance. Nothing else revokes it."""
    verdict = _execute(request, named, RevokeCancellation(by=request.actor))
    return Answer(body=_shown(request, verdict.instance))


def read_creation(request: Request, model: type[CreateInstance]) -> Creation:
    """Return the body with the strategy it names, or raise with its problems and those of its attributes.

    Raises: CoreError: 404 or 403 for the strategy first, then 400.
    """
    value = read_json(request)
    body, problems = read_as(model, value)
    name = value.get("strategyId") if isinstance(value, dict) else None
    # Without a usable name there is no strategy to authorize, so only the body's problems remain.
    if not isinstance(name, str) or (body is None and not 1 <= len(name) <= MAX_STRATEGY_ID):
        raise bad_request(problems)
    head = Authorizer(request).strategy_named(name)
    if body is not None:
        return Creation(body=body, head=head)
    attributes = value.get("attributes")
    if isinstance(attributes, dict):
        problems += attribute_problems(_latest(request, head), attributes)
    raise bad_request(problems)


def _shown(request: Request, instance: Instance) -> answers.InstanceShape:
    return instance_shape(instance, now=request.ports.clock.now())


def _execute(request: Request, named: NamedInstance, command: Command) -> Applied | AlreadyThere:
    verdict = control(request.ports, named.instance.sid, command, known=named.instance)
    return unless_refused(verdict, "instance")


def _command_or_preview(
    request: Request, named: NamedInstance, command: Command, *, dry_run: bool
) -> tuple[Commanded, ComingRuns]:
    """Execute or preview a command that needs the settings. Raises: CoreError: if it was refused."""
    commanded = command_or_preview(
        request.ports, named.instance.sid, command, dry_run=dry_run, known=named.instance
    )
    unless_refused(None if commanded is None else commanded.verdict, "instance")
    if commanded is None:
        raise not_found("instance")
    return commanded, commanded.coming or ComingRuns()


def _events(
    request: Request, instance: Instance, unreadable: UnreadableItems, *kinds: EventKind
) -> answers.EventsShape:
    """Return the unfinished events of these kinds. Those whose journal cannot be read go to ``unreadable``."""
    found = (_open_event(request, instance, event) for event in instance.events if event.kind in kinds)
    return list(unreadable.skip_unreadable(found))


def _open_event(request: Request, instance: Instance, event: Event) -> answers.EventShape | Unreadable[str]:
    # Only an event that has begun has entries in the journal, so others save the read.
    if not event.has_begun:
        return open_event_shape(instance, event, EventHistory())
    try:
        event_history = request.ports.instances.event_history(instance.sid, event.seq)
    except StoredShapeError as error:
        return Unreadable(key=instance.event_sid(event), why=str(error))
    return open_event_shape(instance, event, event_history)


def _canceled(verdict: Applied | AlreadyThere) -> int:
    return verdict.canceled_events if isinstance(verdict, Applied) else 0


def _latest(request: Request, head: StrategyHead) -> Strategy:
    return request.ports.strategies.load(head.sid, head.version)


def _strategy_of(request: Request, instance: Instance) -> Strategy:
    return strategy_of(request.ports, instance, now=request.now)
