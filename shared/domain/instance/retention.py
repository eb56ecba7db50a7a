"""How long records and audit entries are kept, and the fate of an event whose record has expired.

Source: docs/decisions/0052-records-and-audit-expire.md.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from shared.domain.instance.model import Instance

MIN_RETENTION = timedelta(days=90)
"""The shortest time for which records and audit entries can be kept.

Bulk operations, logs and changes that could not be published are kept for as long, and refer to them. It is also far
longer than a record is needed: a call is repeated without an operator only within ``MAX_DOUBT_AGE``
(``steps/in_doubt.py``), and the publisher reads one within a day.
"""


class Retention(Struct, frozen=True, kw_only=True):
    """How long the records of closed events, and audit entries, are kept. None keeps them for good."""

    records: timedelta | None = None
    audit: timedelta | None = None


def expiry(at: datetime, kept: timedelta | None) -> datetime | None:
    """Return when something of that instant expires, or None if it is kept for good."""
    return None if kept is None else at + kept


class Standing(StrEnum):
    """How an event stands whose record was deleted because it had expired."""

    CLOSED = "closed"
    """It can never run again. Its journal and its answers are of no use."""
    OPEN = "open"
    """It is on its instance. Its record may have the last step of its run, which is stored nowhere else."""
    PROBLEM = "listed as a problem"
    """It failed, and can be retried until an operator dismisses it."""
    UNKNOWN = "unknown"
    """Its instance was not found, cannot be read, or does not know it."""
    RECORDED = "recorded again"
    """It has a record again, with an expiry of its own."""


def standing(instance: Instance | None, seq: int, *, has_record: bool) -> Standing:
    """Return how an event stands whose record has expired.

    ``instance`` and ``has_record`` were read at one instant. ``instance`` is None if it was not found, or cannot be
    read.
    """
    if has_record:
        return Standing.RECORDED
    # A table that was restored to an earlier moment does not know the latest events.
    if instance is None or seq >= instance.next_seq:
        return Standing.UNKNOWN
    # The record may also be one of an earlier run (ADR 20); nothing tells it apart here.
    if instance.event(seq) is not None:
        return Standing.OPEN
    if any(failed.seq == seq for failed in instance.failed_events):
        return Standing.PROBLEM
    # A redrive needs the record, and nothing writes one for an event that is not open.
    return Standing.CLOSED
