"""Workers without threads. Source: shared/application/ports.py (Workers)."""

from collections.abc import Callable, Sequence

from shared.application.ports import Crash, Item, Result


class OneWorker:
    """``Workers`` that are one: it does piece after piece, in order."""

    def run(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result | Crash]:
        """Do the work for each item and return the results in order."""
        return [outcome_of(work, item) for item in items]


def outcome_of(work: Callable[[Item], Result], item: Item) -> Result | Crash:
    """Return the result of a piece of work, or the exception that it ended with."""
    try:
        return work(item)
    except Exception as error:  # noqa: BLE001 - any exception is the result of its piece of work
        return Crash(error)
