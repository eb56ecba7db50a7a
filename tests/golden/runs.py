"""The parts of runs that golden instances and events hold. They are frozen, because the files hold these values."""

from msgspec.structs import replace

from shared.domain.ids import CallKey, CorrelationId
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
from shared.domain.instance.reason import ErrorKind, EventFailure
from shared.domain.instance.run import Ending, Failure, Intent, Path, Refusal, RunEnd, StepError
from tests.golden.golden import SID, at

SENT = Intent(
    visit=1,
    step="charge",
    call_key=CallKey(f"{SID}-1-1-1"),
    correlation_id=CorrelationId(f"{SID}-1.t0ken"),
)
"""The first step of a run, with every optional member absent."""

ERROR = StepError(
    message="billing/charge returned HTTP 402 (card_declined): 5 €",
    kind=ErrorKind.HTTP,
    status=402,
    data={"code": "card_declined", "tries": [1, 2.5, None, True], "": ""},
)

FAILURE = Failure(step="charge", failed_at=at(2), error=ERROR, retry_at=at(3, microsecond=7), pauses=True)

FULL_INTENT = Intent(
    visit=3,
    step="charge",
    call_key=CallKey(f"{SID}-7-2-3"),
    # Of another owner, as a correlation id that a caller chose would be.
    correlation_id=CorrelationId("order-4711.t0ken"),
    path=Path.BEFORE_RETRY,
    repeat=True,
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

END = RunEnd(how=Ending.SUCCEEDED, attempt=1)
"""The end of a run, with every optional member absent."""

FULL_END = RunEnd(
    how=Ending.EXHAUSTED,
    attempt=3,
    resets=("charge", "look"),
    passed=("look",),
    failure=FAILURE,
    outputs={"payment": "P1", "lines": [1, None]},
)

PLANNED = Event(
    seq=1,
    kind=EventKind.MAIN,
    task="charge",
    date=at(31),
    due_at=at(31),
    status=EventStatus.PENDING,
    created_at=at(1),
    updated_at=at(1),
    created_cycle=1,
)
"""The main event of a new instance, with every optional member absent."""

TIMES = EventTimes(begun_at=at(31), scheduled_at=at(31), executed_at=at(31))

CLAIM = LastClaim(fence=1, job="job-1", version=1)

EXECUTING = replace(
    PLANNED,
    status=EventStatus.EXECUTING,
    updated_at=at(31),
    times=TIMES,
    claim=CLAIM,
    progress=RunProgress(first_action=SENT),
)

DECLINED = EventFailure(
    message="billing/charge returned HTTP 402", error_class="http-402", at=at(31), step="charge"
)

RETRYING = replace(
    PLANNED,
    date=at(31, 11),
    due_at=at(31, 11),
    first_date=at(31),
    updated_at=at(31),
    times=TIMES,
    claim=CLAIM,
    run=2,
    attempt=2,
    wakeup_seq=2,
    failure=DECLINED,
)

MOVED = replace(
    PLANNED,
    date=at(30),
    due_at=at(30),
    move=Move(planned=at(31), why="nextCycleDateCallback of calendar plan"),
)
"""An event whose due date is not the date its cycle is planned for."""

SPREAD = replace(
    PLANNED,
    date=at(31, 10),
    due_at=at(31, 10),
    move=Move(planned=at(31), why="spread over 90 minutes", spread_seconds=3600),
)
"""An event that is due later than planned, to spread the load."""

FULL_EVENT = Event(
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
    first_date=at(4),
    wakeup_seq=4,
    run=3,
    attempt=2,
    resets=("charge",),
    times=EventTimes(left_onhold_at=at(6), begun_at=at(7), scheduled_at=at(8), executed_at=at(9)),
    claim=LastClaim(fence=9, job="job-9", version=5),
    progress=RunProgress(
        first_action=FULL_INTENT,
        known_visits=6,
        was_killed=True,
        crashes=2,
        give_backs=3,
        call_in_doubt=True,
        delay_skipped=True,
        resolution=Resolution.SKIP,
    ),
    reuse=ResultReuse(
        side_results_from=2,
        redriven_from=(RedrivenFrom(step="look", run=2), RedrivenFrom(step="charge", run=3)),
    ),
    applied=(2, 1),
    in_doubt=True,
    answered=AnswerMark(correlation_id=CorrelationId(f"{SID}-7.t0ken"), key="f00d"),
    failure=DECLINED,
    problem="createIf: no such key",
)
