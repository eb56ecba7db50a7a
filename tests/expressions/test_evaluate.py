"""Evaluating an expression: its input, its result, its limits."""

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from types import MappingProxyType

import pytest

from shared.expressions import (
    EvaluationError,
    JsonValue,
    ResultType,
    Variables,
    VariableType,
    as_data,
    evaluate,
)
from shared.expressions.values import Meter, converted, to_json

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
VARIABLES: Variables = {
    "attributes": VariableType.MAP,
    "event": VariableType.MAP,
    "stack": VariableType.MAP,
    "cycle": VariableType.INT,
    "rate": VariableType.DOUBLE,
    "date": VariableType.TIMESTAMP,
    "name": VariableType.STRING,
    "open": VariableType.BOOL,
    "response": VariableType.ANY,
}


class Colour(StrEnum):
    RED = "red"


def value_of(source: str, returns: ResultType = ResultType.ANY, **context: object) -> object:
    return evaluate(source, context, variables=VARIABLES, returns=returns)


def refusal(source: str, returns: ResultType = ResultType.ANY, **context: object) -> str:
    with pytest.raises(EvaluationError) as caught:
        value_of(source, returns, **context)
    return caught.value.message


class TestCallbacksOfTheExamples:
    """The callbacks of the example strategies return the intended results."""

    def test_an_optional_flag_may_be_missing(self) -> None:
        source = "has(attributes.marketingOptIn) && attributes.marketingOptIn == true"

        assert value_of(source, ResultType.BOOL, attributes={"marketingOptIn": True}) is True
        assert value_of(source, ResultType.BOOL, attributes={}) is False

    def test_every_twelfth_cycle_is_chosen(self) -> None:
        assert value_of("cycle % 12 == 0", ResultType.BOOL, cycle=24) is True
        assert value_of("cycle % 12 == 0", ResultType.BOOL, cycle=25) is False

    def test_the_preferred_day_of_the_month_is_used(self) -> None:
        source = (
            'has(attributes.preferredDay) ? withDay(date, int(attributes.preferredDay), "Asia/Manila") : date'
        )
        date = datetime(2027, 2, 20, 4, 0, tzinfo=UTC)

        assert value_of(
            source, ResultType.TIMESTAMP, date=date, attributes={"preferredDay": 31.0}
        ) == datetime(2027, 2, 28, 4, 0, tzinfo=UTC)
        assert value_of(source, ResultType.TIMESTAMP, date=date, attributes={}) == date

    def test_a_delta_grows_with_the_attempt(self) -> None:
        source = '{"unit": dyn("minutes"), "amount": dyn(30 * event.attempt)}'

        assert value_of(source, ResultType.MAP, event={"attempt": 2}) == {"amount": 60, "unit": "minutes"}

    def test_a_step_key_with_a_dash_is_accessible(self) -> None:
        source = 'stack["check-policy"].response.state == "LAPSED"'

        assert value_of(source, ResultType.BOOL, stack={"check-policy": {"response": {"state": "LAPSED"}}})

    def test_the_status_of_an_error_is_accessible(self) -> None:
        source = 'stack["check-policy"].error.status == 404'

        assert value_of(source, ResultType.BOOL, stack={"check-policy": {"error": {"status": 404}}}) is True
        assert value_of(source, ResultType.BOOL, stack={"check-policy": {"error": {"status": 404.0}}}) is True
        assert refusal(source, stack={"check-policy": {"error": None}}) == (
            "Applying SELECT to non-message type"
        )

    def test_directives_depend_on_the_answer(self) -> None:
        source = (
            'response.status == "CONFIRMED" ? {"response": dyn(response)} : '
            '{"fail": dyn("not confirmed: " + string(response.status))}'
        )

        assert value_of(source, ResultType.MAP, response={"status": "CONFIRMED", "amount": 2.5}) == {
            "response": {"amount": 2.5, "status": "CONFIRMED"}
        }
        assert value_of(source, ResultType.MAP, response={"status": "NO"}) == {"fail": "not confirmed: NO"}

    def test_a_new_price_is_computed(self) -> None:
        source = '{"attributes": {"premium": round(attributes.premium * 1.04, 2)}}'

        assert value_of(source, ResultType.MAP, attributes={"premium": 12.0}) == {
            "attributes": {"premium": 12.48}
        }

    def test_a_constant_directive_is_returned(self) -> None:
        assert value_of('{"cancelInstance": "policy is not in force"}', ResultType.MAP) == {
            "cancelInstance": "policy is not in force"
        }


