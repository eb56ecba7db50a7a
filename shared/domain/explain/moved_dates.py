"""Dates that a command moved an event away from, as the audit trail has them.

An event knows only the date that its cycle is planned for. A moved rhythm, a second move and a changed attribute leave
no other trace of the date before.
Source: docs/contracts/core.md section 5 (``explain``); docs/decisions/0062.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from msgspec import Struct

from shared.domain.calendar.dates import parse_instant
from shared.domain.ids import event_address
from shared.domain.instance.verdict import AuditEntry

A_MINUTE = timedelta(minutes=1)

_BEFORE = re.compile(r"before(?:-(?P<seq>\d+))?=(?P<date>.+)")
"""The option of an entry with the date that an event had before. Without a number, it is the event of the entry."""


class MovedDate(Struct, frozen=True, kw_only=True):
    """A command moved the event with the number ``seq`` at ``at``. ``by`` and ``why`` are from the command."""

    seq: int
    at: datetime
    by: str
    why: str | None = None


def moved_away(audit: Iterable[AuditEntry], minute: datetime) -> MovedDate | None:
    """Return the latest move of an event that was due in the minute, or None."""
    moves = [
        MovedDate(seq=seq, at=entry.at, by=entry.by, why=entry.reason)
        for entry in audit
        for seq, before in _dates_before(entry)
        if minute <= before < minute + A_MINUTE
    ]
    return max(moves, key=lambda move: move.at, default=None)


def _dates_before(entry: AuditEntry) -> Iterator[tuple[int, datetime]]:
    """Yield the number of each event that the command moved, with the date before."""
    address = None if entry.event is None else event_address(entry.event)
    for option in entry.options:
        match = _BEFORE.fullmatch(option)
        if match is not None and match["seq"] is not None:
            yield int(match["seq"]), parse_instant(match["date"])
        elif match is not None and address is not None:
            yield address[1], parse_instant(match["date"])
