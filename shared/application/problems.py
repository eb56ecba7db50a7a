"""List every problem of an account's instances, newest first, with the call that failed.

Source: docs/contracts/core.md section 5 (``GET /problems``).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from shared.application.ports import PageKey, Ports, UnknownStrategyError, Unreadable
from shared.domain.errors import RitornelloError
from shared.domain.ids import AccountId, CorrelationId, InstanceSid, StrategySid, event_sid
from shared.domain.instance.due import GRACE, SHARDS, swept_partition
from shared.domain.instance.event import Event
from shared.domain.instance.model import Instance
from shared.domain.instance.problems import OpenProblem, ProblemKind, late_since, problem_at, problems_of
from shared.domain.instance.replay import position, valid_history
from shared.domain.instance.run import Intent, StepError
from shared.domain.strategy.model import Strategy

MAX_SCANNED = 500
"""How many instances with problems are scanned for one page that filters them."""

LATE = timedelta(minutes=10)
"""An event that has been due for longer is a problem."""

MAX_LATE = 25
"""How many entries of each shard of the due index are looked at for late events that no sweep has reached."""


class ProblemFilter(Struct, frozen=True, kw_only=True):
    """Which problems are listed; None for all. ``error_class`` is that of the failure, for example ``http-402``."""

    kind: ProblemKind | None = None
    strategy: StrategySid | None = None
    error_class: str | None = None


class FailedCall(Struct, frozen=True, kw_only=True):
    """The call at which an attempt failed, or that waits for its answer.

    ``error`` has the status and the body, if the service answered. An answer is sent to ``correlation_id``.
    """

    service: str
    method: str
    step: str
    error: StepError | None = None
    correlation_id: CorrelationId | None = None


class FoundProblem(Struct, frozen=True, kw_only=True):
    """A problem with its instance, and the call that failed or waits, if there is one and its settings can be read."""

    instance: Instance
    problem: OpenProblem
    call: FailedCall | None


class ProblemPage(Struct, frozen=True, kw_only=True):
    """Problems, and the position after which the next page begins, None on the last page.

    ``unreadable`` are instances that have problems, or are late, and cannot be read, and events whose problem is shown
    without its call, because their history cannot be read.
    """

    found: tuple[FoundProblem, ...]
    after: PageKey | None
    unreadable: tuple[Unreadable[str], ...] = ()


def problem_page(
    ports: Ports, account: AccountId, criteria: ProblemFilter, *, before: PageKey | None, limit: int
) -> ProblemPage:
    """Return the problems of the next instances, those of one instance together, until there are ``limit``.

    The first page begins with late events that no sweep has reached. The number of scanned instances is limited, so a
    page may hold fewer problems, or none, and still not be the last.
    """
    # An instance that is late may have problems, too, and is named once.
    unreadable: dict[str, Unreadable[str]] = {}
    found = [] if before is not None else _late_problems(ports, account, criteria, unreadable)
    for _ in range(max(MAX_SCANNED // limit, 1)):
        page_keys = ports.instances.with_problems(account, before=before, limit=limit + 1)
        loaded = _loaded(ports, page_keys[:limit])
        for key in page_keys[:limit]:
            item = loaded.get(InstanceSid(key.sid))
            if isinstance(item, Unreadable):
                unreadable[item.key] = item
            # The index lags: an instance whose newest problem is another one is listed there.
            elif item is not None and problem_at(item) == key.created_at:
                found += _of_instance(ports, item, criteria, unreadable)
            before = key
            if len(found) >= limit:
                break
        is_last = len(page_keys) <= limit and (not page_keys or before == page_keys[-1])
        if len(found) >= limit or is_last:
            return ProblemPage(
                found=tuple(found),
                after=None if is_last else before,
                unreadable=tuple(unreadable.values()),
            )
    return ProblemPage(found=tuple(found), after=before, unreadable=tuple(unreadable.values()))


def _loaded(
    ports: Ports, page_keys: Sequence[PageKey]
) -> dict[InstanceSid, Instance | Unreadable[InstanceSid]]:
    sids = [InstanceSid(key.sid) for key in page_keys]
    found = ports.instances.load_many(sids) if sids else []
    return {item.key if isinstance(item, Unreadable) else item.sid: item for item in found}


def _late_problems(
    ports: Ports,
    account: AccountId,
    criteria: ProblemFilter,
    unreadable: dict[str, Unreadable[str]],
) -> list[FoundProblem]:
    """Return late events that no sweep has reached. Instances that cannot be read are added to ``unreadable``."""
    found: list[FoundProblem] = []
    if criteria.kind not in (None, ProblemKind.LATE):
        return found
    by = ports.clock.now() - LATE
    for instance in _late_instances(ports, account, by=by):
        if isinstance(instance, Unreadable):
            unreadable[instance.key] = instance
            continue
        problem = late_since(instance, by=by)
        if problem is not None and _matches(criteria, instance, problem):
            found.append(FoundProblem(instance=instance, problem=problem, call=None))
    return found


def _late_instances(
    ports: Ports, account: AccountId, *, by: datetime
) -> Iterator[Instance | Unreadable[InstanceSid]]:
    """Yield instances of the account that no sweep has reached although they were due ``by`` an instant."""
    for shard in range(SHARDS):
        entries = ports.instances.due(swept_partition(shard), until=by + GRACE, limit=MAX_LATE)
        sids = [entry.sid for entry in entries]
        # The due index is not divided by account.
        for item in ports.instances.load_many(sids) if sids else []:
            if item.account_id == account and (isinstance(item, Unreadable) or not _is_known_late(item)):
                yield item


def _is_known_late(instance: Instance) -> bool:
    return any(problem.kind is ProblemKind.LATE for problem in problems_of(instance))


def _of_instance(
    ports: Ports, instance: Instance, criteria: ProblemFilter, unreadable: dict[str, Unreadable[str]]
) -> list[FoundProblem]:
    return [
        FoundProblem(instance=instance, problem=problem, call=_call(ports, instance, problem, unreadable))
        for problem in problems_of(instance)
        if _matches(criteria, instance, problem)
    ]


def _matches(criteria: ProblemFilter, instance: Instance, problem: OpenProblem) -> bool:
    error_class = None if problem.failure is None else problem.failure.error_class
    return (
        criteria.kind in (None, problem.kind)
        and criteria.strategy in (None, instance.strategy_sid)
        and criteria.error_class in (None, error_class)
    )


def _call(
    ports: Ports, instance: Instance, problem: OpenProblem, unreadable: dict[str, Unreadable[str]]
) -> FailedCall | None:
    """Return the call at which the event of a problem failed or waits, or None if it made none or that is unknown."""
    failed_step = None if problem.failure is None else problem.failure.step
    if problem.seq is None or (failed_step is None and problem.kind is not ProblemKind.ANSWER_OVERDUE):
        return None
    try:
        event_history = ports.instances.event_history(instance.sid, problem.seq)
    except RitornelloError as error:
        # What happened cannot be read: the problem is shown without its call.
        sid = event_sid(instance.sid, problem.seq)
        unreadable[sid] = Unreadable(key=sid, why=str(error))
        return None
    record = event_history.record
    event = instance.event(problem.seq) or (None if record is None else record.event)
    strategy = None if event is None else _strategy(ports, instance, event)
    if event is None or strategy is None:
        return None
    waits = position(valid_history(event_history, event), event) if failed_step is None else None
    step = waits.step if isinstance(waits, Intent) else failed_step
    task = strategy.definition.tasks.get(event.task)
    definition = None if task is None or step is None else task.steps.get(step)
    if step is None or definition is None or definition.action is None:
        return None
    action = strategy.definition.actions[definition.action]
    if isinstance(waits, Intent):
        return FailedCall(
            service=action.service, method=action.method, step=step, correlation_id=waits.correlation_id
        )
    entries = event_history.entries
    if record is not None and record.last is not None:
        entries = (*entries, record.last)
    errors = [entry.outcome.error for entry in entries if entry.intent.step == step]
    return FailedCall(
        service=action.service, method=action.method, step=step, error=errors[-1] if errors else None
    )


def _strategy(ports: Ports, instance: Instance, event: Event) -> Strategy | None:
    try:
        return ports.strategies.load(instance.strategy_sid, event.claim.version or instance.strategy_version)
    except (RitornelloError, UnknownStrategyError):
        # The problem is shown without its call.
        return None
