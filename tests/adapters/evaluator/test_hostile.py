"""Hostile inputs: no process ends that must not, and each request stays within its limits."""

import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from dev.memory.evaluator import InProcessEvaluator
from shared.adapters.evaluator.process import START_COST_SECONDS, ProcessEvaluator
from shared.domain.errors import InvalidInputError
from shared.domain.strategy.parse import read_definition
from shared.expressions import Breach, EvaluationError, Reply, spending, use_evaluator
from shared.expressions.limits import CHECK_SECONDS, DECISION_SECONDS, EVALUATION_SECONDS
from tests.adapters.evaluator.hostile_inputs import Hostile, hostile_inputs
from tests.domain.strategy.definitions import changed, minimal

INPUTS = list(hostile_inputs())
# Two processes can be lost for one request: an old one, and the new one that answers once more.
MOST_SECONDS = EVALUATION_SECONDS + 2 * START_COST_SECONDS


class Watched:
    """The evaluator of a deployed function, and the processor time of each of its answers."""

    def __init__(self) -> None:
        self.process = ProcessEvaluator(seconds=time.monotonic, environment={})
        self.seconds: list[float] = []

    def answer(self, request: bytes, *, seconds: float) -> Reply | Breach:
        answer = self.process.answer(request, seconds=seconds)
        self.seconds.append(answer.seconds)
        return answer


@pytest.fixture
def watched(shared: Watched) -> Iterator[Watched]:
    shared.seconds.clear()
    use_evaluator(shared)
    yield shared
    use_evaluator(InProcessEvaluator())


@pytest.fixture(scope="module")
def shared() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.process.close()


def outcome(hostile: Hostile) -> str:
    with spending(CHECK_SECONDS):
        broken = hostile.check()
    with spending(DECISION_SECONDS):
        try:
            hostile.evaluate()
        except EvaluationError:
            return broken[0] if broken else "error"
    return broken[0] if broken else "value"


class TestHostileInputs:
    """Expressions, regular expressions and templates that were written to do harm have a value or a clear error."""

    def test_the_inputs_are_many_and_of_every_group(self) -> None:
        assert len(INPUTS) >= 150
        assert {hostile.group for hostile in INPUTS} == {
            "growth",
            "host loop",
            "iterations",
            "regex",
            "source",
            "template",
            "values",
        }

    @pytest.mark.parametrize("hostile", INPUTS, ids=lambda hostile: f"{hostile.group}: {hostile.name}")
    def test_a_hostile_input_has_its_outcome_within_the_limits(
        self, watched: Watched, hostile: Hostile
    ) -> None:
        found = outcome(hostile)

        # Whether an input that needs about the time that it may take has a value depends on the machine.
        assert hostile.outcome in (found, "any")
        assert max(watched.seconds, default=0) <= MOST_SECONDS
        assert sum(watched.seconds) <= CHECK_SECONDS + DECISION_SECONDS + 2 * MOST_SECONDS


class TestSaving:
    """A document is saved or refused within the time of its checks, whatever it holds."""

    @pytest.mark.parametrize("hostile", INPUTS, ids=lambda hostile: f"{hostile.group}: {hostile.name}")
    def test_a_strategy_with_it_is_read_or_refused(self, watched: Watched, hostile: Hostile) -> None:
        document = changed("/actions/0/data", {"text": hostile.source}, of=minimal())
        if not hostile.is_template:
            document = changed("/tasks/0/steps/0/controllerCallback", hostile.source, of=minimal())
        # Any other exception would fail the test.
        with suppress(InvalidInputError):
            read_definition(document, environment="dev")
        assert sum(watched.seconds) <= CHECK_SECONDS + MOST_SECONDS
