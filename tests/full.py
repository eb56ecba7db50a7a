"""A sample of each stored value, with every field different from its default.

``tests/adapters/dynamodb/test_documents.py`` fails if a field is missing here.
"""

from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from shared.domain.access import AccessKey, Role, Session
from shared.domain.bulk.operation import (
    BulkOperation,
    BulkStatus,
    Counts,
    ItemOutcome,
    ItemResult,
    MigrateTo,
    RescheduleNext,
    ResolveDoubt,
    RetryFailed,
    RunWaiting,
    SkipNext,
)
from shared.domain.bulk.release import ReleaseJob
from shared.domain.bulk.selection import (
    Cursor,
    Filter,
    OfAny,
    OfAttribute,
    OfFolder,
    OfIds,
    OfPhases,
    OfReference,
    OfStrategy,
)
from shared.domain.calendar.dates import Anchor, Moment
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.ids import (
    AccountId,
    CallKey,
    CorrelationId,
    InstanceSid,
    OperationSid,
    StrategySid,
    event_sid,
)
from shared.domain.instance.event import (
    AnswerMark,
    Event,
    EventKind,
    EventPause,
    EventStatus,
    EventTimes,
    LastClaim,
    Move,
    PausedFor,
    RedrivenFrom,
    Resolution,
    ResultReuse,
    RunProgress,
)
from shared.domain.instance.journal import Answer, ClosedBy, EventRecord, JournalEntry
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
from shared.domain.instance.phase import Phase, PhaseRange, Waiting
from shared.domain.instance.reason import Cause, ErrorKind, EventFailure, StopReason
from shared.domain.instance.run import (
    Certainty,
    Ending,
    Failure,
    Intent,
    Outcome,
    Path,
    Refusal,
    RunEnd,
    StepError,
)
from shared.domain.instance.verdict import Actor, AuditEntry
from shared.domain.lifecycle.commands import Cancel, CancelAt, CancelTasks, Dismiss, Pause, Resume, Update
from shared.domain.notifications.model import NotificationKind
from shared.domain.notifications.webhook import Webhook
from shared.domain.strategy.flag import Flag, FlagPause
from shared.domain.strategy.model import OnResume, StrategyHead, StrategyVersion

SID = InstanceSid("01890a5d-ac96-774b-bcce-b302099a8057")
ACCOUNT = AccountId("acme")
STRATEGY = StrategySid("01890a5d-ac96-774b-bcce-b302099a0001")


def at(day: int, *, microsecond: int = 0) -> datetime:
    """Return ten o'clock of a day in January 2026."""
    return datetime(2026, 1, day, 10, 30, 15, microsecond, tzinfo=UTC)


ERROR = StepError(
    message="it said no: €5",
    kind=ErrorKind.HTTP,
    status=503,
    data={"why": ["busy", 1.0, 2, None, True], "": ""},
)

FAILURE = Failure(
    step="charge",
    failed_at=at(2),
    error=ERROR,
    retry_at=at(3, microsecond=7),
    pauses=True,
    attempts_left=2,
    next_at=at(3),
)

INTENT = Intent(
    visit=3,
    step="charge",
    call_key=CallKey(f"{SID}-7-2-3"),
    correlation_id=CorrelationId(f"{SID}-7.t0ken"),
    path=Path.BEFORE_RETRY,
    repeat=True,
    in_doubt_since=at(3),
    not_before=at(4),
    refusal=Refusal(since=at(3), times=2),
    passed=("look", "look-again"),
    branches=("left", "right"),
    attempt=2,
    resets=("charge",),
    failure=FAILURE,
    answers_later=True,
    awaits=True,
    answer_by=at(4, microsecond=500_000),
)

END = RunEnd(
    how=Ending.EXHAUSTED,
    attempt=3,
    resets=("charge", "look"),
    passed=("look",),
    failure=FAILURE,
    outputs={"payment": "P1", "lines": [1, None]},
)

OUTCOME = Outcome(
    success=True,
    response={"id": "8", "lines": [{"n": 1, "price": 9.5}], "none": None},
    error=ERROR,
    certainty=Certainty.IN_DOUBT,
    directives={"attributes": {"plan": "gold"}, "cancelInstance": "over"},
    notes=("ifCallback of charge: no such key",),
)

