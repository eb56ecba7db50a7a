"""Callbacks that take too much time or memory, evaluated as in a deployed function.

The step fails with a message, the function continues, and no call is sent again.
"""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from dev.memory.evaluator import InProcessEvaluator
from shared.adapters.evaluator.process import ProcessEvaluator
from shared.application.runner.loop import run_due_events
from shared.domain.ids import AccountId, StrategySid
from shared.domain.planning.forecast import simulate
from shared.domain.strategy.model import Strategy
from shared.domain.strategy.parse import read_definition
from shared.expressions import Breach, Reply, use_evaluator
from shared.expressions.limits import FORESIGHT_SECONDS
from tests.application.lives import DECLINED, OK, START, Life, base, settings_with, two_steps

NUMBERS = "[" + ",".join(map(str, range(1, 91))) + "]"
NEEDLE = "x" * 500 + "y" + "x" * 500
CRASH = f'{NUMBERS}.exists(a, {NUMBERS}.exists(b, lower(attributes.t) == "y"))'
TIME = f'{NUMBERS}.all(a, {NUMBERS}.all(b, !attributes.t.contains("{NEEDLE}")))'
MEMORY = f"size({NUMBERS}.map(a, {NUMBERS}.map(b, attributes.t + attributes.t))) == 1"
REGEX = "attributes.t.matches('(' + 'x{1,100}){1,10}y')"
REASONS = {
    CRASH: "functions are given more than 4194304 characters in one evaluation",
    TIME: "it takes too much processor time",
    MEMORY: "it takes too much memory",
    REGEX: "this regular expression is too large: its repetitions make more than 500 parts",
}
ATTRIBUTES = {"t": "x" * 5_000}


class Counting:
    """The evaluator of a deployed function, and the processor time of all its answers."""

    def __init__(self) -> None:
        self.process = ProcessEvaluator(seconds=time.monotonic, environment={})
        self.seconds = 0.0

    def answer(self, request: bytes, *, seconds: float) -> Reply | Breach:
        answer = self.process.answer(request, seconds=seconds)
        self.seconds += answer.seconds
        return answer


@pytest.fixture(autouse=True)
def evaluator() -> Iterator[Counting]:
    chosen = Counting()
    use_evaluator(chosen)
    yield chosen
    chosen.process.close()
    use_evaluator(InProcessEvaluator())


def lived(settings: dict[str, Any], *answers: Any) -> Life:
    life = Life(settings, *answers, attributes=ATTRIBUTES)
    # Whatever comes back to the instance must not send anything again.
    run_due_events(life.ports, life.sid, job="again", time_left=lambda: timedelta(minutes=15))
    return life


@pytest.mark.parametrize("source", REASONS, ids=["bytes", "time", "memory", "regex"])
class TestOneCall:
    """The call of a step is sent once, or not at all if it cannot be built."""

    def test_a_controller_callback_fails_its_step(self, source: str) -> None:
        callback = f'{source} ? {{"response": 1}} : {{}}'
        life = lived(settings_with("/tasks/0/steps/0/controllerCallback", callback))

        assert life.paths == ["/charges"]
        last = life.first.last
        assert last is not None
        assert last.outcome.error is not None
        assert last.outcome.error.message == f"controllerCallback: {REASONS[source]}"

    def test_a_rule_fails_its_step(self, source: str) -> None:
        rule = {"if": "callback", "ifCallback": source, "nextStep": "back"}
        life = lived(two_steps(nextStepRules=[rule]))

        assert life.paths == ["/charges"]

    def test_an_error_rule_does_not_match(self, source: str) -> None:
        rule = {"if": "onError", "ifCallback": source, "nextStep": "back"}
        life = lived(two_steps(nextStepRules=[rule]), DECLINED)

        assert life.paths == ["/charges"]

    def test_a_request_validation_sends_nothing(self, source: str) -> None:
        assert lived(settings_with("/services/0/methods/0/requestValidation", source)).paths == []

    def test_a_template_sends_nothing(self, source: str) -> None:
        assert lived(settings_with("/actions/0/data", {"text": f"${{{source}}}"})).paths == []

    def test_an_output_is_left_out(self, source: str) -> None:
        life = lived(settings_with("/tasks/0/outputs", {"text": f"${{{source}}}"}))

        assert life.paths == ["/charges"]
        assert life.instance.outputs == {}

    def test_a_retry_is_dated_by_its_own_delta(self, source: str) -> None:
        delta = {"unit": "hours", "amount": 1, "retryEventCallback": f'{source} ? {{"amount": 2}} : {{}}'}
        life = lived(settings_with("/tasks/0/retryConfig", {"times": 1, "retryAfter": delta}), DECLINED)

        assert life.paths == ["/charges"]
        assert life.plan == ["bill PENDING 01-01 13:00"]

    def test_the_next_cycle_cannot_be_dated(self, source: str) -> None:
        callback = f"{source} ? date : date"
        life = lived(settings_with("/schedule/calendars/0/nextCycleDateCallback", callback), OK)

        assert life.paths == ["/charges"]
        assert REASONS[source] in (life.instance.stop_note or "")


class TestSimulation:
    """Twelve cycles with a costly callback are simulated within their time, and the rest is left out."""

    COSTLY = f"{NUMBERS}.all(a, !attributes.t.contains('{NEEDLE}')) ? date : date"

    def strategy(self) -> Strategy:
        settings = settings_with("/schedule/calendars/0/nextCycleDateCallback", self.COSTLY, of=base())
        return Strategy(
            sid=StrategySid("s"),
            account_id=AccountId("a"),
            name="s",
            version=1,
            definition=read_definition(settings, environment="dev"),
            environment="dev",
        )

    def test_a_truncated_forecast_has_its_first_cycles(self, evaluator: Counting) -> None:
        attributes = {"t": "x" * 15_000}
        found = simulate(self.strategy(), start_date=START, cycles=120, attributes=attributes)

        assert found.truncated
        assert 1 <= len(found.cycles) < 120
        assert found.ended is None
        assert evaluator.seconds <= FORESIGHT_SECONDS + 0.3
