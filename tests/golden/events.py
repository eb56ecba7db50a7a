"""Golden journal entries, answers and records of events."""

from collections.abc import Callable

from msgspec.structs import replace

from shared.domain.ids import CorrelationId
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.journal import Answer, ClosedBy, EventHistory, EventRecord, JournalEntry
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import Certainty, Ending, Failure, Outcome, Path, RunEnd, StepError
from tests.engines import Stores
from tests.golden.golden import SID, Golden, at, expiring
from tests.golden.instances import NEW
from tests.golden.runs import (
    DECLINED,
    END,
    ERROR,
    EXECUTING,
    FAILURE,
    FULL_END,
    FULL_EVENT,
    FULL_INTENT,
    PLANNED,
    SENT,
)

SUCCESS = JournalEntry(
    seq=1,
    run=1,
    fence=1,
    intent=SENT,
    outcome=Outcome(success=True, response={"id": "P1", "lines": [{"n": 1, "price": 9.5}], "none": None}),
    then=END,
    started_at=at(31),
    finished_at=at(31, microsecond=250_000),
)
"""A successful last step, with every other optional member absent."""

FULL_ENTRY = JournalEntry(
    seq=7,
    run=2,
    fence=11,
    intent=FULL_INTENT,
    outcome=Outcome(
        success=True,
        response=["any", 1],
        error=ERROR,
        certainty=Certainty.IN_DOUBT,
        directives={"attributes": {"plan": "gold"}, "cancelInstance": "over"},
        notes=("ifCallback of charge: no such key",),
    ),
    then=FULL_END,
    started_at=at(9),
    finished_at=at(9, microsecond=250_000),
    digest="n4bQgYhMfWWaL-qgxVrQFQ",
    answered=503,
)

FAILURES = tuple(
    JournalEntry(
        seq=1,
        run=run,
        fence=run,
        intent=replace(SENT, path=path),
        outcome=Outcome(
            success=False,
            error=StepError(message=f"a failure of kind {kind.value}", kind=kind),
            certainty=certainty,
        ),
        then=RunEnd(
            how=ending,
            attempt=run,
            failure=Failure(step="charge", failed_at=at(31), error=StepError(message="failed")),
        ),
        started_at=at(31),
        finished_at=at(31),
    )
    for run, (kind, path, certainty, ending) in enumerate(
        (
            (kind, list(Path)[n % 3], list(Certainty)[n % 3], list(Ending)[n % 4])
            for n, kind in enumerate(kind for kind in ErrorKind if kind is not ErrorKind.SKIPPED)
        ),
        start=1,
    )
)
"""A failed step for each kind of error. The paths, certainties and endings take turns."""

SKIPPED = replace(
    FAILURES[0],
    outcome=Outcome(
        success=False,
        error=StepError(message="skipped by an operator", kind=ErrorKind.SKIPPED),
        certainty=Certainty.IN_DOUBT,
    ),
)

IN_DOUBT_SINCE = replace(SUCCESS, intent=replace(SENT, repeat=True, in_doubt_since=at(7)))

FAILED_RULE = replace(
    SUCCESS,
    outcome=replace(
        SUCCESS.outcome,
        error=StepError(message="rule of charge: no such key", kind=ErrorKind.EXPRESSION),
    ),
)
"""A success whose ``callback`` rule could not be evaluated."""

BEFORE_RETRY = replace(
    SUCCESS,
    intent=replace(
        SENT,
        path=Path.BEFORE_RETRY,
        failure=Failure(
            step="charge", failed_at=at(2), error=ERROR, retry_at=at(4), attempts_left=2, next_at=at(3)
        ),
    ),
)
"""A step of a side path, with what its mail says."""

BRANCHED = replace(
    SUCCESS,
    outcome=Outcome(success=True),
    then=replace(SENT, visit=2, step="receipt", branches=("left",), passed=("look",)),
)

ANSWER = Answer(
    correlation_id=CorrelationId(f"{SID}-7.t0ken"),
    key="f00d",
    at=at(8),
    by="gateway-key",
    body={"status": "CONFIRMED", "lines": [1, None]},
)

RECORD = EventRecord(
    instance_sid=SID,
    event=replace(EXECUTING, status=EventStatus.PROCESSED),
    fence=1,
    finished_at=at(31, 10),
    end=END,
)

FULL_RECORD = EventRecord(
    instance_sid=SID,
    event=replace(FULL_EVENT, status=EventStatus.CANCELED, pause=None),
    fence=11,
    finished_at=at(31, 10),
    in_doubt=True,
    last=FULL_ENTRY,
    end=FULL_END,
    why="killed",
    closed_by=ClosedBy.MIGRATION,
    by="key-1",
    reason="asked to",
    skipped_cycles=(3, 9),
    skipped_until=at(29),
)


