"""Golden instances, in each state that the engine leaves them in."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from shared.application.ports import PageKey, PhaseWindow, Reservation
from shared.domain.calendar.dates import Anchor, Moment
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.ids import CorrelationId, OperationSid
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.event import (
    AnswerMark,
    Event,
    EventKind,
    EventPause,
    EventStatus,
    EventTimes,
    PausedFor,
    Resolution,
    RunProgress,
)
from shared.domain.instance.lookup import searched_attributes
from shared.domain.instance.model import (
    Added,
    Blocked,
    BlockedBy,
    CancelReason,
    Downtime,
    FailedEvent,
    GivenBack,
    Instance,
    InstanceStatus,
    Lease,
    Origin,
    Plan,
    RefusedResume,
    ScheduledCancellation,
    Stoppage,
    Sweep,
)
from shared.domain.instance.phase import STOPPED_PHASES, Phase, PhaseRange
from shared.domain.instance.reason import Cause, EventFailure, StopReason
from shared.domain.strategy.model import OnResume
from tests.engines import Stores
from tests.golden.golden import ACCOUNT, SID, STRATEGY, Golden, at
from tests.golden.runs import (
    DECLINED,
    END,
    EXECUTING,
    FULL_EVENT,
    FULL_INTENT,
    MOVED,
    PLANNED,
    RETRYING,
    SENT,
    SPREAD,
)

MOMENT = Moment(at=at(31), anchor=Anchor(year=2026, month=3, day=31, hour=10, minute=30))

NEW = Instance(
    sid=SID,
    account_id=ACCOUNT,
    strategy_sid=STRATEGY,
    strategy_version=1,
    origin=Origin(strategy_id="gym-membership"),
    start_date=at(1),
    created_at=at(1),
    updated_at=at(1),
    shard=13,
    plan=Plan(moment=MOMENT),
    events=(PLANNED,),
    next_seq=2,
)
"""An instance as it is created, with every optional member absent."""

FULL = Instance(
    sid=SID,
    account_id=ACCOUNT,
    strategy_sid=STRATEGY,
    strategy_version=2,
    origin=Origin(
        strategy_id="gym-membership",
        created_by="key-9",
        request_hash="b0d4",
        order_id="#2026-01-01#T123-daily",
        worker="7",
        reference="order-4711",
    ),
    start_date=at(3),
    created_at=at(1, microsecond=1_000),
    updated_at=at(8),
    shard=13,
    description="Ann's membership, 会员",
    attributes={"memberId": "m-1", "marketingOptIn": True, "monthlyFee": 39.0, "empty": "", "ünï": "✓"},
    searchable=("memberId", "monthlyFee"),
    status=InstanceStatus.PAUSED,
    stop=Stoppage(
        at=at(8),
        by="key-1",
        reason=StopReason(cause=Cause.EXHAUSTED, detail="http-402"),
        note="asked to",
        for_event=7,
        drained_at=at(9),
        cancel_reason=CancelReason.MAX_ATTEMPTS,
        dismissed_at=at(10),
    ),
    plan=Plan(
        schedule=OwnSchedule(
            cron="0 6 6 ? * FRI",
            timezone="Europe/Istanbul",
            once=True,
            at_once=True,
            opens_at=at(4),
            on_call=True,
            retry_times=2,
            goes_on=True,
        ),
        cycle=3,
        moment=Moment(
            at=at(31), anchor=Anchor(year=2026, month=2, day=31, hour=24, minute=5, second=6, microsecond=7)
        ),
        end_date=at(30),
        has_ended=True,
        on_late=OnResume.ALL,
    ),
    events=(FULL_EVENT,),
    next_seq=8,
    has_run=True,
    fence=11,
    lease=Lease(seq=7, until=at(9), given_back=GivenBack(sent_visit=3)),
    rev=21,
    blocked=Blocked(by=BlockedBy.QUEUE, since=at(6)),
    downtimes=(
        Downtime(blocked_by=BlockedBy.STRATEGY, since=at(6), until=at(7), by="key-1", why="asked to"),
        Downtime(blocked_by=BlockedBy.QUEUE, since=at(8), until=at(9)),
        Downtime(since=at(8)),
    ),
    sweep=Sweep(attempts=2, next_at=at(10), schedule_at=at(4)),
    failed_events=tuple(
        FailedEvent(
            seq=seq,
            kind=kind,
            task="welcome",
            failure=EventFailure(message="no answer", error_class="timeout", at=at(4)),
        )
        for seq, kind in enumerate(EventKind, start=1)
    ),
    added=(Added(seq=7, key="0cafe", body="0beef"),),
    operations=(OperationSid("b-1"), OperationSid("b-2")),
    outputs={"payment": "P0", "total": 9.5},
)
"""An instance with every member present."""


def active(*events: Event, **members: Any) -> Instance:
    """Return an instance with these events, at its third rev."""
    return replace(
        NEW,
        events=events,
        next_seq=len(events) + 1,
        **{"rev": 3, "fence": 1, "updated_at": at(31), **members},
    )


def paused_event(waits_for: PausedFor, **members: Any) -> Event:
    """Return the event paused by the engine."""
    return replace(
        EXECUTING,
        status=EventStatus.PAUSED,
        pause=EventPause(waits_for=waits_for),
        failure=DECLINED,
        **members,
    )


def stopped(
    status: InstanceStatus, cause: Cause, *events: Event, detail: str | None = None, **stop: Any
) -> Instance:
    """Return an instance that was stopped for a cause."""
    stoppage = Stoppage(
        **{
            "at": at(31, 10),
            "by": "engine",
            "reason": StopReason(cause=cause, detail=detail),
            "drained_at": at(31, 10),
            **stop,
        }
    )
    return active(*events, status=status, stop=stoppage)


WAITING = replace(
    EXECUTING,
    status=EventStatus.PAUSED,
    due_at=at(31, 21),
    wakeup_seq=2,
    pause=EventPause(waits_for=PausedFor.ANSWER, answer_by=at(31, 21)),
    progress=RunProgress(
        first_action=replace(SENT, answers_later=True, awaits=True, visit=2, answer_by=at(31, 21)),
        known_visits=1,
    ),
)

KINDS = tuple(
    replace(PLANNED, seq=seq, kind=kind, task=kind.value.lower(), data={} if seq < 5 else {"note": "by hand"})
    for seq, kind in enumerate(EventKind, start=1)
)

CANCELED, PAUSED = InstanceStatus.CANCELED, InstanceStatus.PAUSED

WIN_BACK = replace(PLANNED, seq=2, kind=EventKind.ON_CANCEL, task="win-back", after_cancellation=True)


class Found(Struct, frozen=True, kw_only=True):
    """An instance, and the lists and queries that it is found by."""

    instance: Instance | None
    by: frozenset[str]


def find(stores: Stores, instance: Instance) -> Found:
    """Return the instance that the store has under the sid, and the queries that find it."""
    store, sid, account = stores.instances, instance.sid, instance.account_id
    place = PageKey(created_at=instance.created_at, sid=sid)
    found = {f"load_many:{one.rev}" for one in store.load_many([sid]) if isinstance(one, Instance)}
    if place in store.of_account(account, before=None, limit=9):
        found.add("account")
    found |= {
        f"strategy:{status.value}"
        for status in (*InstanceStatus, Phase.STUCK, Phase.FAULTED)
        if place in store.of_strategy(instance.strategy_sid, [status], before=None, limit=9)
    }
    for phase in (Phase.RETRYING, *STOPPED_PHASES):
        entries = store.in_phases(account, [PhaseRange(phase=phase)], window=PhaseWindow(), limit=9)
        found |= {
            f"phase:{phase.value}:{entry.order.partition(':')[0]}" for entry in entries if entry.sid == sid
        }
    if sid in {one.sid for one in store.with_problems(account, before=None, limit=9)}:
        found.add("problems")
    reference = instance.origin.reference
    if reference is not None and place in store.with_reference(account, reference, before=None, limit=9):
        found.add(f"reference:{reference}")
    found |= {
        f"attribute:{name}={text}"
        for name, text in searched_attributes(instance)
        if place in store.with_attribute(account, name, text, before=None, limit=9)
    }
    found |= {
        f"due:{partition}"
        for partition in ("13", "far#13", f"blocked#queue:{account}#13", f"blocked#strategy:{STRATEGY}#13")
        if store.due(partition, until=at(31, 23).replace(year=2030), limit=9)
    }
    return Found(instance=store.load(sid), by=frozenset(found))


def golden(
    name: str, instance: Instance, *by: str, write: Callable[[Stores, Instance], None] | None = None
) -> Golden:
    """Return a golden instance, which is also found by its account and, by default, by its status ACTIVE."""

    def create(stores: Stores) -> None:
        stores.instances.create(instance)
        if write is not None:
            write(stores, instance)

    in_lists = () if any(one.startswith("strategy:") for one in by) else ("strategy:ACTIVE",)
    found = frozenset({f"load_many:{instance.rev}", "account", *in_lists, *by})
    return Golden(
        name=f"instances/{name}",
        value=Found(instance=instance, by=found),
        write=create,
        read=lambda stores: find(stores, instance),
    )


def postpone(stores: Stores, instance: Instance) -> None:
    """Postpone the instance's entry in the due index twice, as the sweeper does if it cannot read it."""
    for day in (1, 2):
        (entry,) = stores.instances.due("13", until=at(31, 23).replace(year=2030), limit=2)
        assert isinstance(entry, DueEntry)
        assert stores.instances.postpone(entry, now=at(day).replace(month=4))
    assert instance.shard == 13


