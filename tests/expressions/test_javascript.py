"""The functions with the meaning of JavaScript's operators. Source: docs/expressions.md."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.expressions import javascript

AT = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BIG = 2**53 + 1


class TestEquality:
    """``==`` converts texts and booleans to numbers; ``===`` never converts."""

    @pytest.mark.parametrize(
        ("left", "right", "loosely", "strictly"),
        [
            (1, 1.0, True, True),
            (1, "1", True, False),
            (1, " 1\n", True, False),
            (1, "1x", False, False),
            (0, "", True, False),
            (0, None, False, False),
            (False, "0", True, False),
            (True, 1, True, False),
            (True, True, True, True),
            ("a", "a", True, True),
            ("1", "1.0", False, False),
            (None, None, True, True),
            (None, "", False, False),
            (math.nan, math.nan, False, False),
            (16, "0b10000", True, False),
            (8, "0o10", True, False),
            (-16, "-0x10", False, False),
            (math.inf, "Infinity", True, False),
            (BIG, BIG, True, True),
            (BIG, BIG - 1, False, False),
            (BIG, float(BIG), False, False),
            (AT, AT, True, True),
            (AT, "2026-01-01", False, False),
            (HOUR, HOUR, True, True),
            (HOUR, 3600, False, False),
        ],
    )
    def test_two_values_are_equal_or_not(
        self, left: Any, right: Any, *, loosely: bool, strictly: bool
    ) -> None:
        assert (javascript.equals([left, right]), javascript.equals([right, left])) == (loosely, loosely)
        assert javascript.strictly_equals([left, right]) is strictly


class TestOrder:
    """Texts are ordered by their UTF-16 code units, anything else as numbers; NaN has no order."""

    @pytest.mark.parametrize(
        ("left", "right", "less", "less_or_equal"),
        [
            (1, 2, True, True),
            (2, 2.0, False, True),
            ("a", "b", True, True),
            ("a", "a", False, True),
            ("😀", "\uffff", True, True),
            ("10", 9, False, False),
            (None, 0, False, True),
            ("x", 1, False, False),
            (AT, AT + HOUR, True, True),
            (AT, AT, False, True),
            (HOUR, 2 * HOUR, True, True),
            (HOUR, HOUR, False, True),
        ],
    )
    def test_one_value_is_less_or_not(
        self, left: Any, right: Any, *, less: bool, less_or_equal: bool
    ) -> None:
        assert javascript.less([left, right]) is less
        assert javascript.less_or_equal([left, right]) is less_or_equal


class TestArithmetic:
    """The sum of a text and anything is text; whole numbers stay whole up to 2^53."""

    @pytest.mark.parametrize(
        ("found", "expected"),
        [
            (javascript.add([1, 2]), 3),
            (javascript.add([1, 2, "a", 1, 2]), "3a12"),
            (javascript.add([None, True]), 1),
            (javascript.add([2**53, 1.0]), float(2**53)),
            (javascript.add([2**53, 2**53]), float(2**54)),
            (javascript.add(["", math.nan]), "NaN"),
            (javascript.add(["", -math.inf]), "-Infinity"),
            (javascript.add(["", math.inf]), "Infinity"),
            (javascript.add(["", -0.0]), "0"),
            (javascript.add(["", 1234567.0]), "1234567"),
            (javascript.add(["", BIG]), "9007199254740993"),
            (javascript.add(["", -1.5e300]), "-1.5e+300"),
            (javascript.add(["at ", AT]), "at 2026-01-01T00:00:00.000Z"),
            (javascript.divide([1, 0]), math.inf),
            (javascript.divide([-1, 0]), -math.inf),
            (javascript.divide([1, -0.0]), -math.inf),
            (javascript.remainder([-5, 3]), -2),
            (javascript.remainder([5.5, 2]), 1.5),
            (javascript.remainder([1, math.inf]), 1.0),
            (javascript.negate(["5"]), -5),
            (math.copysign(1, javascript.negate([0])), -1.0),  # type: ignore[arg-type]
        ],
    )
    def test_a_result_is_that_of_javascript(self, found: Any, expected: Any) -> None:
        assert (found, isinstance(found, str)) == (expected, isinstance(expected, str))

    @pytest.mark.parametrize(
        "found",
        [
            javascript.divide([0, 0]),
            javascript.divide([math.nan, 0]),
            javascript.remainder([1, 0]),
            javascript.remainder([math.inf, 2]),
            javascript.subtract(["a", 1]),
        ],
    )
    def test_what_has_no_result_is_nan(self, found: float) -> None:
        assert math.isnan(found)

    @pytest.mark.parametrize("operands", [[BIG, 1], [1, -BIG]])
    def test_whole_numbers_beyond_2_53_have_no_arithmetic_and_no_order(self, operands: list[object]) -> None:
        for operator in (javascript.add, javascript.multiply, javascript.less, javascript.less_or_equal):
            with pytest.raises(ValueError, match="beyond 2"):
                operator(operands)


class TestTexts:
    """Inside other text null is empty, and lists and objects are compact JSON."""

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (None, ""),
            (True, "true"),
            (2.0, "2"),
            ([1, {"a": "é"}], '[1,{"a":"é"}]'),
            ("x", "x"),
        ],
    )
    def test_a_value_as_text(self, value: Any, expected: str) -> None:
        assert javascript.text([value]) == expected

    @pytest.mark.parametrize(
        ("value", "counts"),
        [
            ("0", True),
            ("", False),
            (0.0, False),
            (math.nan, False),
            (None, False),
            ([], True),
            ({}, True),
            (timedelta(), True),
            (AT, True),
        ],
    )
    def test_a_value_counts_as_true_or_not(self, value: Any, *, counts: bool) -> None:
        assert javascript.is_true([value]) is counts