class TestContext:
    """Plain Python values are the input. Values that the library would refuse or cut are converted or refused
    first.
    """

    def test_dates_inside_maps_are_iso_texts(self) -> None:
        at = datetime(2026, 3, 1, 14, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))

        assert value_of("attributes.at", attributes={"at": at}) == "2026-03-01T12:00:00.123Z"
        assert value_of("timestamp(attributes.at) > date", attributes={"at": at}, date=NOON) is True

    def test_a_date_in_an_untyped_variable_is_an_iso_text(self) -> None:
        assert value_of("response", response=NOON) == "2026-03-01T12:00:00.000Z"

    def test_enum_members_and_other_mappings_are_accepted(self) -> None:
        context = MappingProxyType({"colour": Colour.RED})

        assert value_of("attributes.colour + '!'", attributes=context) == "red!"

    def test_a_tuple_is_a_list(self) -> None:
        assert value_of("response[1]", response=("a", "b")) == "b"

    def test_ints_and_floats_keep_their_type(self) -> None:
        assert value_of("type(event.n) == int && type(event.x) == double", event={"n": 1, "x": 1.0}) is True

    def test_undeclared_values_are_ignored(self) -> None:
        assert value_of("cycle", cycle=3, other=object()) == 3
        assert value_of("[cycle].map(other, other + 1)", cycle=3, other=object()) == [4]

    def test_variables_that_the_source_does_not_name_are_ignored(self) -> None:
        assert value_of("event.response", event={"response": 1}, response=object()) == 1

    def test_a_declared_variable_without_a_value_fails_where_it_is_used(self) -> None:
        assert value_of("cycle == 1 || rate > 1.0", cycle=1) is True
        assert refusal("rate") == 'No value with name "rate" found in Activation'

    def test_a_value_of_another_type_fails_where_it_is_used(self) -> None:
        assert refusal("date", date="2026-03-01T12:00:00Z").startswith(
            "Unexpected value type for 'date': str"
        )

    @pytest.mark.parametrize(
        ("response", "message"),
        [
            (object(), "the context is not JSON: object has no JSON form"),
            (float("nan"), "the context is not JSON: Out of range float values are not JSON compliant: nan"),
            ("a\0b", "the context holds a text with a NUL character"),
            ("\\\0", "the context holds a text with a NUL character"),
            (datetime(2026, 3, 1), "the context is not JSON: a date has no time zone"),  # noqa: DTZ001
        ],
        ids=["object", "nan", "nul", "backslash-nul", "naive"],
    )
    def test_values_that_cannot_be_passed_are_refused(self, response: object, message: str) -> None:
        assert refusal("response", response=response).startswith(message.removesuffix(": nan"))

    def test_half_a_surrogate_pair_is_refused(self) -> None:
        assert refusal("response", response="\ud800").startswith("the context is not JSON: 'utf-8' codec")

    def test_a_date_without_a_zone_is_refused(self) -> None:
        naive = datetime(2026, 3, 1)  # noqa: DTZ001

        assert refusal("date", date=naive) == "a date of the context has no time zone"

    def test_the_text_backslash_u0000_is_no_nul(self) -> None:
        assert value_of("response", response="\\u0000") == "\\u0000"

    def test_endless_nesting_is_refused(self) -> None:
        nested: list[object] = []
        for _ in range(100_000):
            nested = [nested]

        assert refusal("response", response=nested).startswith("the context is not JSON: maximum recursion")

    def test_a_context_of_256_kb_is_accepted(self) -> None:
        text = "é" * ((256 * 1024 - len('[{"name":""},{}]')) // 2)

        assert value_of("size(name)", name=text) == 131064
        assert refusal("size(name)", name=text + "éé") == "the context is larger than 262144 bytes"


class TestResult:
    """Plain Python values of the wanted type are the result."""

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("1 + 1", 2),
            ("2u", 2),
            ("'a' + 'b'", "ab"),
            ("null", None),
            ("[1, 'a', null]", [1, "a", None]),
            ("1 < 2", True),
            ("7.5", 7.5),
            ("2.0 * 3.0", 6),
            ("-0.0", 0),
            ("9007199254740992.0", 9007199254740992),
            ("1e300", 1e300),
            ("{'a': {'b': [2.0]}}", {"a": {"b": [2]}}),
            ("[timestamp('2026-03-01T12:00:00.123456Z')]", ["2026-03-01T12:00:00.123Z"]),
        ],
    )
    def test_results_are_plain_python_values(self, source: str, expected: object) -> None:
        found = value_of(source)

        assert found == expected
        assert type(found) is type(expected)

    def test_a_timestamp_is_an_aware_datetime_in_utc(self) -> None:
        there = datetime(2026, 3, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
        found = value_of("date", ResultType.TIMESTAMP, date=there)

        assert found == NOON
        assert isinstance(found, datetime)
        assert found.tzinfo is UTC

    def test_maps_are_sorted_by_key(self) -> None:
        found = value_of("{'z': 1, 'b': 2, 'y': 3, 'a': 4, 'x': 5, 'c': 6}", ResultType.MAP)

        assert isinstance(found, dict)
        assert list(found) == ["a", "b", "c", "x", "y", "z"]

    @pytest.mark.parametrize("source", ["1.0 / 0.0", "[0.0 / 0.0]"])
    def test_nan_and_infinity_are_errors(self, source: str) -> None:
        assert refusal(source) == "a number of the result is NaN or infinite"

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("[b'x']", "a bytes has no JSON form"),
            ("dyn(duration('1s'))", "a duration has no JSON form"),
            ("[type(1)]", "a type has no JSON form"),
            ("dyn({1: 2})", "a key of a map is not text"),
        ],
    )
    def test_results_without_a_json_form_are_errors(self, source: str, message: str) -> None:
        assert refusal(source) == message

    def test_a_type_that_was_unknown_before_is_checked(self) -> None:
        assert (
            refusal("response", ResultType.BOOL, response="yes")
            == "this must return bool, it returned string"
        )
        assert refusal("dyn(1)", ResultType.TIMESTAMP) == "this must return timestamp, it returned int"
        assert refusal("response", ResultType.MAP, response=[]) == "this must return map, it returned list"

    def test_a_result_takes_at_most_256_kb(self) -> None:
        assert refusal("[name, name]", name="x" * 140_000) == "the result is larger than 262144 bytes"

    def test_a_result_with_shared_memory_is_measured_as_written(self) -> None:
        source = "[response].map(a, [a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a])" + ".map(a, [a,a,a,a])" * 2

        assert refusal(source, response=["x" * 1000] * 10) == "the result is larger than 262144 bytes"

    def test_endless_nesting_is_refused(self) -> None:
        nested = _Value("NULL", None)
        for _ in range(5_000):
            nested = _Value("LIST", [nested])

        with pytest.raises(EvaluationError, match="the result is nested too deep"):
            converted(nested, ResultType.ANY, Meter())


