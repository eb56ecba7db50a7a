"""The answers of lists: ``{"items": [...], "nextCursor": ...}``. Source: contracts/core.md section 4, row 23."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from shared.api.core.answers import PageOf
from shared.api.core.schemas import PageQuery
from shared.api.http.cursor import cursor_of, place_in
from shared.api.http.request import Request

T = TypeVar("T")


class Paging:
    """The pages of one list.

    of: names the list with its filters; its account is added. A cursor is good for that list only.
    """

    def __init__(self, request: Request, of: str, query: PageQuery) -> None:
        self._of = f"{request.principal.account_id}: {of}"
        self._hasher = request.hasher
        self._query = query

    def before(self, read: Callable[[str], T]) -> T | None:
        """The place before which this page begins; None for the first. Raises: InvalidInputError."""
        cursor = self._query.cursor
        return None if cursor is None else read(place_in(cursor, of=self._of, hasher=self._hasher))

    def page(self, shapes: Sequence[T], places: Sequence[str]) -> PageOf[T]:
        """The page of these, of which one more than asked for was read. places: of each in the list."""
        limit = self._query.limit
        after = places[limit - 1] if len(shapes) > limit else None
        return self.page_up_to(shapes[:limit], after)

    def page_up_to(self, shapes: Sequence[T], after: str | None) -> PageOf[T]:
        """The page of just these. after: the place behind which the next begins; None where it is the last."""
        if after is None:
            return {"items": list(shapes)}
        return {"items": list(shapes), "nextCursor": cursor_of(after, of=self._of, hasher=self._hasher)}