EVENT = Event(
    seq=7,
    kind=EventKind.ON_CANCEL,
    task="win-back",
    date=at(5),
    due_at=at(6),
    status=EventStatus.PAUSED,
    created_at=at(1),
    updated_at=at(2, microsecond=123_456),
    created_cycle=4,
    pause=EventPause(waits_for=PausedFor.IN_DOUBT, answer_by=at(6), expected_by=at(7), is_overdue=True),
    after_cancellation=True,
    data={"note": "by hand", "empty": ""},
    attempt=2,
    run=3,
    wakeup_seq=4,
    first_date=at(4),
    move=Move(planned=at(3), why="nextCycleDateCallback of calendar plan", spread_seconds=564),
    times=EventTimes(left_onhold_at=at(6), begun_at=at(7), scheduled_at=at(8), executed_at=at(9)),
    claim=LastClaim(fence=9, job="job-9", version=5),
    progress=RunProgress(
        first_action=INTENT,
        known_visits=6,
        was_killed=True,
        crashes=2,
        give_backs=3,
        call_in_doubt=True,
        in_doubt_since=at(8),
        delay_skipped=True,
        resolution=Resolution.SKIP,
    ),
    reuse=ResultReuse(
        side_results_from=2,
        redriven_from=(RedrivenFrom(step="look", run=2), RedrivenFrom(step="charge", run=3)),
    ),
    applied=(2, 1),
    resets=("charge",),
    in_doubt=True,
    answered=AnswerMark(correlation_id=CorrelationId(f"{SID}-7.t0ken"), key="f00d"),
    failure=EventFailure(message="it said no", error_class="http-402", at=at(9), step="charge"),
    problem="createIf: no such key",
)

ENTRY = JournalEntry(
    seq=7,
    run=2,
    fence=11,
    intent=INTENT,
    outcome=OUTCOME,
    then=END,
    started_at=at(9),
    finished_at=at(9, microsecond=250_000),
    digest="n4bQgYhMfWWaL-qgxVrQFQ",
    answered=503,
)

DOWNTIME = Downtime(blocked_by=BlockedBy.STRATEGY, since=at(6), until=at(7), by="key-1", why="asked to")

INSTANCE = Instance(
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
        until=at(11),
        refused=RefusedResume(at=at(12), why="too many missed dates"),
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
        moved_to=at(29),
        spread_seconds=40,
        calendar="monthly",
        end_date=at(30),
        has_ended=True,
        on_late=OnResume.ALL,
        dated_in="Asia/Manila",
        to_skip=2,
    ),
    attributes={"memberId": "m-1", "marketingOptIn": True, "monthlyFee": 39.0, "empty": "", "ünï": "✓"},
    events=(EVENT,),
    next_seq=8,
    fence=11,
    lease=Lease(seq=7, until=at(9), token="t0k3n", given_back=GivenBack(sent_visit=3)),
    rev=21,
    blocked=Blocked(by=BlockedBy.QUEUE, since=at(6)),
    failed_events=(
        FailedEvent(
            seq=3,
            kind=EventKind.ON_CREATE,
            task="welcome",
            failure=EventFailure(message="no answer", error_class="timeout", at=at(4), step="mail"),
        ),
    ),
    downtimes=(DOWNTIME, replace(DOWNTIME, since=at(8))),
    sweep=Sweep(attempts=2, next_at=at(10), schedule_at=at(4)),
    outputs={"payment": "P0", "total": 9.5},
    has_run=True,
    added=(Added(seq=7, key="0cafe", body="0beef"),),
    operations=(OperationSid("b-1"), OperationSid("b-2")),
    cancellation=ScheduledCancellation(
        at=at(28), by="key-2", scheduled_at=at(27), note="moves away", from_cycle=4
    ),
)

RECORD = EventRecord(
    instance_sid=SID,
    event=EVENT,
    fence=11,
    finished_at=at(10),
    in_doubt=True,
    last=ENTRY,
    end=END,
    why="killed",
    closed_by=ClosedBy.MIGRATION,
    by="key-1",
    reason="asked to",
    skipped_cycles=(3, 9),
    skipped_until=at(29),
)

AUDIT = AuditEntry(
    account_id=ACCOUNT,
    target=SID,
    at=at(9, microsecond=5_000),
    by="key-1",
    command="pause",
    event=event_sid(SID, 7),
    from_state="ACTIVE",
    to_state="PAUSED",
    reason="asked to",
    operation=OperationSid("b-1"),
    minutes_spent=2,
    ticket="https://tickets.example/1",
    options=("kill", "deep"),
)

HEAD = StrategyHead(
    sid=STRATEGY,
    account_id=ACCOUNT,
    name="gym membership #1",
    version=1,
    created_at=at(1),
    updated_at=at(2),
    folder="/de/#gyms",
    description="Monthly, in €",
    is_paused=True,
    secret_hash="5ec2e7",
    created_by="key-9",
    request_hash="b0d4",
    deleted_at=at(9),
    labels={"trigger": "http_request", "status": "enabled"},
    pauses=(FlagPause(since=at(3), until=at(4)), FlagPause(since=at(5), until=at(6))),
)

QUEUE = Flag(is_paused=True, pauses=HEAD.pauses)

KEY = AccessKey(
    key_id="k1",
    account_id=ACCOUNT,
    role=Role.OPERATOR,
    secret_hash="5ec2e7",
    created_at=at(1),
    description="the shop",
    created_by="key-0",
)

SESSION = Session(token_hash="70ce11", account_id=ACCOUNT, key_id="k1", opened_at=at(1), idle_until=at(2))

WEBHOOK = Webhook(
    account_id=ACCOUNT,
    url="https://hooks.example.com/it?token=5",
    updated_at=at(2),
    updated_by="key-9",
    kinds=(NotificationKind.EVENT_FAILED, NotificationKind.INSTANCE_PAUSED),
)