class TestFailures:
    """Every error of the library is the same kind of error, without the library's codes."""

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("attributes.nope", 'Key not found in map : "nope"'),
            ("[attributes.nope]", 'Key not found in map : "nope"'),
            ("{'a': attributes.nope}", 'Key not found in map : "nope"'),
            ("1 / 0", "divide by zero"),
            ("9007199254740992 * 9007199254740992", "integer overflow"),
            ("{'a': 1, 'a': 2}", "duplicate key in map"),
            ("response[5]", "Index error: index=5 size=1"),
            ("event.n + rate", "No matching overloads found : _+_(int64, double)"),
            (
                "timestamp('0001-01-01T00:00:00Z') - duration('1s')",
                'Timestamp "infinite-past" below minimum allowed timestamp "1-01-01T00:00:00Z"',
            ),
            ("name.matches('(')", "invalid regular expression: missing ): ("),
        ],
    )
    def test_an_error_value_is_raised(self, source: str, message: str) -> None:
        found = refusal(source, attributes={}, response=[1.0], event={"n": 1}, rate=1.5, name="x")

        assert found == message


class TestLimits:
    """Iterations, repetitions and regular expressions are bounded."""

    def test_an_evaluation_has_at_most_ten_thousand_iterations(self) -> None:
        assert refusal("response.all(x, response.all(y, true))", response=[1.0] * 110) == (
            "Iteration budget exceeded"
        )

    @pytest.mark.parametrize(
        ("source", "name"),
        [
            ("[name]" + ".map(a, a + a)" * 8 + ".map(a, upper(a))", "x" * 250_000),
            ("size(" + "+".join(["(" + "+".join(["name"] * 10) + ")"] * 10) + ")", "x" * 250_000),
            ("[replace('x', 'x', 'y')]" + ".map(a, a + a)" * 6, "x"),
        ],
        ids=["doubled", "added", "replaced"],
    )
    def test_repetitions_beyond_8_mb_are_refused_unevaluated(self, source: str, name: str) -> None:
        assert refusal(source, name=name) == (
            "what it repeats could grow too large for a context of this size"
        )

    def test_smaller_repetitions_are_evaluated(self) -> None:
        source = "[name]" + ".map(a, a + a)" * 6 + ".map(a, size(a))"

        assert value_of(source, name="x" * 10_000) == [640_000]

    def test_more_doublings_are_refused_unevaluated(self) -> None:
        assert refusal("['x']" + ".map(a, a + a)" * 25).startswith("too-complex: ")

    def test_a_regular_expression_takes_linear_time(self) -> None:
        assert value_of("name.matches('^(a*)*b$')", name="a" * 100_000) is False


