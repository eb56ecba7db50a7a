"""An operation that needs a whole list fails if a part of it cannot be read, and names the part."""

import pytest

from shared.application.ports import Unreadable, all_readable
from shared.domain.errors import StoredShapeError


class TestAllReadable:
    """The items of a list are returned only if all of them can be read."""

    def test_a_readable_list_is_returned_in_its_order(self) -> None:
        assert all_readable([3, 1, 2]) == [3, 1, 2]

    def test_an_empty_list_is_readable(self) -> None:
        assert all_readable([]) == []

    def test_an_unreadable_item_is_named_with_its_reason(self) -> None:
        with pytest.raises(StoredShapeError, match=r"^7: an item has schema 99 instead of 1$"):
            all_readable([3, Unreadable(key=7, why="an item has schema 99 instead of 1"), 2])
