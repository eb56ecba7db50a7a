"""Instances, events, records and journal entries for the contract tests."""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from shared.domain.ids import InstanceSid
from shared.domain.instance.due import swept_partition
from shared.domain.instance.event import Event, EventKind, EventStatus
from shared.domain.instance.journal import EventRecord, JournalEntry
from shared.domain.instance.model import (
    Instance,
    Origin,
)
from shared.domain.instance.run import RunEnd
from shared.domain.instance.verdict import AuditEntry
from tests import full
from tests.full import at

SHARD = swept_partition(3)
A_LONG_TIME = timedelta(days=365)


def an_event(seq: int = 1, *, due: datetime | None = None) -> Event:
    when = due or at(20)
    return Event(
        seq=seq,
        kind=EventKind.MAIN,
        task="charge",
        date=when,
        due_at=when,
        status=EventStatus.PENDING,
        created_at=at(1),
        updated_at=at(1),
        created_cycle=1,
    )


def an_instance(sid: str = "i-1", *, due: datetime | None = None, rev: int = 1) -> Instance:
    return Instance(
        sid=InstanceSid(sid),
        account_id=full.ACCOUNT,
        strategy_sid=full.STRATEGY,
        strategy_version=1,
        origin=Origin(strategy_id="gym-membership"),
        start_date=at(1),
        created_at=at(1),
        updated_at=at(1),
        shard=3,
        events=(an_event(due=due),),
        next_seq=2,
        rev=rev,
    )


def changed(instance: Instance, **changes: object) -> Instance:
    change: Callable[..., Instance] = replace
    return change(instance, rev=instance.rev + 1, **changes)


def a_record(instance: Instance, seq: int = 1, *, fence: int = 0, why: str | None = None) -> EventRecord:
    closed = replace(an_event(seq), status=EventStatus.CANCELED)
    return EventRecord(instance_sid=instance.sid, event=closed, fence=fence, finished_at=at(9), why=why)


def an_audit(instance: Instance) -> AuditEntry:
    return replace(full.AUDIT, target=instance.sid)


def an_entry(
    run: int = 1, visit: int = 1, *, seq: int = 1, fence: int = 1, error: str | None = None
) -> JournalEntry:
    intent = replace(full.INTENT, visit=visit)
    return replace(
        full.ENTRY,
        seq=seq,
        run=run,
        fence=fence,
        intent=intent,
        outcome=replace(full.OUTCOME, response=error),
        then=RunEnd(how=full.END.how, attempt=1),
    )
