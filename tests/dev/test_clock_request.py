"""The body of a request to move the local stack's clock."""

from datetime import UTC, datetime, timedelta

import pytest

from dev.clock_request import LAST, ClockRequestError, target_of

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
PAST = "must not be before the stack's clock, which only moves forward: it is 2026-01-31T12:00:00+00:00"
FORM = 'one of {"to": "2026-02-01T00:00:00Z"} and {"advance": {"days": 1}}'
FORWARD = "must be a whole number of at least 0: the clock only moves forward"
BEYOND = "must not lead beyond 3000-01-01T00:00:00+00:00"
UNITS = "years, months, weeks, days, hours, minutes, seconds"


def problems_of(body: str | bytes) -> list[tuple[str, str]]:
    data = body.encode() if isinstance(body, str) else body
    with pytest.raises(ClockRequestError) as refused:
        target_of(data, NOW)
    return [(problem.pointer, problem.message) for problem in refused.value.problems]


class TestTo:
    """``to`` is an instant that is not before the clock."""

    @pytest.mark.parametrize(
        ("to", "target"),
        [
            ("2026-01-31T12:00:00Z", NOW),
            ("2026-01-31T12:00:00.001Z", NOW + timedelta(milliseconds=1)),
            ("2026-01-31T13:00:00+01:00", NOW),
            ("3000-01-01T00:00:00Z", LAST),
        ],
    )
    def test_now_or_later(self, to: str, target: datetime) -> None:
        assert target_of(f'{{"to": "{to}"}}'.encode(), NOW) == target

    @pytest.mark.parametrize(
        "to", ["2026-01-31T11:59:59.999Z", "2026-01-31T12:59:59+01:00", "0001-01-01T00:00:00Z"]
    )
    def test_an_earlier_one_is_refused(self, to: str) -> None:
        assert problems_of(f'{{"to": "{to}"}}') == [("/to", PAST)]

    def test_the_end_of_the_clock_is_refused(self) -> None:
        assert problems_of('{"to": "3000-01-01T00:00:00.001Z"}') == [("/to", BEYOND)]

    @pytest.mark.parametrize(
        ("value", "rule"),
        [
            (
                '"2026-02-01"',
                "'2026-02-01' is not a date and time with an offset such as 2026-01-31T10:00:00Z",
            ),
            ('"2026-02-30T00:00:00Z"', "no such date: day is out of range for month"),
            ("1", "must be a text such as 2026-02-01T00:00:00Z"),
            ("null", "must be a text such as 2026-02-01T00:00:00Z"),
        ],
    )
    def test_text_that_is_no_instant_is_refused(self, value: str, rule: str) -> None:
        assert problems_of(f'{{"to": {value}}}') == [("/to", rule)]


class TestAdvance:
    """``advance`` is a distance in whole units."""

    @pytest.mark.parametrize(
        ("advance", "target"),
        [
            ('{"months": 1}', datetime(2026, 2, 28, 12, tzinfo=UTC)),
            ('{"weeks": 1, "days": 1, "seconds": 1}', datetime(2026, 2, 8, 12, 0, 1, tzinfo=UTC)),
            ('{"days": 0}', NOW),
        ],
    )
    def test_the_distance_is_added(self, advance: str, target: datetime) -> None:
        assert target_of(f'{{"advance": {advance}}}'.encode(), NOW) == target

    @pytest.mark.parametrize("amount", ["-1", "1.5", "true", '"1"', "null"])
    def test_an_amount_that_is_not_whole_is_refused(self, amount: str) -> None:
        assert problems_of(f'{{"advance": {{"hours": {amount}}}}}') == [("/advance/hours", FORWARD)]

    @pytest.mark.parametrize("unit", ["hour", "year", "weekday", "a/b"])
    def test_an_unknown_unit_is_refused(self, unit: str) -> None:
        """relativedelta would take ``year`` for a year to set, which could lead back."""
        pointer = f"/advance/{unit.replace('/', '~1')}"
        assert problems_of(f'{{"advance": {{"{unit}": 1}}}}') == [(pointer, f"is not a unit: one of {UNITS}")]

    @pytest.mark.parametrize("value", ["{}", "[]", "1", "null"])
    def test_a_distance_without_units_is_refused(self, value: str) -> None:
        assert problems_of(f'{{"advance": {value}}}') == [
            ("/advance", f"must be an object with at least one of {UNITS}")
        ]

    @pytest.mark.parametrize(
        "advance", ['{"years": 974}', '{"years": 9999}', '{"seconds": 100000000000000000000}']
    )
    def test_a_distance_beyond_the_calendar_is_refused(self, advance: str) -> None:
        assert problems_of(f'{{"advance": {advance}}}') == [("/advance", BEYOND)]


class TestForm:
    """The body is an object with ``to`` or ``advance``. All of its problems are reported at once."""

    @pytest.mark.parametrize("body", [b"", b"to", b'{"to":', b"\xff", b"[" * 100_000])
    def test_a_body_that_is_not_json_is_refused(self, body: bytes) -> None:
        assert problems_of(body) == [("", f"must be JSON: {FORM}")]

    @pytest.mark.parametrize("body", ["[]", "{}", "null", '"2026-02-01T00:00:00Z"'])
    def test_a_body_that_is_no_object_with_fields_is_refused(self, body: str) -> None:
        assert problems_of(body) == [("", f"must be an object: {FORM}")]

    def test_all_problems_are_reported(self) -> None:
        body = '{"until": 1, "advance": {"hour": 1, "days": -1}, "to": "2026-01-31T11:00:00Z"}'

        assert problems_of(body) == [
            ("/until", f"is not a field: {FORM}"),
            ("/advance/hour", f"is not a unit: one of {UNITS}"),
            ("/advance/days", FORWARD),
            ("/advance", "must be left out if there is `to`"),
            ("/to", PAST),
        ]