class TestAsData:
    """Numbers of JSON data are doubles."""

    def test_ints_become_floats_at_any_depth_and_booleans_stay(self) -> None:
        found = as_data({"a": 1, "b": [True, 2, "3", None, 4.5]})

        assert found == {"a": 1.0, "b": [True, 2.0, "3", None, 4.5]}
        assert repr(found) == "{'a': 1.0, 'b': [True, 2.0, '3', None, 4.5]}"

    def test_endless_nesting_is_refused(self) -> None:
        nested: JsonValue = []
        for _ in range(100_000):
            nested = [nested]

        with pytest.raises(EvaluationError, match="the data is nested too deep"):
            as_data(nested)

    @pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 10**400])
    def test_integers_beyond_2_to_53_stay_as_they_are(self, number: int) -> None:
        assert as_data({"a": [number]}) == {"a": [number]}
        assert isinstance(as_data(number), int)

    @pytest.mark.parametrize("number", [2**53, -(2**53), 0])
    def test_integers_up_to_2_to_53_become_floats(self, number: int) -> None:
        assert isinstance(as_data(number), float)


class TestNestedErrorValues:
    """An error value anywhere in a result is an error, whatever layer it is in."""

    def test_an_error_value_in_the_innermost_layer_is_found(self) -> None:
        with pytest.raises(EvaluationError, match="broken"):
            to_json(_Value("LIST<DYN>", [_Value("ERROR", "broken")]), Meter())


class _Value:
    """A value as the library returns it."""

    def __init__(self, kind: str, plain: object) -> None:
        self._kind, self._plain = kind, plain

    def type(self) -> "_Value":
        return self

    def name(self) -> str:
        return self._kind

    def value(self) -> object:
        return self._plain


class TestReasons:
    """The reason why an expression has no value is stored with a step, so it is cut."""

    @pytest.mark.parametrize("length", [0, 1, 999, 1_000])
    def test_a_short_reason_is_kept(self, length: int) -> None:
        assert EvaluationError("x" * length).message == "x" * length

    def test_a_long_reason_is_cut(self) -> None:
        error = EvaluationError("x" * 1_001)
        assert error.message == str(error) == "x" * 1_000 + "..."

    def test_a_missing_key_of_the_context_is_not_quoted_at_length(self) -> None:
        with pytest.raises(EvaluationError) as raised:
            evaluate(
                "attributes[name]",
                {"attributes": {}, "name": "k" * 16_000},
                variables=VARIABLES,
                returns=ResultType.ANY,
            )
        assert len(raised.value.message) <= 1_003
