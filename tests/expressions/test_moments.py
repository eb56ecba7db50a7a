"""Dates as text: written and read by the tokens of moment."""

from datetime import datetime

import pytest

from shared.expressions import EvaluationError, ResultType, Variables, VariableType, check, evaluate
from shared.expressions.patterns import pattern_problem

VARIABLES: Variables = {"text": VariableType.STRING, "pattern": VariableType.STRING}
NOW = "timestamp('2026-03-04T04:05:06.789Z')"  # five past noon in Manila
FORMS = "a date such as 2026-12-31 or 2026-12-31T09:00:00Z; other forms are read by parseDate"
KNOWN = "LLLL, YYYY, MMMM, MM, M, DD, D, dddd, HH, H, h, mm, ss, SSS, A, Z, T"


def value_of(source: str, **context: object) -> object:
    return evaluate(source, context, variables=VARIABLES, returns=ResultType.ANY)


def refusal(source: str, **context: object) -> str:
    with pytest.raises(EvaluationError) as caught:
        value_of(source, **context)
    return caught.value.message


def instant(source: str, **context: object) -> str:
    found = value_of(source, **context)
    assert isinstance(found, datetime)
    return found.isoformat()


class TestFormatDate:
    """`formatDate` writes a local date by a pattern."""

    @pytest.mark.parametrize(
        ("pattern", "zone", "expected"),
        [
            ("DD MMMM YYYY", "Asia/Manila", "04 March 2026"),
            ("D.M.YYYY H:mm", "Asia/Manila", "4.3.2026 12:05"),
            ("dddd [the] D, h:mm A", "Asia/Manila", "Wednesday the 4, 12:05 PM"),
            ("YYYY-MM-DDTHH:mm:ssZ", "Asia/Manila", "2026-03-04T12:05:06+08:00"),
            ("YYYY-MM-DDTHH:mm:ss.SSSZ", "UTC", "2026-03-04T04:05:06.789+00:00"),
            ("HH:mm Z", "America/St_Johns", "00:35 -03:30"),
            ("YYYYMMDD", "UTC", "20260304"),
            ("LLLL", "UTC", "Wednesday, March 4, 2026 4:05 AM"),
            ("[YYYY", "UTC", "[2026"),
            ("[]", "UTC", ""),
        ],
    )
    def test_a_date_by_a_pattern(self, pattern: str, zone: str, expected: str) -> None:
        assert value_of(f"formatDate({NOW}, '{pattern}', '{zone}')") == expected

    @pytest.mark.parametrize(
        ("pattern", "token"), [("D MMM YYYY", "MMM"), ("YYYY at HH", "a"), ("Do", "o"), ("YYYYY", "YYYYY")]
    )
    def test_an_unknown_token_is_refused_when_saved(self, pattern: str, token: str) -> None:
        source = f"formatDate({NOW}, '{pattern}', 'UTC')"
        found = check(source, variables=VARIABLES, returns=ResultType.ANY)

        assert found is not None
        assert found.rule == "pattern"
        assert found.message == (
            f"formatDate: unknown token {token!r}; known tokens are {KNOWN}; write text as [{token}]"
        )
        assert found.caret == f"{source}\n{' ' * source.index(repr(pattern))}^"

    def test_a_computed_pattern_is_checked_when_it_is_used(self) -> None:
        source = f"formatDate({NOW}, pattern, 'UTC')"

        assert check(source, variables=VARIABLES, returns=ResultType.ANY) is None
        assert refusal(source, pattern="Do").startswith(
            "formatDate: unknown token 'o'; known tokens are LLLL"
        )

    def test_a_long_pattern_is_refused(self) -> None:
        assert refusal(f"formatDate({NOW}, pattern, 'UTC')", pattern="[" + "x" * 100 + "]") == (
            "formatDate: the pattern is longer than 100 characters"
        )

    def test_the_edge_of_the_calendar_is_refused(self) -> None:
        source = "formatDate(timestamp('9999-12-31T23:00:00Z'), 'YYYY', 'Asia/Manila')"

        assert refusal(source) == "the date is outside the years 1 to 9999"


class TestPatternsInTheSource:
    """A pattern is checked when saved if it is written out as one literal."""

    @pytest.mark.parametrize(
        "source",
        [
            f"formatDate({NOW}, 'Do' + '', 'UTC')",
            f"formatDate({NOW}, ('Do'), 'UTC')",
            f"[{NOW}].map(formatDate, 'Do')",
            "{'formatDate': 'Do'}",
            "split('formatDate(1, Do)', ',')",
        ],
    )
    def test_anything_else_is_not(self, source: str) -> None:
        assert check(source, variables=VARIABLES, returns=ResultType.ANY) is None

    @pytest.mark.parametrize("literal", ["'Do'", '"Do"', "r'Do'", "'''Do'''", "'D\\u006f'"])
    def test_every_form_of_a_literal_is_read(self, literal: str) -> None:
        source = f"lower(formatDate(startOfDay({NOW}, [\"UTC\"][0]), {literal}, 'UTC'))"
        found = check(source, variables=VARIABLES, returns=ResultType.ANY)

        assert found is not None
        assert found.rule == "pattern"

    def test_bytes_are_no_pattern(self) -> None:
        assert pattern_problem("formatDate(x, b'Do', 'UTC'", text_of=lambda _: None) is None

    def test_an_unfinished_call_has_no_last_argument(self) -> None:
        assert pattern_problem("formatDate(x, 'Do'", text_of=lambda text: text[1:-1]) is None


