"""The pages of lists: ``{"items": [...], "nextCursor": ...}``. Source: docs/contracts/core.md section 4, row 23."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from shared.api.core.answers import PageOf
from shared.api.core.schemas import PageQuery
from shared.api.http.cursor import cursor_of, place_in
from shared.api.http.request import Request

T = TypeVar("T")


class Paging:
    """The pages of one list. ``list_name`` names the list with its filters; cursors of other lists are refused."""

    def __init__(self, request: Request, list_name: str, query: PageQuery) -> None:
        # With the account in it, a cursor is useless to other accounts.
        self._name = f"{request.principal.account_id}: {list_name}"
        self._hasher = request.hasher
        self._query = query

    def before(self, read: Callable[[str], T]) -> T | None:
        """Return the place before which this page begins, or None for the first. Raises: InvalidInputError."""
        cursor = self._query.cursor
        return None if cursor is None else read(place_in(cursor, list_name=self._name, hasher=self._hasher))

    def page(self, shapes: Sequence[T], places: Sequence[str]) -> PageOf[T]:
        """Return a page. ``shapes`` has one more than the limit if there is a next page, ``places`` their places."""
        limit = self._query.limit
        after = places[limit - 1] if len(shapes) > limit else None
        return self.page_up_to(shapes[:limit], after)

    def page_up_to(self, shapes: Sequence[T], after: str | None) -> PageOf[T]:
        """Return a page of all these shapes. The next page begins behind ``after``; None for the last page."""
        if after is None:
            return {"items": list(shapes)}
        return {
            "items": list(shapes),
            "nextCursor": cursor_of(after, list_name=self._name, hasher=self._hasher),
        }
