"""The pages of lists: ``{"items": [...], "nextCursor": ...}``. Source: docs/contracts/core.md section 4, row 23."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TypeVar, assert_never

from shared.api.core.answers import PageOf, UnreadableShape
from shared.api.core.schemas import PageQuery
from shared.api.http.cursor import cursor_of, place_in
from shared.api.http.request import Request
from shared.application.ports import AuditPosition, PageKey, Unreadable, audit_position_text

MAX_NAMED = 100
"""How many unreadable items a page names."""

MAX_WHY = 500
"""Characters of the reason."""

T = TypeVar("T")
Shape = TypeVar("Shape")
Named = PageKey | AuditPosition | str | int
Key = TypeVar("Key", PageKey, int)


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

    def page(
        self,
        found: Sequence[T | Unreadable[Key]],
        *,
        shape: Callable[[T], Shape],
        key: Callable[[T], Key],
        text: Callable[[Key], str],
    ) -> PageOf[Shape]:
        """Return a page of the first items found. There is a next page if one more than the limit was found.

        ``key`` is the position of an item in the list, and ``text`` writes it for a cursor.
        """
        limit = self._query.limit
        kept = found[:limit]
        after: str | None = None
        if len(found) > limit:
            last = kept[-1]
            after = text(last.key if isinstance(last, Unreadable) else key(last))
        shapes = [shape(item) for item in kept if not isinstance(item, Unreadable)]
        return self.page_up_to(shapes, after, [item for item in kept if isinstance(item, Unreadable)])

    def page_up_to(
        self, shapes: Sequence[Shape], after: str | None, unreadable: Sequence[Unreadable[Named]] = ()
    ) -> PageOf[Shape]:
        """Return a page of all these shapes. The next page begins behind ``after``; None for the last page."""
        page: PageOf[Shape] = {"items": list(shapes)}
        if unreadable:
            page["unreadable"] = unreadable_shapes((_id_of(item.key), item.why) for item in unreadable)
        if after is not None:
            page["nextCursor"] = cursor_of(after, list_name=self._name, hasher=self._hasher)
        return page


def unreadable_shapes(found: Iterable[tuple[str, str]]) -> list[UnreadableShape]:
    """Return the first items that cannot be read. Each has an id and a reason."""
    return [{"id": name, "why": why[:MAX_WHY]} for name, why in islice(found, MAX_NAMED)]


def _id_of(key: Named) -> str:
    match key:
        case PageKey(sid=sid):
            return sid
        case AuditPosition():
            return audit_position_text(key)
        case str() | int():
            return str(key)
        case _:
            assert_never(key)