def _status(closed_by: ClosedBy) -> EventStatus:
    if closed_by is ClosedBy.RUN:
        return EventStatus.PROCESSED
    return EventStatus.FAILED if closed_by is ClosedBy.CRASHES else EventStatus.CANCELED


CLOSED = tuple(
    EventRecord(
        instance_sid=SID,
        event=replace(PLANNED, seq=seq, kind=list(EventKind)[seq % 5], status=_status(closed_by)),
        fence=1,
        finished_at=at(seq),
        closed_by=closed_by,
        why=f"closed by {closed_by.value}",
    )
    for seq, closed_by in enumerate(
        (
            ClosedBy.RUN,
            ClosedBy.CRASHES,
            ClosedBy.INSTANCE,
            ClosedBy.MAIN_EVENT,
            ClosedBy.LATE_PLAN,
            ClosedBy.END_DATE,
            ClosedBy.OPERATOR,
            ClosedBy.CONTROLLER,
            ClosedBy.MIGRATION,
        ),
        start=1,
    )
)
"""A record for each cause that closed an event in the first schema."""

COINCIDING = replace(
    RECORD,
    event=replace(PLANNED, status=EventStatus.CANCELED),
    end=None,
    closed_by=ClosedBy.COINCIDES,
    why="skipped: its cycle coincides with the one before it",
)

NO_BUSINESS_DAY = replace(
    COINCIDING, closed_by=ClosedBy.NO_BUSINESS_DAY, why="skipped: Sunday 1 February 2026 is a weekend day"
)

FAILED = replace(
    RECORD,
    event=replace(EXECUTING, status=EventStatus.FAILED, failure=DECLINED, attempt=3, run=3),
    last=SUCCESS,
    end=RunEnd(how=Ending.EXHAUSTED, attempt=3, failure=FAILURE),
)


def _history(name: str, value: EventHistory, seq: int, *writes: Callable[[Stores], None]) -> Golden:
    """Return a golden history of an event of ``NEW``."""

    def write(stores: Stores) -> None:
        for one in writes:
            one(stores)

    return Golden(
        name=f"events/{name}",
        value=value,
        write=write,
        read=lambda stores: stores.instances.event_history(SID, seq),
    )


def _entries(name: str, *entries: JournalEntry) -> Golden:
    def write(stores: Stores) -> None:
        for entry in entries:
            stores.instances.append(NEW, entry)

    return _history(name, EventHistory(entries=entries), entries[0].seq, write)


def _records(name: str, *records: EventRecord) -> Golden:
    """Return golden records, found by their instance and by the month in which they closed, latest first."""

    def write(stores: Stores) -> None:
        for record in records:
            stores.instances.put_record(NEW, record)

    def read(stores: Stores) -> object:
        store, month = stores.instances, at(1).date()
        last = max(record.event.seq for record in records)
        since, until = at(1, 0), at(31, 23)
        return {
            "of the instance": store.records_before(SID, last + 1, limit=99),
            "of the month": list(
                store.records_of_month(NEW.account_id, month, since=since, until=until, limit=99)
            ),
            "count": dict(store.count_closed(NEW.account_id, month, since=since, until=until, most=99)),
        }

    statuses = [record.event.status for record in records]
    value = {
        "of the instance": sorted(records, key=lambda record: record.event.seq, reverse=True),
        "of the month": sorted(records, key=lambda record: record.finished_at, reverse=True),
        "count": {status: statuses.count(status) for status in statuses},
    }
    return Golden(name=f"events/{name}", value=value, write=write, read=read)


EVENTS = (
    _entries("entry", SUCCESS),
    _entries("entry-full", FULL_ENTRY),
    _entries("entry-with-next-step", BRANCHED),
    _entries("entries-failed", *FAILURES),
    _entries("entry-skipped", SKIPPED),
    _entries("entry-in-doubt-since", IN_DOUBT_SINCE),
    _entries("entry-with-failed-rule", FAILED_RULE),
    _entries("entry-before-retry", BEFORE_RETRY),
    _history(
        "answers",
        EventHistory(
            answers=(replace(ANSWER, key="e4a7", body=None, correlation_id=CorrelationId("theirs")), ANSWER)
        ),
        7,
        lambda stores: stores.instances.put_answer(NEW, 7, ANSWER),
        lambda stores: stores.instances.put_answer(
            NEW, 7, replace(ANSWER, key="e4a7", body=None, correlation_id=CorrelationId("theirs"))
        ),
    ),
    _history(
        "record-and-journal",
        EventHistory(entries=(SUCCESS,), record=RECORD),
        1,
        lambda stores: stores.instances.append(NEW, SUCCESS),
        lambda stores: stores.instances.put_record(NEW, RECORD),
    ),
    _records("record-failed", FAILED),
    expiring(_records("record-expiring", RECORD)),
    _records("record-full", FULL_RECORD),
    _records("records-closed-by", *CLOSED),
    _records("record-coinciding", COINCIDING),
    _records("record-no-business-day", NO_BUSINESS_DAY),
)
