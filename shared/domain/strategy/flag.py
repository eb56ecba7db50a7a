"""The flag of a strategy or a queue, which blocks due events, and when it was paused.

Source: docs/design.md sections 3.3 and 4; docs/decisions/0063.
"""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

MAX_FLAG_PAUSES = 8
"""How many pauses a flag remembers, so that its item stays small."""


class FlagPause(Struct, frozen=True, kw_only=True):
    """A period in which a flag was paused. ``until`` is None while it lasts."""

    since: datetime
    until: datetime | None = None


class Flag(Struct, frozen=True, kw_only=True):
    """A flag. ``pauses`` are its last pauses, latest last.

    A pause that was stored by a release without ``pauses`` is not among them.
    """

    is_paused: bool = False
    pauses: tuple[FlagPause, ...] = ()

    def paused(self, *, now: datetime) -> "Flag":
        """Return the flag paused from ``now`` on."""
        return Flag(is_paused=True, pauses=_shortened((*self.pauses, FlagPause(since=now))))

    def resumed(self, *, now: datetime) -> "Flag":
        """Return the flag active from ``now`` on."""
        return Flag(
            pauses=tuple(pause if pause.until else replace(pause, until=now) for pause in self.pauses)
        )


def _shortened(pauses: tuple[FlagPause, ...]) -> tuple[FlagPause, ...]:
    """Return the pauses, with the two oldest as one if there are too many."""
    if len(pauses) <= MAX_FLAG_PAUSES:
        return pauses
    # The time between them then counts as paused: nobody is charged for a date that may have been paused.
    first, second, *later = pauses
    return (FlagPause(since=first.since, until=second.until), *later)
