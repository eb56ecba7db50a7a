"""Scripts have the results that JavaScript gives them, or are refused when they are saved.

The results in javascript.json were computed once by Node.js 18: each script as the body of a function of ``data`` and
``step``. Source: docs/contracts/automation.md A.2; docs/decisions/0025.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from shared.api.automation.scripts import NO_STEP, Scope, ScriptError, Scripts
from shared.domain.strategy.variables import VARIABLES
from shared.expressions import EvaluationError, ResultType, evaluate
from shared.expressions.host_dates import iso_date

TABLE = json.loads((Path(__file__).parent / "javascript.json").read_text(encoding="utf-8"))
HTTP = Scope(members={"responseCode": "response.status", "responseBody": "response.body"})
DATA = {"one": 1.0, "text": "x", "list": [1.0], "map": {"a": 1.0}, "at": "2026-01-01T00:00:00Z"}


def value_of(script: str, data: dict[str, Any], scope: Scope = HTTP) -> Any:
    step = TABLE["step"]
    context = {
        "attributes": data,
        "response": {"status": step["responseCode"], "body": step["responseBody"]},
        "event": {"idempotencyKey": "i-1-1-1"},
        "stack": {},
    }
    source = Scripts().value(f"{{{{{script}}}}}", scope)
    return evaluate(source, context, variables=VARIABLES, returns=ResultType.ANY)


def failure(script: str) -> str:
    with pytest.raises(EvaluationError) as caught:
        value_of(script, DATA, NO_STEP)
    return str(caught.value)


class TestAgainstJavaScript:
    """Every script of the table has JavaScript's result, in type and value."""

    @pytest.mark.parametrize(("script", "result"), TABLE["results"], ids=str)
    def test_a_script_has_the_result_of_javascript(self, script: str, result: Any) -> None:
        found = value_of(script, TABLE["data"])

        assert (found, isinstance(found, bool)) == (result, isinstance(result, bool))


class TestUndefined:
    """Arithmetic with a value that JavaScript calls undefined is an error, because its result would be NaN."""

    @pytest.mark.parametrize(
        "script",
        [
            "data.missing + 1",
            "1 - data.missing",
            "data.missing * 2",
            "-data.missing",
            "data.missing < 1",
            "1 >= data.missing",
            "(data.missing) + 'x'",
        ],
    )
    def test_a_missing_member_has_no_arithmetic(self, script: str) -> None:
        assert failure(script) == 'Key not found in map : "missing"'

    @pytest.mark.parametrize("script", ["data.text * 2", "0 / 0", "1 / 0", "-1 % 0"])
    def test_a_result_that_json_does_not_have_is_an_error(self, script: str) -> None:
        assert "NaN" in failure(script) or "infinite" in failure(script)


class TestListsAndObjects:
    """JavaScript compares the identity of lists and objects, and adds their printed forms. Both are errors here."""

    @pytest.mark.parametrize(
        ("script", "message"),
        [
            ("data.list == data.list", "==: lists, objects and dates are not numbers"),
            ("data.map == 'x'", "==: lists, objects and dates are not numbers"),
            ("data.list === data.list", "===: lists and objects cannot be compared"),
            ("data.map !== 1", "===: lists and objects cannot be compared"),
            ("data.list + 'x'", "+: lists and objects are not text"),
            ("data.map + 1", "+: lists, objects and dates are not numbers"),
            ("data.list < 3", "<: lists, objects and dates are not numbers"),
            ("1 in data.list", "in: the right side must be an object; use exists() for a list"),
            ("data.one.length", "length: this is neither a text nor a list"),
            ("{'a': 1}.length", "length: this is neither a text nor a list"),
        ],
    )
    def test_an_operator_for_them_is_an_error(self, script: str, message: str) -> None:
        assert failure(script) == message

    @pytest.mark.parametrize(
        ("script", "result"),
        [
            ("data.list == null", False),
            ("null !== data.map", True),
            ("{'length': 7}.length", 7),
            ("dyn([1, 2,]).length", 2),
            ("{'a': data.one + 1}", {"a": 2}),
            ("data.list.map(x, x + 1)[0]", 2),
            ("data.list.map(x, x > 0, x * 3)", [3]),
            ("data.list.filter(x, x == '1')", [1]),
            ("data.list.all(x, x)", True),
            ("data.list.exists_one(data, data === 1)", True),
            ("'abc'.startsWith('a') && 'abc'.size() == 3", True),
            ("size(data.list) + 1", 2),
            ("has(data.map.a) ? 'has ' + data.map.a : 'none'", "has 1"),
            ("r'a\\d' + \"b\"", "a\\db"),
        ],
    )
    def test_other_forms_of_cel_keep_their_meaning(self, script: str, result: Any) -> None:
        assert value_of(script, DATA, NO_STEP) == result