class TestParseDate:
    """`parseDate` reads a date by a pattern; it is local in the zone unless it has an offset."""

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("parseDate('31/12/2026', 'DD/MM/YYYY')", "2026-12-31T00:00:00+00:00"),
            ("parseDate('31/12/2026', 'DD/MM/YYYY', 'Asia/Manila')", "2026-12-30T16:00:00+00:00"),
            ("parseDate('4 March 2026', 'D MMMM YYYY')", "2026-03-04T00:00:00+00:00"),
            ("parseDate('3/4/2026 12:05 AM', 'M/D/YYYY h:mm A')", "2026-03-04T00:05:00+00:00"),
            ("parseDate('3/4/2026 12:05 PM', 'M/D/YYYY h:mm A')", "2026-03-04T12:05:00+00:00"),
            ("parseDate('3/4/2026 1:05 PM', 'M/D/YYYY h:mm A')", "2026-03-04T13:05:00+00:00"),
            ("parseDate('20260304 7', 'YYYYMMDD H')", "2026-03-04T07:00:00+00:00"),
            (
                "parseDate('2026-03-04T12:05:06.789+08:00', 'YYYY-MM-DDTHH:mm:ss.SSSZ', 'Europe/Madrid')",
                "2026-03-04T04:05:06.789000+00:00",
            ),
            ("parseDate('2026-03-04T12:05:06Z', 'YYYY-MM-DDTHH:mm:ssZ')", "2026-03-04T12:05:06+00:00"),
            # The clocks go forward at 02:00.
            (
                "parseDate('2026-03-29 02:30', 'YYYY-MM-DD HH:mm', 'Europe/Madrid')",
                "2026-03-29T01:00:00+00:00",
            ),
        ],
    )
    def test_a_date_is_read(self, source: str, expected: str) -> None:
        assert instant(source) == expected

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            (
                "parseDate(text, 'DD/MM/YYYY')",
                "parseDate: '2026-13-01' is not a date of the form 'DD/MM/YYYY'",
            ),
            ("parseDate(text, 'YYYY-MM-DD')", "parseDate: month must be in 1..12"),
            ("parseDate('30.02.2026', 'DD.MM.YYYY')", "parseDate: day is out of range for month"),
            ("parseDate('1.1.2026 0 AM', 'D.M.YYYY h A')", "parseDate: hour must be in 1..12"),
            ("parseDate('1.1.2026 13 PM', 'D.M.YYYY h A')", "parseDate: hour must be in 1..12"),
            ("parseDate('1.1.2026', 'D.M.YYYY', 'Nowhere')", "unknown time zone 'Nowhere'"),
            (
                "parseDate('9999-12-31T23:00:00-08:00', 'YYYY-MM-DDTHH:mm:ssZ')",
                "the date is outside the years 1 to 9999",
            ),
        ],
    )
    def test_what_is_no_such_date_is_refused(self, source: str, message: str) -> None:
        assert refusal(source, text="2026-13-01") == message

    @pytest.mark.parametrize(
        ("pattern", "message"),
        [
            ("dddd YYYY-MM-DD", "a date cannot be read by the token dddd"),
            ("YYYY MM M DD", "a part of the date occurs twice in the pattern"),
            ("YYYY-MM", "a date is read by its year (YYYY), its month and its day"),
            ("YYYY-MM-DD h", "the tokens h and A need each other"),
            ("YYYY-MM-DD A", "the tokens h and A need each other"),
        ],
    )
    def test_a_pattern_that_cannot_be_read_by_is_refused_when_saved(self, pattern: str, message: str) -> None:
        found = check(f"parseDate(text, '{pattern}', 'UTC')", variables=VARIABLES, returns=ResultType.ANY)

        assert found is not None
        assert (found.rule, found.message) == ("pattern", f"parseDate: {message}")

    def test_what_was_written_can_be_read(self) -> None:
        pattern = "D MMMM YYYY HH:mm:ss.SSS Z"
        source = f"parseDate(formatDate({NOW}, '{pattern}', 'Asia/Manila'), '{pattern}') == {NOW}"

        assert value_of(source) is True


class TestTimestamp:
    """`timestamp` takes a date alone, too."""

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("timestamp('2026-12-31')", "2026-12-31T00:00:00+00:00"),
            ("timestamp('2026-12-31T10:00Z')", "2026-12-31T10:00:00+00:00"),
            ("timestamp('2026-12-31t10:00:00.123456789z')", "2026-12-31T10:00:00.123456+00:00"),
            ("timestamp('2026-12-31T10:00:00+08:00')", "2026-12-31T02:00:00+00:00"),
            ("timestamp(0)", "1970-01-01T00:00:00+00:00"),
            ("timestamp(timestamp(1772593506))", "2026-03-04T03:05:06+00:00"),
        ],
    )
    def test_an_instant(self, source: str, expected: str) -> None:
        assert instant(source) == expected

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            (
                "timestamp('31/12/2026')",
                f"timestamp: '31/12/2026' is not {FORMS}",
            ),
            (
                "timestamp('2026-12-31T10:00:00')",
                f"timestamp: '2026-12-31T10:00:00' is not {FORMS}",
            ),
            (
                "timestamp('2026-02-30')",
                "timestamp: '2026-02-30' is not a date: day is out of range for month",
            ),
            ("timestamp(253402300800)", "timestamp: the date is outside the years 1 to 9999"),
            (
                "timestamp('0001-01-01T00:00:00+01:00')",
                "timestamp: '0001-01-01T00:00:00+01:00' is not a date: date value out of range",
            ),
        ],
    )
    def test_other_texts_are_refused(self, source: str, message: str) -> None:
        assert refusal(source) == message
