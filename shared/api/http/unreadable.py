"""A header that names the items of a list that cannot be read, for contracts whose answers have no place for them."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from shared.application.ports import Unreadable

HEADER = "X-Ritornello-Unreadable"
MAX_NAMED = 20

T = TypeVar("T")


class UnreadableItems:
    """The items that were left out of one list."""

    def __init__(self) -> None:
        self._ids: list[str] = []

    def add(self, items: Iterable[Unreadable[str]]) -> None:
        """Keep the ids of these items."""
        self._ids += [item.key for item in items]

    def skip_unreadable(self, found: Iterable[T | Unreadable[str]]) -> Iterator[T]:
        """Yield the items that can be read, and keep the ids of the others."""
        for item in found:
            if isinstance(item, Unreadable):
                self._ids.append(item.key)
            else:
                yield item

    def headers(self) -> dict[str, str]:
        """Return the header, once the list is complete; no header if nothing was left out."""
        if not self._ids:
            return {}
        more = len(self._ids) - MAX_NAMED
        return {HEADER: ", ".join(self._ids[:MAX_NAMED]) + (f", and {more} more" if more > 0 else "")}
