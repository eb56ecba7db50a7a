"""The host functions, called as users call them."""

from datetime import datetime
from pathlib import Path

import pytest

from shared.expressions import EvaluationError, ResultType, Variables, VariableType, evaluate
from shared.expressions.host import HOST_FUNCTIONS

VARIABLES: Variables = {"text": VariableType.STRING, "items": VariableType.ANY}
PAGE = Path(__file__).parents[2] / "docs" / "expressions.md"


def value_of(source: str, **context: object) -> object:
    return evaluate(source, context, variables=VARIABLES, returns=ResultType.ANY)


def instant(source: str) -> str:
    found = value_of(source)
    assert isinstance(found, datetime)
    return found.isoformat()


def refusal(source: str, **context: object) -> str:
    with pytest.raises(EvaluationError) as caught:
        value_of(source, **context)
    return caught.value.message


def at(text: str) -> str:
    return f"timestamp('{text}')"


class TestWithDay:
    """The day of the local month, clamped, wall clock kept."""

    def test_the_day_is_the_local_one(self) -> None:
        # 31 January 20:00 UTC is 1 February 04:00 in Manila.
        assert instant(f"withDay({at('2026-01-31T20:00:00Z')}, 15, 'Asia/Manila')") == (
            "2026-02-14T20:00:00+00:00"
        )

    def test_a_short_month_clamps(self) -> None:
        assert instant(f"withDay({at('2028-02-03T12:00:00Z')}, 31, 'Europe/Lisbon')") == (
            "2028-02-29T12:00:00+00:00"
        )

    def test_the_wall_clock_is_kept_over_a_change_of_the_clocks(self) -> None:
        assert instant(f"withDay({at('2026-03-01T08:00:00Z')}, 30, 'Europe/Madrid')") == (
            "2026-03-30T07:00:00+00:00"
        )

    @pytest.mark.parametrize("day", [0, 32, -1])
    def test_other_days_are_refused(self, day: int) -> None:
        assert refusal(f"withDay({at('2026-01-01T00:00:00Z')}, {day}, 'UTC')") == (
            f"withDay: the day must be 1 to 31, not {day}"
        )


class TestAddMonths:
    """Months later, the day clamped, wall clock kept."""

    @pytest.mark.parametrize(
        ("start", "months", "expected"),
        [
            ("2026-01-31T09:00:00Z", 1, "2026-02-28T09:00:00+00:00"),
            ("2026-03-31T08:00:00Z", -1, "2026-02-28T09:00:00+00:00"),
            ("2026-11-30T09:00:00Z", 14, "2028-01-30T09:00:00+00:00"),
            ("2026-01-15T09:00:00Z", 6, "2026-07-15T08:00:00+00:00"),
        ],
    )
    def test_months_are_added_with_clamped_days(self, start: str, months: int, expected: str) -> None:
        assert instant(f"addMonths({at(start)}, {months}, 'Europe/Madrid')") == expected

    @pytest.mark.parametrize("months", [12 * 8000, -12 * 2026, 9007199254740992])
    def test_years_beyond_the_calendar_are_refused(self, months: int) -> None:
        source = f"addMonths({at('2026-01-01T00:00:00Z')}, {months}, 'UTC')"

        assert refusal(source) == "the date is outside the years 1 to 9999"


class TestAddDays:
    """Local days later, wall clock kept."""

    def test_a_day_may_have_23_hours(self) -> None:
        assert instant(f"addDays({at('2026-03-28T11:00:00Z')}, 1, 'Europe/Madrid')") == (
            "2026-03-29T10:00:00+00:00"
        )

    def test_negative_days_go_back(self) -> None:
        assert instant(f"addDays({at('2026-03-01T11:00:00Z')}, -1, 'UTC')") == "2026-02-28T11:00:00+00:00"

    def test_a_time_in_a_gap_moves_to_the_first_instant_after_it(self) -> None:
        assert instant(f"addDays({at('2026-03-28T01:30:00.5Z')}, 1, 'Europe/Madrid')") == (
            "2026-03-29T01:00:00+00:00"
        )

    def test_the_first_occurrence_of_a_repeated_time_counts(self) -> None:
        assert instant(f"addDays({at('2026-10-24T00:30:00Z')}, 1, 'Europe/Madrid')") == (
            "2026-10-25T00:30:00+00:00"
        )

    @pytest.mark.parametrize("days", [9007199254740992, 4_000_000])
    def test_years_beyond_the_calendar_are_refused(self, days: int) -> None:
        source = f"addDays({at('2026-01-01T00:00:00Z')}, {days}, 'UTC')"

        assert refusal(source) == "the date is outside the years 1 to 9999"

    def test_the_edge_of_the_calendar_is_refused_in_any_zone(self) -> None:
        last, first = at("9999-12-31T23:00:00Z"), at("0001-01-01T01:00:00Z")

        assert refusal(f"addDays({last}, 0, 'Asia/Manila')") == "the date is outside the years 1 to 9999"
        assert refusal(f"startOfDay({first}, 'Europe/Moscow')") == "the date is outside the years 1 to 9999"


