"""The result of a command: a verdict with the new state and everything to store with it."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.calendar.dates import format_instant
from shared.domain.errors import Problem
from shared.domain.ids import AccountId, EventSid, OperationSid
from shared.domain.instance.event import Event
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import MAX_OPERATIONS, Instance
from shared.domain.instance.redated import NotRedated, Redated
from shared.domain.instance.skipped import Skipped


class Actor(Struct, frozen=True, kw_only=True):
    """The author of a command: the id of an access key, or ``engine``, with an optional reason.

    ``operation`` is the bulk operation that sent the command. ``minutes_spent`` and ``ticket`` are the caller's own
    records of effort and ticket number. ``options`` are the command's options as the caller named them, whether or
    not they have an effect.
    """

    name: str
    reason: str | None = None
    operation: OperationSid | None = None
    minutes_spent: int | None = None
    ticket: str | None = None
    options: tuple[str, ...] = ()


ENGINE = Actor(name="engine")
"""The engine itself, for changes made by a run or a rule."""


class Change(Struct, frozen=True, kw_only=True):
    """An instance after a change, and the records of the events that the change closed."""

    instance: Instance
    records: tuple[EventRecord, ...] = ()

    def then(self, other: "Change") -> "Change":
        """Return both changes as one; ``other`` was made on top of this one."""
        return Change(instance=other.instance, records=self.records + other.records)


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One entry of the audit trail: the author, time and reason of a change.

    ``target`` is the sid of an instance, a strategy or an operation, ``queue``, or the id of an access key. ``event``
    is the instance's event that the command named or dated again, if any. ``operation`` is the bulk operation that
    sent the command.
    ``from_state`` and ``to_state`` are statuses, or versions of a strategy; None if there is nothing before or after.
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


class Applied(Struct, frozen=True, kw_only=True):
    """The command changed the instance. Instance, records and audit entry are saved together or not at all.

    ``records`` are the events that closed. ``audit`` is set if the change must be traceable. ``skipped`` are the
    planned dates that will not run because of it. ``canceled_events`` counts the events it closed or stops.
    ``redated`` are the planned events that a changed attribute has moved, and ``not_redated`` says which are not, and
    why. ``reopened`` is the record of an event that is open again: the record is deleted, and its last step moves to
    the journal.
    """

    instance: Instance
    records: tuple[EventRecord, ...] = ()
    audit: AuditEntry | None = None
    skipped: Skipped | None = None
    canceled_events: int = 0
    redated: tuple[Redated, ...] = ()
    not_redated: tuple[NotRedated, ...] = ()
    reopened: EventRecord | None = None


class AlreadyThere(Struct, frozen=True, kw_only=True):
    """The instance is already in the requested state. Nothing is written."""

    instance: Instance


class RefusalRule(StrEnum):
    """The reason why a command is refused. Each dialect maps it to a response in one table."""

    STATE = "state"
    """The status of the instance or the event does not allow the command."""
    FINISHED = "finished"
    """The event is closed."""
    UNKNOWN = "unknown"
    """There is no such event, or no call with that correlation id."""
    BEGUN = "begun"
    """The command requires that no event has begun, but one has."""
    SELECTION = "selection"
    """The instance no longer matches the bulk operation's selection."""
    ROOM = "room"
    """The instance already has the maximum number of unfinished events."""
    INPUT = "input"
    """The command's own values are invalid; ``problems`` lists them."""
    ATTRIBUTES = "attributes"
    """The attributes do not match the schema of the version to migrate to."""
    SHIFT = "shift"
    """The plan's dates cannot be moved like that: the rhythm is fixed, or another cycle would not run."""
    TOO_MANY_MISSED = "too-many-missed"
    """More dates were missed than the engine catches up."""
    KEY_REUSED = "key-reused"
    """The Idempotency-Key was used before with another body."""


class Refused(Struct, frozen=True, kw_only=True):
    """The instance does not allow the command. Nothing is written.

    ``problems`` lists the invalid values if ``rule`` is ``INPUT``.
    """

    instance: Instance
    why: str
    rule: RefusalRule
    problems: tuple[Problem, ...] = ()


Verdict = Applied | AlreadyThere | Refused
"""The result of a command."""


def audit_entry(
    account: AccountId,
    target: str,
    command: str,
    *,
    by: Actor,
    now: datetime,
    states: tuple[str | None, str | None] = (None, None),
) -> AuditEntry:
    """Return the audit entry of a change to something other than an instance.

    ``states`` are the states before and after.
    """
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


def dates_before(before: Instance, after: Instance, event: Event | None) -> tuple[str, ...]:
    """Return the options of an audit entry with the dates that moved events had before the command.

    That of ``event``, the event of the entry, is ``before=``; that of another event is ``before-<seq>=``.
    """
    found = []
    for old in before.events:
        new = after.event(old.seq)
        if new is not None and new.date != old.date:
            name = "before" if event is not None and old.seq == event.seq else f"before-{old.seq}"
            found.append(f"{name}={format_instant(old.date)}")
    return tuple(found)


def audited(
    before: Instance,
    change: Change,
    *,
    command: str,
    by: Actor,
    now: datetime,
    event: Event | None = None,
) -> Applied:
    """Return a change with its audit entry. ``event`` is the event that the command named or dated again, if any."""
    after = change.instance
    # A bulk worker that crashes is replaced by another, which finds the operation here and does not repeat it.
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
