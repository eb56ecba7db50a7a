"""Conversion between plain values and DynamoDB's attributes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.dynamodb.attributes import Plain, from_attributes, to_attributes
from shared.domain.errors import StoredShapeError

SCALARS = st.text() | st.integers() | st.booleans() | st.none()
ITEMS = st.dictionaries(st.text(), SCALARS | st.dictionaries(st.text(), SCALARS))


class TestAttributes:
    """Each kind of value has one attribute type."""

    @pytest.mark.parametrize(
        ("plain", "stored"),
        [
            ("text", {"S": "text"}),
            ("", {"S": ""}),
            (0, {"N": "0"}),
            (-12345678901234567890, {"N": "-12345678901234567890"}),
            (True, {"BOOL": True}),
            (False, {"BOOL": False}),
            (None, {"NULL": True}),
            ({"a": 1, "b": None}, {"M": {"a": {"N": "1"}, "b": {"NULL": True}}}),
        ],
    )
    def test_each_kind_of_value_is_written_and_read(self, plain: Plain, stored: dict[str, Any]) -> None:
        assert to_attributes({"it": plain}) == {"it": stored}
        found = from_attributes({"it": stored})["it"]
        assert (found, type(found)) == (plain, type(plain))

    @given(ITEMS)
    def test_any_written_item_is_read_back(self, item: dict[str, Plain]) -> None:
        assert from_attributes(to_attributes(item)) == item

    @pytest.mark.parametrize("other", [1.5, b"bytes", ["list"], object()])
    def test_a_value_of_another_kind_is_not_written(self, other: Any) -> None:
        with pytest.raises(TypeError, match="no attribute value"):
            to_attributes({"it": other})

    @pytest.mark.parametrize("other", [{"L": []}, {"SS": ["a"]}, {"B": b""}, {"N": "1.5"}, {"S": 1}, {}])
    def test_an_attribute_of_another_type_is_not_read(self, other: dict[str, Any]) -> None:
        with pytest.raises(StoredShapeError, match="attribute it"):
            from_attributes({"it": other})
