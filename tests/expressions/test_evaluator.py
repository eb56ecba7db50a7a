"""The evaluator in use, and the time that requests may take."""

import pytest

from dev.memory.evaluator import SlowEvaluator
from shared.expressions import (
    EvaluationError,
    ExpressionProblem,
    JsonValue,
    NoEvaluatorError,
    ResultType,
    VariableType,
    check,
    evaluate,
    evaluator,
    render,
    spending,
    use_evaluator,
)

VARIABLES = {"cycle": VariableType.INT, "name": VariableType.STRING}


def slow(takes: float) -> SlowEvaluator:
    chosen = SlowEvaluator(takes)
    use_evaluator(chosen)
    return chosen


def cycle() -> object:
    return evaluate("cycle", {"cycle": 3}, variables=VARIABLES, returns=ResultType.ANY)


class TestSpending:
    """The requests of a block may take a time together, and each at most 0.2 seconds."""

    def test_a_request_without_a_block_may_take_a_fifth_of_a_second(self) -> None:
        chosen = slow(0.15)

        assert [cycle(), cycle(), cycle()] == [3, 3, 3]
        assert chosen.limits == [0.2, 0.2, 0.2]

    def test_the_requests_of_a_block_get_what_is_left(self) -> None:
        chosen = slow(0.15)
        with spending(0.4) as spent:
            assert [cycle(), cycle()] == [3, 3]
            with pytest.raises(EvaluationError, match="it takes too long"):
                cycle()
            assert spent.is_exhausted
            with pytest.raises(EvaluationError, match=r"may take 0\.4 seconds of processor time"):
                cycle()

        assert chosen.limits == [0.2, 0.2, 0.1]

    def test_a_decision_may_take_two_seconds(self) -> None:
        slow(0.19)
        with spending() as spent:
            for _ in range(10):
                cycle()
            assert not spent.is_exhausted
            with pytest.raises(EvaluationError):
                cycle()

    def test_a_request_counts_a_tenth_of_a_millisecond_at_least(self) -> None:
        slow(0)
        with spending(0.0003) as spent:
            for _ in range(3):
                cycle()
            assert spent.is_exhausted

    def test_an_inner_block_has_its_own_time(self) -> None:
        slow(0.15)
        with spending(0.2) as outer:
            cycle()
            with spending(0.2):
                cycle()
            assert not outer.is_exhausted

    def test_as_a_decorator_it_limits_each_call(self) -> None:
        slow(0.15)
        limited = spending(0.2)(cycle)

        assert [limited(), limited()] == [3, 3]


class TestBreach:
    """A request that was given up is an error like any other."""

    def test_an_evaluation_has_no_value(self) -> None:
        slow(1)

        with pytest.raises(EvaluationError, match="it takes too long"):
            cycle()

    def test_a_check_is_a_problem(self) -> None:
        slow(1)

        assert check("cycle", variables=VARIABLES, returns=ResultType.ANY) == ExpressionProblem(
            "too-complex", "it cannot be checked: it takes too long", None
        )


class TestRequests:
    """A request has the variables that are needed, and nothing for paths."""

    def test_only_named_variables_are_sent(self) -> None:
        chosen = slow(0)
        evaluate("cycle", {"cycle": 3, "name": "secret"}, variables=VARIABLES, returns=ResultType.ANY)

        assert chosen.requests[0].split(b"\n")[0] == b'[{"cycle":3},{}]'

    def test_a_rendered_value_is_one_request(self) -> None:
        chosen = slow(0)
        value: JsonValue = {"a": "${cycle} ${name}", "b": ["x ${cycle + 1} {{name}}"]}

        assert render(value, {"cycle": 3, "name": "n"}, variables=VARIABLES) == {"a": "3 n", "b": ["x 4 n"]}
        assert len(chosen.requests) == 1

    def test_paths_are_no_request(self) -> None:
        chosen = slow(0)

        assert render({"a": "{{cycle}}/{{name}}"}, {"cycle": 3}, variables=VARIABLES) == {"a": "3/"}
        assert chosen.requests == []


class TestNoEvaluator:
    """Without an evaluator nothing is evaluated: a function cannot do it in its own process by mistake."""

    def test_there_is_none_by_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(evaluator, "_evaluators", [])

        with pytest.raises(NoEvaluatorError):
            cycle()