REFERENCED = replace(
    NEW,
    origin=Origin(strategy_id="gym-membership", created_by="key-9", reference="order-4711"),
    attributes={"memberId": "m-1", "iban": "DE02" * 100, "tier": 7, "nested": {"a": [1, None]}},
    searchable=("memberId", "iban", "tier"),
)


def _referenced() -> Golden:
    return replace(
        golden(
            "with-reference-and-searchable-attributes",
            REFERENCED,
            "reference:order-4711",
            "attribute:memberId=m-1",
            f"attribute:iban={'DE02' * 100}",
            "attribute:tier=7",
            "due:13",
        ),
        write=lambda stores: stores.instances.create(REFERENCED, reservation=Reservation()),
    )


def _active() -> Sequence[Golden]:
    end_of_lease = Lease(seq=1, until=at(31, 10))
    return (
        golden("new", NEW, "due:13"),
        golden("without-events", active(plan=Plan(moment=None))),
        golden("end-of-plan", active(plan=Plan(cycle=12, moment=MOMENT, end_date=at(31, 20))), "due:13"),
        golden("beyond-horizon", active(PLANNED, sweep=Sweep(schedule_at=at(20))), "due:far#13"),
        golden("swept", active(PLANNED, sweep=Sweep(attempts=3, next_at=at(31, 11))), "due:13"),
        golden("postponed", NEW, "due:13", write=postpone),
        golden("every-kind-of-event", active(*KINDS), "due:13"),
        golden(
            "planned-for-midnight",
            active(
                PLANNED,
                plan=Plan(moment=Moment(at=at(31, 0), anchor=Anchor(year=2026, month=3, day=31))),
            ),
            "due:13",
        ),
        golden("on-hold", active(replace(PLANNED, status=EventStatus.ONHOLD))),
        golden(
            "queued",
            active(
                replace(
                    PLANNED,
                    status=EventStatus.QUEUED,
                    times=EventTimes(left_onhold_at=at(31), scheduled_at=at(31)),
                )
            ),
            "due:13",
        ),
        golden("executing", active(EXECUTING, lease=end_of_lease), "due:13"),
        golden("lease-with-token", active(EXECUTING, lease=replace(end_of_lease, token="t0ken")), "due:13"),
        golden(
            "claim-given-back",
            active(EXECUTING, lease=replace(end_of_lease, given_back=GivenBack())),
            "due:13",
        ),
        # A time that is empty while the one that it mostly equals is not is stored as null.
        golden(
            "begun-without-schedule",
            active(replace(EXECUTING, times=EventTimes(begun_at=at(31))), lease=end_of_lease),
            "due:13",
        ),
        golden(
            "run-without-steps-left",
            active(replace(EXECUTING, progress=RunProgress(first_action=END, crashes=1)), lease=end_of_lease),
            "due:13",
        ),
        golden(
            "after-redrive-on-side-path",
            active(
                replace(EXECUTING, status=EventStatus.QUEUED, progress=RunProgress(first_action=FULL_INTENT))
            ),
            "due:13",
        ),
        golden("retrying", active(RETRYING), "phase:RETRYING:failed", "due:13"),
        golden(
            "delayed",
            active(replace(EXECUTING, status=EventStatus.PENDING, due_at=at(31, 15), wakeup_seq=2)),
            "due:13",
        ),
        golden("waiting-for-answer", active(WAITING), "due:13"),
        golden(
            "waiting-for-answer-without-limit",
            active(replace(WAITING, pause=EventPause(waits_for=PausedFor.ANSWER, expected_by=at(31, 22)))),
            "due:13",
        ),
        golden(
            "answer-overdue",
            active(
                replace(
                    WAITING,
                    pause=EventPause(waits_for=PausedFor.ANSWER, expected_by=at(31, 12), is_overdue=True),
                )
            ),
            "problems",
        ),
        golden(
            "answered",
            active(
                replace(
                    WAITING,
                    status=EventStatus.QUEUED,
                    pause=None,
                    answered=AnswerMark(correlation_id=CorrelationId(f"{SID}-1.t0ken"), key="f00d"),
                )
            ),
            "due:13",
        ),
        golden(
            "blocked-by-queue",
            active(PLANNED, blocked=Blocked(by=BlockedBy.QUEUE, since=at(31))),
            f"due:blocked#queue:{ACCOUNT}#13",
        ),
        golden(
            "blocked-by-strategy",
            active(PLANNED, blocked=Blocked(by=BlockedBy.STRATEGY, since=at(31))),
            f"due:blocked#strategy:{STRATEGY}#13",
        ),
        golden(
            "failed-side-task",
            active(
                PLANNED,
                failed_events=(
                    FailedEvent(seq=9, kind=EventKind.ON_CREATE, task="welcome", failure=DECLINED),
                ),
            ),
            "problems",
            "due:13",
        ),
        *(
            golden(
                f"catching-up-{rule.value}", active(PLANNED, plan=Plan(moment=MOMENT, on_late=rule)), "due:13"
            )
            for rule in OnResume
        ),
        golden(
            "moved-date",
            active(MOVED, plan=Plan(moment=MOMENT, moved_to=at(30))),
            "due:13",
        ),
        golden("spread-date", active(SPREAD, plan=Plan(moment=MOMENT, moved_to=at(31, 10))), "due:13"),
        golden(
            "spread-plan",
            active(SPREAD, plan=Plan(moment=MOMENT, moved_to=at(31, 10), spread_seconds=3600)),
            "due:13",
        ),
        golden("cycles-to-skip", active(PLANNED, plan=Plan(moment=MOMENT, to_skip=2)), "due:13"),
        golden(
            "dated-in-another-zone",
            active(PLANNED, plan=Plan(moment=MOMENT, dated_in="Asia/Manila")),
            "due:13",
        ),
        golden(
            "of-several-calendars",
            active(PLANNED, plan=Plan(moment=MOMENT, calendar="monthly")),
            "due:13",
        ),
        golden(
            "own-cron",
            active(
                PLANNED,
                plan=Plan(schedule=OwnSchedule(cron="30 9 L * ?", timezone="Asia/Manila"), moment=MOMENT),
            ),
            "due:13",
        ),
        golden(
            "on-call",
            active(
                replace(PLANNED, status=EventStatus.ONHOLD),
                plan=Plan(schedule=OwnSchedule(on_call=True), moment=None),
            ),
        ),
        _referenced(),
    )