VERSION = StrategyVersion(
    sid=STRATEGY, version=3, description="Monthly, in €", created_at=at(2), created_by="key-9"
)

DRAIN = ReleaseJob(
    sid=OperationSid("release-queue-acme-5"),
    account_id=ACCOUNT,
    blocked_by=BlockedBy.QUEUE,
    owner=ACCOUNT,
    shard=5,
    started_at=at(1),
    started_by="key-1",
    sweep_at=at(2),
    rev=17,
    freed=8,
    empty_since=at(3),
)

ANSWER = Answer(
    correlation_id=CorrelationId(f"{SID}-7.t0ken"),
    key="f00d",
    at=at(8),
    by="gateway-key",
    body={"status": "CONFIRMED", "lines": [1, None]},
)

BULK_SID = OperationSid("01890a5d-ac96-774b-bcce-b302099a00b1")

BY = Actor(
    name="key-1",
    reason="€ asked to",
    operation=BULK_SID,
    minutes_spent=2,
    ticket="T-1",
    options=("deep",),
)

REFUSED = ItemResult(sid=SID, outcome=ItemOutcome.REFUSED, why="the instance is COMPLETED", redated=2)

PHASE_RANGE = PhaseRange(phase=Phase.STUCK, cause=Cause.EXHAUSTED, detail="http-402", strategy=STRATEGY)

BULK = BulkOperation(
    sid=BULK_SID,
    account_id=ACCOUNT,
    selection=OfIds(ids=(SID, InstanceSid("i-2"))),
    command=CancelTasks(tasks=("remind", "charge"), by=BY),
    started_at=at(1),
    updated_at=at(2),
    sweep_at=at(3),
    rev=17,
    status=BulkStatus.PAUSED,
    cursor=Cursor(
        part=2, passed=3, folder_name="/de#gym", strategy=STRATEGY, created_at=at(4), sid=SID, order="a#b"
    ),
    at_end=True,
    batch_sids=(SID, InstanceSid("i-2")),
    worker="t0ken",
    crashes=2,
    counts=Counts(changed=4, already_there=5, refused=6, unknown=7, failed=8),
    results=(REFUSED,),
    problems=(REFUSED, REFUSED),
    left_out=9,
    finished_at=at(5),
    request_hash="b0d4",
)

_THOSE: dict[str, Any] = {
    "statuses": (InstanceStatus.PAUSED, InstanceStatus.CANCELED),
    "created_from": at(1, microsecond=7),
    "created_to": at(2),
    "instance_filter": Filter(
        phases=(Phase.PAUSED, Phase.STUCK),
        planned_from=at(3, microsecond=7),
        planned_until=at(4),
        at_rest=True,
        ranges=(PHASE_RANGE,),
    ),
}

BULKS = (
    BULK,
    replace(
        BULK,
        selection=OfStrategy(strategy=STRATEGY, version=3, **_THOSE),
        command=Resume(by=BY, on_late=OnResume.SHIFT),
    ),
    replace(
        BULK,
        selection=OfFolder(folder="/de", is_flat=True, **_THOSE),
        command=Cancel(by=BY, kill=True, unless_begun=True),
    ),
    replace(
        BULK,
        selection=OfAny(
            parts=(
                OfFolder(folder="/de", is_flat=True, **_THOSE),
                OfStrategy(strategy=STRATEGY, version=3, **_THOSE),
            )
        ),
        command=RunWaiting(what=Waiting.FOR_OPERATOR, by=BY),
    ),
    replace(BULK, command=Pause(by=BY, kill=True, sets_until=True, until=at(7))),
    replace(BULK, command=CancelAt(by=BY, at=at(7))),
    replace(BULK, command=RescheduleNext(by=BY, date=at(7), keep_anchor=False)),
    replace(BULK, command=SkipNext(by=BY, cycles=2)),
    replace(BULK, command=MigrateTo(by=BY, version=4)),
    replace(
        BULK,
        selection=OfPhases(ranges=(PHASE_RANGE,)),
        command=RetryFailed(by=BY, from_step="pay", of_ended=True),
    ),
    replace(
        BULK,
        selection=OfReference(reference="o-1"),
        command=ResolveDoubt(by=BY, resolution=Resolution.FAIL),
    ),
    replace(BULK, command=Dismiss(by=BY, until=at(7))),
    replace(
        BULK,
        selection=OfAttribute(name="customerId", text="c-1"),
        command=Update(by=BY, description="d", attributes={"a": None}, sets_end_date=True, end_date=at(6)),
    ),
)
"""Bulk operations with every selection and every command."""

EVERYTHING = (
    EVENT,
    ENTRY,
    INSTANCE,
    RECORD,
    AUDIT,
    HEAD,
    QUEUE,
    KEY,
    SESSION,
    WEBHOOK,
    VERSION,
    DRAIN,
    INTENT,
    END,
    ANSWER,
    *BULKS,
)