class TestDates:
    """Timestamps and durations of CEL keep their arithmetic and order."""

    @pytest.mark.parametrize(
        ("script", "result"),
        [
            ("timestamp(data.at) + duration('1h')", "2026-01-01T01:00:00.000Z"),
            ("duration('1h') + timestamp(data.at)", "2026-01-01T01:00:00.000Z"),
            ("timestamp(data.at) - duration('24h')", "2025-12-31T00:00:00.000Z"),
            ("timestamp(data.at) - timestamp('2025-12-31T00:00:00Z') > duration('23h')", True),
            ("duration('1h') + duration('30m') <= duration('90m')", True),
            ("timestamp(data.at) < timestamp('2026-01-02T00:00:00Z')", True),
            ("timestamp(data.at) <= timestamp(data.at)", True),
            ("timestamp(data.at) == timestamp('2026-01-01T01:00:00+01:00')", True),
            ("timestamp(data.at) != data.at", True),
            ("'at ' + isoDate(timestamp(data.at))", "at 2026-01-01T00:00:00.000Z"),
            ("(timestamp(data.at)) - duration('1h') - duration('1h')", "2025-12-31T22:00:00.000Z"),
            ("timestamp(data.at) && true", True),
        ],
    )
    def test_dates_have_their_own_operators(self, script: str, result: Any) -> None:
        found = value_of(script, DATA, NO_STEP)

        assert (iso_date(found) if isinstance(found, datetime) else found) == result


class TestLargeNumbers:
    """Whole numbers beyond 2^53 are compared with == and passed on; there is no arithmetic that would round them."""

    BIG = 7615917337495251231

    @pytest.mark.parametrize(
        "script", ["data.id + 1", "data.id > 1", "data.id * 1", "-data.id", "data.id % 10"]
    )
    def test_arithmetic_and_order_are_errors(self, script: str) -> None:
        with pytest.raises(EvaluationError, match="beyond 2"):
            value_of(script, {"id": self.BIG}, NO_STEP)

    @pytest.mark.parametrize(
        ("script", "result"),
        [
            ("data.id", BIG),
            ("data.id == 7615917337495251231", True),
            ("data.id == 7615917337495251232", False),
            ("data.id === data.id", True),
            ("data.id == '7615917337495251231'", True),
            ("'n-' + data.id", "n-7615917337495251231"),
            ("{'a': [data.id]}", {"a": [BIG]}),
            ("data.id ? 'yes' : 'no'", "yes"),
            ("data.none || data.id", BIG),
        ],
    )
    def test_such_a_number_is_compared_and_passed_on(self, script: str, result: Any) -> None:
        assert value_of(script, {"id": self.BIG}, NO_STEP) == result


class TestRefusedForms:
    """A form that neither language has in common is refused when it is saved."""

    @pytest.mark.parametrize(
        ("script", "message"),
        [
            ("1u + 1", "this form is not supported in scripts:\n1u + 1\n^"),
            ("google.protobuf.Duration{seconds: 1} == null", "this form is not supported in scripts"),
            ("undefined == 1", "undeclared reference to 'undefined'"),
            ("1 + nope", "undeclared reference to 'nope'"),
            ("'a' - nope", "undeclared reference to 'nope'"),
            ("typeof data.x", "mismatched input 'data'"),
            ("data.text.includes('x')", "undeclared reference to 'includes'"),
        ],
    )
    def test_a_form_is_refused_with_its_reason(self, script: str, message: str) -> None:
        with pytest.raises(ScriptError) as caught:
            value_of(script, DATA, NO_STEP)

        assert str(caught.value).startswith(message)

    def test_a_chain_of_too_many_defaults_is_refused(self) -> None:
        with pytest.raises(ScriptError, match="its macros may multiply a value more than 256 times"):
            value_of(" || ".join(["data.text"] * 10), DATA, NO_STEP)

    def test_a_long_chain_of_conditions_is_accepted(self) -> None:
        assert value_of(" && ".join(["data.one == 1"] * 40), DATA, NO_STEP) is True
        assert value_of(" + ".join(["data.one"] * 30), DATA, NO_STEP) == 30
