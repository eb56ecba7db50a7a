"""Checking an expression before it is saved."""

import pytest

from dev.memory.evaluator import SlowEvaluator
from shared.expressions import (
    EvaluationError,
    ExpressionProblem,
    ExpressionSyntaxError,
    ResultType,
    Variables,
    VariableType,
    check,
    evaluate,
    use_evaluator,
)
from shared.expressions.diagnosis import diagnose

VARIABLES: Variables = {
    "attributes": VariableType.MAP,
    "event": VariableType.MAP,
    "cycle": VariableType.INT,
    "rate": VariableType.DOUBLE,
    "date": VariableType.TIMESTAMP,
    "name": VariableType.STRING,
    "open": VariableType.BOOL,
    "response": VariableType.ANY,
}


def checked(source: str, returns: ResultType = ResultType.ANY) -> ExpressionProblem | None:
    return check(source, variables=VARIABLES, returns=returns)


def problem(source: str, returns: ResultType = ResultType.ANY) -> ExpressionProblem:
    found = checked(source, returns)
    assert found is not None
    return found


class TestSyntax:
    """Text that is not CEL is refused, with its line and a caret under the position."""

    def test_an_unfinished_expression_points_behind_its_end(self) -> None:
        found = problem("cycle >")

        assert found.rule == "syntax"
        assert found.message.startswith("mismatched input '<EOF>'")
        assert found.caret == "cycle >\n       ^"

    def test_only_the_offending_line_is_shown(self) -> None:
        assert problem("cycle > 1 &&\n  cycle <\n").caret == "\n^"
        assert problem("open &&\n  cycle + rate > 1.0").caret == "  cycle + rate > 1.0\n        ^"

    def test_characters_are_counted_not_bytes(self) -> None:
        assert problem("'😀é' + 1").caret == "'😀é' + 1\n     ^"

    def test_tabs_are_kept_before_the_caret(self) -> None:
        assert problem("\tname + 1").caret == "\tname + 1\n\t     ^"

    def test_an_empty_expression_is_refused(self) -> None:
        assert problem("").caret == "\n^"

    @pytest.mark.parametrize("source", ["'\ud800'", "'a\0b'"], ids=["surrogate", "nul"])
    def test_surrogates_and_nul_are_refused(self, source: str) -> None:
        assert problem(source).rule == "syntax"

    def test_a_problem_without_a_position_has_no_caret(self) -> None:
        found = diagnose("x", "INTERNAL: out of luck [INTERNAL]", compiles=lambda _: False)

        assert found == ExpressionProblem("syntax", "out of luck", None)


class TestNames:
    """Undeclared variables and functions are found before anything runs."""

    def test_an_unknown_variable_is_refused(self) -> None:
        assert problem("cicle == 1") == ExpressionProblem(
            "undeclared", "undeclared reference to 'cicle'", "cicle == 1\n^"
        )

    def test_an_unknown_function_is_refused(self) -> None:
        assert problem("now()").message == "undeclared reference to 'now'"

    def test_the_unbounded_string_extension_is_not_loaded(self) -> None:
        assert problem("name.lowerAscii()").rule == "undeclared"


class TestTypes:
    """Types are checked as far as they are known."""

    def test_int_and_double_do_not_mix(self) -> None:
        found = problem("cycle + rate")

        assert found.rule == "type"
        assert found.message == (
            "found no matching overload for '_+_' applied to '(int, double)'"
            "; int and double do not mix, convert with int() or double()"
        )

    def test_other_wrong_types_get_no_such_hint(self) -> None:
        assert (
            problem("name + 1").message == "found no matching overload for '_+_' applied to '(string, int)'"
        )

    def test_a_conversion_makes_int_and_double_mix(self) -> None:
        assert checked("double(cycle) + rate > 1.0", ResultType.BOOL) is None

    @pytest.mark.parametrize(
        ("source", "returns"),
        [
            ("cycle == 1", ResultType.BOOL),
            ("response.ok", ResultType.BOOL),
            ("date", ResultType.TIMESTAMP),
            ("{}", ResultType.MAP),
            ("attributes", ResultType.MAP),
            ("{'a': 1, 'b': 'x'}", ResultType.MAP),
            ("[1, 2]", ResultType.ANY),
            ("null", ResultType.ANY),
        ],
    )
    def test_a_result_that_may_have_the_type_is_accepted(self, source: str, returns: ResultType) -> None:
        assert checked(source, returns) is None

    @pytest.mark.parametrize(
        ("source", "returns", "message"),
        [
            ("name", ResultType.BOOL, "this must return bool, it returns string"),
            ("cycle", ResultType.TIMESTAMP, "this must return timestamp, it returns int"),
            ("[cycle]", ResultType.MAP, "this must return map, it returns list<int>"),
            ("{1: 2}", ResultType.MAP, "this must return map, it returns map<int, int>"),
            ("b'x'", ResultType.ANY, "this must return a value with a JSON form, it returns bytes"),
        ],
    )
    def test_a_result_of_another_type_is_refused(
        self, source: str, returns: ResultType, message: str
    ) -> None:
        assert problem(source, returns) == ExpressionProblem("type", message, None)