def _stopped() -> Sequence[Golden]:
    in_doubt = paused_event(PausedFor.IN_DOUBT, in_doubt=True)
    resolved = tuple(
        replace(
            in_doubt,
            seq=seq,
            status=EventStatus.QUEUED,
            pause=None,
            progress=RunProgress(first_action=SENT, call_in_doubt=True, resolution=resolution),
        )
        for seq, resolution in enumerate(Resolution, start=1)
    )
    exhausted = paused_event(PausedFor.EXHAUSTED)
    doubted = replace(
        paused_event(PausedFor.OPERATOR, in_doubt=True),
        progress=RunProgress(first_action=SENT, call_in_doubt=True, in_doubt_since=at(7)),
    )
    return (
        golden(
            "full",
            FULL,
            "strategy:PAUSED",
            "strategy:STUCK",
            "phase:STUCK:exhausted",
            "problems",
            "reference:order-4711",
            "attribute:memberId=m-1",
            "attribute:monthlyFee=39",
            "due:far#13",
        ),
        golden(
            "paused-by-operator",
            stopped(PAUSED, Cause.OPERATOR, paused_event(PausedFor.OPERATOR), detail="key-1", by="key-1"),
            "strategy:PAUSED",
            "phase:PAUSED:operator",
        ),
        golden(
            "draining",
            replace(
                stopped(
                    PAUSED,
                    Cause.OPERATOR,
                    EXECUTING,
                    detail="key-1",
                    by="key-1",
                    drained_at=None,
                    note="audit",
                ),
                lease=Lease(seq=1, until=at(31, 10)),
            ),
            "strategy:PAUSED",
            "phase:PAUSED:operator",
            "due:13",
        ),
        golden(
            "paused-by-controller",
            stopped(PAUSED, Cause.CONTROLLER, PLANNED, note="low credit"),
            "strategy:PAUSED",
            "phase:PAUSED:controller",
        ),
        golden(
            "stuck-exhausted",
            stopped(PAUSED, Cause.EXHAUSTED, exhausted, detail="http-402", for_event=1),
            "strategy:PAUSED",
            "strategy:STUCK",
            "phase:STUCK:exhausted",
            "problems",
        ),
        golden(
            "stuck-in-doubt",
            stopped(PAUSED, Cause.IN_DOUBT, in_doubt, detail="timeout", for_event=1),
            "strategy:PAUSED",
            "strategy:STUCK",
            "phase:STUCK:in-doubt",
            "problems",
        ),
        golden("resolved", active(*resolved), "due:13"),
        golden(
            "paused-in-doubt-by-operator",
            stopped(PAUSED, Cause.OPERATOR, doubted, detail="key-1", by="key-1"),
            "strategy:PAUSED",
            "phase:PAUSED:operator",
        ),
        golden(
            "stuck-poisoned",
            stopped(PAUSED, Cause.POISONED, paused_event(PausedFor.POISONED), for_event=1),
            "strategy:PAUSED",
            "strategy:STUCK",
            "phase:STUCK:poisoned",
            "problems",
        ),
        golden(
            "canceled-by-operator",
            stopped(
                CANCELED,
                Cause.OPERATOR,
                WIN_BACK,
                detail="key-1",
                by="key-1",
                cancel_reason=CancelReason.HTTP_REQUEST,
            ),
            "strategy:CANCELED",
            "phase:CANCELED:operator",
            "due:13",
        ),
        golden(
            "canceled-by-controller",
            stopped(CANCELED, Cause.CONTROLLER, cancel_reason=CancelReason.CONTROLLER_HELPER),
            "strategy:CANCELED",
            "strategy:FAULTED",
            "phase:FAULTED:controller",
        ),
        golden(
            "canceled-after-last-attempt",
            replace(
                stopped(
                    CANCELED, Cause.EXHAUSTED, detail="http-402", cancel_reason=CancelReason.MAX_ATTEMPTS
                ),
                failed_events=(FailedEvent(seq=1, kind=EventKind.MAIN, task="charge", failure=DECLINED),),
                has_run=True,
            ),
            "strategy:CANCELED",
            "strategy:FAULTED",
            "phase:FAULTED:exhausted",
            "problems",
        ),
        golden(
            "canceled-without-next-cycle",
            stopped(CANCELED, Cause.PLAN, cancel_reason=CancelReason.CREATE_CYCLE_ERROR),
            "strategy:CANCELED",
            "strategy:FAULTED",
            "phase:FAULTED:plan",
            "problems",
        ),
        golden(
            "completed",
            replace(
                stopped(InstanceStatus.COMPLETED, Cause.ENDED),
                plan=Plan(cycle=12, moment=MOMENT, has_ended=True),
                has_run=True,
                outputs={"payment": "P12"},
            ),
            "strategy:COMPLETED",
            "phase:COMPLETED:ended",
        ),
    )


def _dated() -> Sequence[Golden]:
    """Return instances whose status changes at a date."""
    until = stopped(PAUSED, Cause.OPERATOR, PLANNED, detail="key-9", by="key-9", until=at(31, 20))
    refused = RefusedResume(at=at(31, 20), why="more than 1000 planned dates were missed")
    canceled = ScheduledCancellation(at=at(31, 20), by="key-9", scheduled_at=at(31, 10))
    return (
        golden("paused-until", until, "strategy:PAUSED", "phase:PAUSED:operator", "due:13"),
        golden(
            "resume-refused",
            stopped(PAUSED, Cause.OPERATOR, PLANNED, detail="key-9", by="key-9", refused=refused),
            "strategy:PAUSED",
            "phase:PAUSED:operator",
            "problems",
        ),
        golden("to-be-canceled", active(PLANNED, cancellation=canceled), "due:13"),
        golden(
            "to-be-canceled-at-end-of-cycle",
            active(PLANNED, cancellation=replace(canceled, note="moves away", from_cycle=1)),
            "due:13",
        ),
    )


INSTANCES = (*_active(), *_stopped(), *_dated())
