"""The published rules of sizes and costs, with the examples of AWS's documentation."""

from typing import Any

import pytest

from dev.metering.item_size import index_write_units, item_bytes, read_units, value_bytes, write_units

KB = 1024


class TestSizes:
    """Source: Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats"."""

    @pytest.mark.parametrize(
        ("value", "size"),
        [
            ({"S": "abc"}, 3),
            ({"S": ""}, 0),
            ({"S": "é€"}, 5),
            ({"B": b"\x00\x01"}, 2),
            ({"BOOL": False}, 1),
            ({"NULL": True}, 1),
            ({"N": "0"}, 1),
            ({"N": "7"}, 2),
            ({"N": "21"}, 2),
            ({"N": "123"}, 3),
            ({"N": "100"}, 2),
            ({"N": "0.0012"}, 2),
            ({"N": "-21"}, 3),
            ({"N": "1.5E+10"}, 2),
            ({"N": "9" * 38}, 20),
            ({"M": {}}, 3),
            ({"M": {"ab": {"S": "c"}}}, 3 + 2 + 1 + 1),
            ({"L": []}, 3),
            ({"L": [{"S": "ab"}, {"BOOL": True}]}, 3 + 2 + 1 + 2),
            ({"SS": ["ab", "c"]}, 3),
            ({"NS": ["12", "3"]}, 4),
        ],
    )
    def test_each_attribute_type_has_its_size(self, value: dict[str, Any], size: int) -> None:
        assert value_bytes(value) == size

    def test_the_names_of_attributes_count_too(self) -> None:
        assert item_bytes({"sid": {"S": "i-1"}, "größe": {"N": "12"}}) == 3 + 3 + 7 + 2

    def test_an_unknown_attribute_type_is_refused(self) -> None:
        with pytest.raises(ValueError, match="unknown attribute type: X"):
            value_bytes({"X": "1"})


class TestUnits:
    """Source: Amazon DynamoDB Developer Guide, "Read and write capacity unit consumption"."""

    @pytest.mark.parametrize(
        ("size", "units"), [(0, 1), (512, 1), (KB, 1), (KB + 1, 2), (1536, 2), (3584, 4)]
    )
    def test_a_write_costs_one_unit_for_each_kilobyte_begun(self, size: int, units: int) -> None:
        assert write_units(size) == units

    @pytest.mark.parametrize(
        ("size", "strong", "eventual"), [(0, 1, 0.5), (4 * KB, 1, 0.5), (8 * KB, 2, 1), (10 * KB, 3, 1.5)]
    )
    def test_a_read_costs_one_unit_for_each_4_kb_begun_or_half(
        self, size: int, strong: float, eventual: float
    ) -> None:
        assert read_units(size, strong=True) == strong
        assert read_units(size, strong=False) == eventual

    def test_a_query_rounds_its_items_together(self) -> None:
        """40.8 KB are rounded up to 44 KB: 11 units, or 5.5."""
        assert read_units(int(40.8 * KB), strong=True) == 11
        assert read_units(int(40.8 * KB), strong=False) == 5.5

    @pytest.mark.parametrize(
        ("before", "after", "units"),
        [
            (None, None, 0),
            (None, ("a", 100), 1),
            (("a", 100), None, 1),
            (("a", 100), ("b", 100), 2),
            (("a", 100), ("a", 100), 0),
            (("a", 2000), ("b", 100), 3),
        ],
    )
    def test_an_index_write_costs_units_for_new_and_removed_entries(
        self, before: tuple[str, int] | None, after: tuple[str, int] | None, units: int
    ) -> None:
        assert index_write_units(before, after) == units