class TestSize:
    """4,096 bytes, 32 levels, 256-fold growth."""

    def test_a_source_of_4096_bytes_passes(self) -> None:
        assert checked("'" + "é" * 2047 + "'") is None

    def test_a_longer_source_is_refused(self) -> None:
        assert problem("'" + "é" * 2048 + "'") == ExpressionProblem(
            "too-long", "longer than 4096 bytes", None
        )

    def test_a_much_longer_source_is_refused_unasked(self) -> None:
        use_evaluator(evaluator := SlowEvaluator(0))
        source = "1" + " " * 4096

        assert problem(source) == ExpressionProblem("too-long", "longer than 4096 bytes", None)
        with pytest.raises(ExpressionSyntaxError, match="longer than 4096 bytes"):
            evaluate(source, {}, variables=VARIABLES, returns=ResultType.ANY)
        assert evaluator.requests == []

    @pytest.mark.parametrize("source", ["(" * 40 + "1" + ")" * 40, "+".join(["name"] * 40)])
    def test_deep_nesting_is_refused(self, source: str) -> None:
        assert problem(source).rule == "too-deep"

    def test_macros_may_multiply_256_fold(self) -> None:
        assert checked("[1]" + ".map(a, [a, a])" * 8) is None

    def test_macros_may_not_multiply_further(self) -> None:
        found = problem("[1]" + ".map(a, [a, a])" * 9)

        assert found.rule == "too-complex"
        assert found.message == "its macros may multiply a value more than 256 times over"

    def test_equal_field_names_in_other_code_are_not_counted(self) -> None:
        source = "[response].map(a, [a.a.a, a]).exists(b, b == b) && a in attributes"
        found = check(source.replace("a in", "'a' in"), variables=VARIABLES, returns=ResultType.BOOL)

        assert found is None

    def test_an_unfinished_macro_is_a_syntax_error(self) -> None:
        assert problem("[1].map(a, a").rule == "syntax"

    def test_a_field_named_like_a_macro_is_no_macro(self) -> None:
        assert checked("attributes.map > 1 && attributes.all", ResultType.BOOL) is None


class TestJavaScript:
    """A JavaScript function is answered with its CEL form, or with a general hint."""

    @pytest.mark.parametrize(
        ("source", "suggestion"),
        [
            ("(cycle) => cycle % 12 === 0", "cycle % 12 == 0"),
            ("cycle => cycle !== 3", "cycle != 3"),
            ("({ attributes }) => attributes.vip === true", "attributes.vip == true"),
            ("async (cycle) => { return cycle % 12 === 0; }", "cycle % 12 == 0"),
            ("function (cycle) { return cycle > 3 }", "cycle > 3"),
            ("function isThird(cycle) { return cycle === 3; };", "cycle == 3"),
            ("cycle === 3", "cycle == 3"),
            ("open && name !== 'x'", "open && name != 'x'"),
        ],
    )
    def test_the_cel_form_is_shown(self, source: str, suggestion: str) -> None:
        found = problem(source, ResultType.BOOL)

        assert found.rule == "javascript"
        assert found.message == f"this is JavaScript; write CEL: `{suggestion}`"

    @pytest.mark.parametrize(
        "source",
        [
            "async (x) => { const r = await fetch(x); return r.ok; }",
            "function () { if (cycle) { return true } return false }",
            "(cycle) => cycle",
        ],
    )
    def test_javascript_without_a_cel_form_gets_a_general_hint(self, source: str) -> None:
        assert problem(source, ResultType.BOOL).message == (
            "this is JavaScript; a callback is one CEL expression over the declared variables, "
            "with == and !=, without function, => and return, e.g. `cycle % 12 == 0`"
        )

    def test_the_caret_is_under_the_javascript_sign(self) -> None:
        assert problem("(cycle) => cycle % 12 === 0").caret == "(cycle) => cycle % 12 === 0\n        ^"

    def test_texts_similar_to_javascript_are_allowed(self) -> None:
        assert checked("name == '=> ===' // => ===", ResultType.BOOL) is None


class TestEvaluatingABrokenSource:
    """Evaluating a source that does not compile raises its problem as an evaluation error."""

    def test_the_problem_is_raised_as_an_error(self) -> None:
        with pytest.raises(ExpressionSyntaxError) as caught:
            evaluate("cycle +", {"cycle": 1}, variables=VARIABLES, returns=ResultType.ANY)

        assert isinstance(caught.value, EvaluationError)
        assert caught.value.problem == checked("cycle +")
        assert caught.value.message.startswith("syntax: mismatched input")