class TestStartOfDay:
    """The first instant of the local day."""

    def test_midnight_is_the_start_of_the_day(self) -> None:
        assert instant(f"startOfDay({at('2026-07-01T22:30:00Z')}, 'Europe/Madrid')") == (
            "2026-07-01T22:00:00+00:00"
        )

    def test_a_day_without_midnight_starts_at_one(self) -> None:
        # Cairo goes forward at 00:00 on 24 April 2026.
        assert instant(f"startOfDay({at('2026-04-24T12:00:00Z')}, 'Africa/Cairo')") == (
            "2026-04-23T22:00:00+00:00"
        )

    @pytest.mark.parametrize("zone", ["Nowhere/City", "", "../etc", "Europe"])
    def test_an_unknown_zone_is_refused(self, zone: str) -> None:
        source = f"startOfDay({at('2026-07-01T22:30:00Z')}, '{zone}')"

        assert refusal(source) == f"unknown time zone '{zone}'"


class TestIsoDate:
    """UTC with milliseconds and Z."""

    def test_microseconds_are_cut(self) -> None:
        assert value_of(f"isoDate({at('2026-03-04T22:05:06.123999Z')})") == "2026-03-04T22:05:06.123Z"


class TestText:
    """Text functions are bounded to 65,536 characters."""

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("lower('ÀbC')", "àbc"),
            ("upper('àbC')", "ÀBC"),
            ("trim('  a b\\n')", "a b"),
            ("split('a,b,,c', ',')", ["a", "b", "", "c"]),
            ("join(['a', 'b'], ' - ')", "a - b"),
            ("join([], ',')", ""),
            ("join(split('a.b', '.'), '/')", "a/b"),
            ("replace('a.b.c', '.', '')", "abc"),
        ],
    )
    def test_text_functions_return_texts(self, source: str, expected: object) -> None:
        assert value_of(source) == expected

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("split('a', '')", "split: the separator is empty"),
            ("split(text, 'x')", "split: more than 1000 parts"),
            ("replace('a', '', 'b')", "replace: the text to replace is empty"),
            ("replace(text, 'x', 'xx')", "replace: the result is longer than 65536 characters"),
            ("join([text, text], '')", "join: the result is longer than 65536 characters"),
            ("upper(text + text)", "upper: the result is longer than 65536 characters"),
            (
                "join(items, ',')",
                "join: the list holds something that is not text; convert with string()",
            ),
            ("lower('a\\x00b')", "lower: the result holds a NUL character"),
            ("split('a,\\x00', ',')", "split: the result holds a NUL character"),
        ],
    )
    def test_invalid_texts_are_refused(self, source: str, message: str) -> None:
        assert refusal(source, text="x" * 40_000, items=["a", 1]) == message

    def test_a_list_with_a_dynamic_type_can_be_joined(self) -> None:
        assert value_of("join(items, '+')", items=["a", "b"]) == "a+b"


class TestNumbers:
    """Rounding as on paper; doubles stay doubles inside, and whole ones leave as integers."""

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("round(12.0 * 1.04, 2)", 12.48),
            ("round(1.005, 2)", 1.01),
            ("round(-2.5, 0)", -3),
            ("round(2.5, 0)", 3),
            ("round(1e300, 15)", 1e300),
            ("floor(-1.5)", -2),
            ("ceil(1.2)", 2),
            ("abs(-3)", 3),
            ("abs(-3.5)", 3.5),
            ("min(2, 1)", 1),
            ("min(2.5, 1.5)", 1.5),
            ("max(2, 1)", 2),
            ("max(2.5, 1.5)", 2.5),
            ("abs(-9007199254740992)", 9007199254740992),
        ],
    )
    def test_numbers_are_rounded(self, source: str, expected: float) -> None:
        assert value_of(source) == expected

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("round(1.5, 16)", "round: the digits must be 0 to 15, not 16"),
            ("round(1.5, -1)", "round: the digits must be 0 to 15, not -1"),
            ("round(0.0 / 0.0, 1)", "round: the number is NaN or infinite"),
            ("floor(1.0 / 0.0)", "floor: the number is NaN or infinite"),
            ("ceil(1.0 / 0.0)", "ceil: the number is NaN or infinite"),
        ],
    )
    def test_invalid_numbers_are_refused(self, source: str, message: str) -> None:
        assert refusal(source) == message

    def test_the_smallest_integer_has_no_absolute_value(self) -> None:
        smallest = "(-9007199254740992 * 1024)"

        assert refusal(f"abs({smallest})") == "int too big to convert"


class TestEncoding:
    """Base64 and digests, over UTF-8."""

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("base64Encode('é?')", "w6k/"),
            ("base64Decode('w6k/')", "é?"),
            ("sha256('abc')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "hmacSha256('Jefe', 'what do ya want for nothing?')",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
        ],
    )
    def test_texts_are_encoded_and_hashed(self, source: str, expected: str) -> None:
        assert value_of(source) == expected

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("base64Decode('a')", "base64Decode: this is not base64"),
            ("base64Decode('é')", "base64Decode: this is not base64"),
            ("base64Decode('/w==')", "base64Decode: the bytes are not UTF-8 text"),
            ("base64Decode('YQBi')", "base64Decode: the result holds a NUL character"),
        ],
    )
    def test_invalid_encodings_are_refused(self, source: str, message: str) -> None:
        assert refusal(source) == message


class TestDocumentation:
    """Every host function is listed with its types."""

    @pytest.mark.parametrize("signature", [function.signature for function in HOST_FUNCTIONS])
    def test_every_overload_is_documented(self, signature: str) -> None:
        assert f"`{signature}`" in PAGE.read_text(encoding="utf-8")
