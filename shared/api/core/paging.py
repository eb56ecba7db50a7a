"""The answers of lists: ``{"items": [...], "nextCursor": ...}``. Source: contracts/core.md section 4, row 23."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from shared.api.core.call import Call
from shared.api.core.schemas import PageQuery
from shared.api.http.cursor import cursor_of, place_in

T = TypeVar("T")


class Paging:
    """One list that is asked for page by page.

    of: names the list with its filters; its account is added. A cursor is good for that list only.
    """

    def __init__(self, call: Call, of: str, asked: PageQuery) -> None:
        self._of = f"{call.principal.account_id}: {of}"
        self._hasher = call.gate.hasher
        self._asked = asked

    def before(self, read: Callable[[str], T]) -> T | None:
        """The place before which this page begins; None for the first. Raises: InvalidInputError."""
        cursor = self._asked.cursor
        return None if cursor is None else read(place_in(cursor, of=self._of, hasher=self._hasher))

    def page(self, shapes: Sequence[Any], places: Sequence[str]) -> dict[str, Any]:
        """The page of these, of which one more than asked for was read. places: of each in the list."""
        limit = self._asked.limit
        after = places[limit - 1] if len(shapes) > limit else None
        return self.page_up_to(shapes[:limit], after)

    def page_up_to(self, shapes: Sequence[Any], after: str | None) -> dict[str, Any]:
        """The page of just these. after: the place behind which the next begins; None where it is the last."""
        items = {"items": list(shapes)}
        if after is None:
            return items
        return items | {"nextCursor": cursor_of(after, of=self._of, hasher=self._hasher)}
