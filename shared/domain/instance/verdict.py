"""What a command comes to: a verdict, the state after it, and what is to be stored with it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shared.domain.errors import Problem
from shared.domain.ids import AccountId, EventSid, OperationSid
from shared.domain.instance.event import Event
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import MAX_OPERATIONS, Instance
from shared.domain.instance.skipped import Skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who commands: an access key's id or ``engine``, with an optional reason for the audit trail.

    operation: the bulk operation through which they do. minutes_spent, ticket: what it cost them, and where it is
    dealt with, as they say. options: of the command, as its caller named them, whether or not they change anything.
    """

    name: str
    reason: str | None = None
    operation: OperationSid | None = None
    minutes_spent: int | None = None
    ticket: str | None = None
    options: tuple[str, ...] = ()


ENGINE = Actor(name="engine")
"""The engine itself, where a run or a rule changes an instance's status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An instance after a change, and the events that closed with it."""

    instance: Instance
    records: tuple[EventRecord, ...] = ()

    def then(self, other: "Change") -> "Change":
        """Both changes; ``other`` was made on top of this one."""
        return Change(instance=other.instance, records=self.records + other.records)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who changed what, when, from which state to which, and why.

    target: the sid of an instance, a strategy or an operation, ``queue``, or an access key's id.
    event: which of the instance's events was meant, where it was one.
    operation: the bulk operation through which it was done.
    from_state, to_state: statuses; of a strategy its versions; None where there is nothing before or after.
    minutes_spent, ticket, options: as the actor told them.
    """

    account_id: AccountId
    target: str
    at: datetime
    by: str
    command: str
    event: EventSid | None = None
    from_state: str | None = None
    to_state: str | None = None
    reason: str | None = None
    operation: OperationSid | None = None
    minutes_spent: int | None = None
    ticket: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The command changed the instance.

    records: events that closed with it. audit: who did it, where somebody must be able to ask.
    skipped: planned dates that will not run because of it. canceled_events: how many it closed or stops.
    reopened: the record of an event that is open again: it goes, and its last step joins the journal.
    Instance, records and audit are stored together or not at all.
    """

    instance: Instance
    records: tuple[EventRecord, ...] = ()
    audit: AuditEntry | None = None
    skipped: Skipped | None = None
    canceled_events: int = 0
    reopened: EventRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadyThere:
    """The instance is what the command wants. Nothing is to be written."""

    instance: Instance


class RefusalRule(StrEnum):
    """Why a command is refused. Each dialect that answers refusals has one table from here to its answer."""

    STATE = "state"
    """The status of the instance or the event does not allow the command."""
    FINISHED = "finished"
    """The event is closed."""
    UNKNOWN = "unknown"
    """There is no such event, or no call with such a correlation id."""
    BEGUN = "begun"
    """An event has begun, and the command is only for instances of which none has."""
    SELECTION = "selection"
    """The instance no longer fits the selection of the bulk operation."""
    ROOM = "room"
    """The instance has as many unfinished events as it may have."""
    INPUT = "input"
    """The command's own values are invalid; ``problems`` lists why."""
    ATTRIBUTES = "attributes"
    """The attributes do not fit the schema of the version to migrate to."""
    SHIFT = "shift"
    """The plan cannot be moved by the length of the pause."""
    TOO_MANY_MISSED = "too-many-missed"
    """More dates have passed than are caught up."""
    KEY_REUSED = "key-reused"
    """The Idempotency-Key was used with another body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The instance does not allow the command. Nothing is to be written.

    problems: what is wrong with the command's values, if ``rule`` is ``INPUT``.
    """

    instance: Instance
    why: str
    rule: RefusalRule
    problems: tuple[Problem, ...] = ()


Verdict = Applied | AlreadyThere | Refused
"""What a command came to."""


def audit_entry(
    account: AccountId,
    target: str,
    command: str,
    *,
    by: Actor,
    now: datetime,
    states: tuple[str | None, str | None] = (None, None),
) -> AuditEntry:
    """The audit entry of a change to something that is no instance. states: before and after."""
    return AuditEntry(
        account_id=account,
        target=target,
        at=now,
        by=by.name,
        command=command,
        from_state=states[0],
        to_state=states[1],
        reason=by.reason,
        minutes_spent=by.minutes_spent,
        ticket=by.ticket,
        options=by.options,
    )


def audited(
    before: Instance,
    change: Change,
    *,
    command: str,
    by: Actor,
    now: datetime,
    event: Event | None = None,
) -> Applied:
    """A change with its audit entry. event: the one that was meant, where it was one.

    The instance notes the bulk operation it was changed through, which so finds it done whoever dies.
    """
    after = change.instance
    if by.operation is not None:
        after = replace(after, operations=(*after.operations, by.operation)[-MAX_OPERATIONS:])
    return Applied(
        instance=after,
        records=change.records,
        audit=AuditEntry(
            account_id=before.account_id,
            target=before.sid,
            at=now,
            by=by.name,
            command=command,
            event=None if event is None else before.event_sid(event),
            from_state=before.status.value,
            to_state=after.status.value,
            reason=by.reason,
            operation=by.operation,
            minutes_spent=by.minutes_spent,
            ticket=by.ticket,
            options=by.options,
        ),
    )
