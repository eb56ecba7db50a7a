"""Expressions that harm nothing but their own step. Source: docs/expressions.md; docs/decisions/0025, 0032."""

from collections.abc import Iterator
from typing import Any

import pytest

from dev.memory.evaluator import InProcessEvaluator
from shared.adapters.evaluator.process import ProcessEvaluator
from shared.adapters.system import monotonic
from shared.domain.steps.call import Answered
from shared.expressions import Breach, Reply, use_evaluator
from tests.cases.engine import Engine, Json, changed, settings_of
from tests.dialects.automation.client import Client as AutomationClient
from tests.dialects.automation.client import branch, call

PLAIN = settings_of("nul-attribute")
NUMBERS = "[" + ",".join(map(str, range(1, 91))) + "]"
NEEDLE = "x" * 500 + "y" + "x" * 500


class Measured:
    """The evaluator of a deployed function. ``seconds`` is the processor time of all answers."""

    def __init__(self) -> None:
        self.process = ProcessEvaluator(seconds=monotonic, environment={})
        self.seconds = 0.0

    def answer(self, request: bytes, *, seconds: float) -> Reply | Breach:
        answer = self.process.answer(request, seconds=seconds)
        self.seconds += answer.seconds
        return answer

    @property
    def pid(self) -> int:
        assert self.process._worker is not None
        return self.process._worker.process.pid


@pytest.fixture
def measured() -> Iterator[Measured]:
    """Evaluate in a process of its own, as a deployed function does."""
    chosen = Measured()
    use_evaluator(chosen)
    yield chosen
    chosen.process.close()
    use_evaluator(InProcessEvaluator())


@pytest.fixture(params=["in this process", "in a process of its own"])
def evaluator(request: pytest.FixtureRequest) -> None:
    """Evaluate in this process, and in a process of its own."""
    if request.param == "in a process of its own":
        request.getfixturevalue("measured")


def judged(source: str) -> Json:
    """Return settings whose only step is judged by an expression."""
    return changed(PLAIN, tasks_0_steps_0_controllerCallback=f'{source} ? {{"response": 1}} : {{}}')


@pytest.mark.usefixtures("evaluator")
class TestCrash:
    """A host function in two loops over a long text is a clear error of its step: no crash, and no second call."""

    TOO_MANY = "functions are given more than 4194304 characters in one evaluation"

    def failed(self, engine: Engine, source: str, text: str) -> str:
        """Return the error of the only step, which must have sent one call."""
        run = engine.start(judged(source), {"l": text}).advance(days=1)
        assert len(engine.services.sent) == 1
        assert (run.event()["status"], run.instance()["status"]) == ("FAILED", "CANCELED")
        return run.error()

    def test_the_case_is_an_error(self, engine: Engine) -> None:
        source = f'{NUMBERS}.exists(a, {NUMBERS}.exists(b, lower(attributes.l) == "y"))'

        assert self.failed(engine, source, "x" * 5_000) == f"controllerCallback: {self.TOO_MANY}"

    def test_the_process_that_evaluates_survives(self, engine: Engine, measured: Measured) -> None:
        source = f'{NUMBERS}.exists(a, {NUMBERS}.exists(b, lower(attributes.l) == "y"))'
        engine.save(judged(source))
        before = measured.pid

        assert engine.start_another({"l": "x" * 5_000}).error() == f"controllerCallback: {self.TOO_MANY}"
        assert measured.pid == before

    @pytest.mark.parametrize(
        "function",
        [
            'upper(attributes.l) == "y"',
            'trim(attributes.l) == "y"',
            'sha256(attributes.l) == "y"',
            'replace(attributes.l, "x", "z") == "y"',
            "size(split(attributes.l, 'y')) == 2",
        ],
    )
    def test_other_functions_are_errors(self, engine: Engine, function: str) -> None:
        source = f"{NUMBERS}.exists(a, {NUMBERS}.exists(b, {function}))"

        assert self.failed(engine, source, "x" * 5_000) == f"controllerCallback: {self.TOO_MANY}"

    def test_the_call_is_not_in_doubt_for_an_operator_to_decide(self, engine: Engine) -> None:
        source = f'{NUMBERS}.exists(a, {NUMBERS}.exists(b, lower(attributes.l) == "y"))'
        settings = changed(judged(source), services_0_methods_0_inDoubt="pause")
        run = engine.start(settings, {"l": "x" * 5_000}).advance(days=1)

        # Nothing judged the 2xx, so whether the call succeeded is for the operator to say.
        assert (run.event()["status"], run.event()["pausedFor"]) == ("PAUSED", "IN_DOUBT")
        assert len(engine.services.sent) == 1

    @pytest.mark.parametrize(("text", "count"), [("x", 90), ("x" * 500, 90), ("x" * 5_000, 9)])
    def test_less_of_it_has_a_value(self, engine: Engine, text: str, count: int) -> None:
        numbers = "[" + ",".join(map(str, range(1, count + 1))) + "]"
        source = f'{numbers}.exists(a, {numbers}.exists(b, lower(attributes.l) == "y"))'
        run = engine.start(judged(source), {"l": text})

        assert run.event()["status"] == "PROCESSED"


class TestRegexCost:
    """A regular expression of many parts is refused; any other takes bounded time, whatever it is matched with."""

    LARGE = "this regular expression is too large: its repetitions make more than 500 parts"
    TEXT = "x" * 15_000

    @pytest.mark.parametrize(
        "pattern", ["(x{1,100}){1,10}y", "x{1,501}", "(x{1,50}){20}", "((x{1,9}){1,9}){1,9}", "(x|y{400}){2}"]
    )
    def test_a_hostile_expression_is_refused_on_save(self, engine: Engine, pattern: str) -> None:
        ((pointer, _, message),) = engine.problems(judged(f'attributes.t.matches("{pattern}")'))

        assert (pointer, message) == (
            "/settings/tasks/0/steps/0/controllerCallback",
            f"matches: {self.LARGE}",
        )

    @pytest.mark.usefixtures("evaluator")
    @pytest.mark.parametrize(
        "source",
        [
            "attributes.t.matches('(x{1,100}' + '){1,10}y')",
            f"{NUMBERS}.exists(a, attributes.t.matches('(x{{1,100}}' + '){{1,10}}y'))",
            "attributes.t.matches(attributes.p)",
        ],
    )
    def test_a_computed_one_fails_its_step(self, engine: Engine, source: str) -> None:
        run = engine.start(judged(source), {"t": self.TEXT, "p": "(x{1,100}){1,10}y"}).advance(days=1)

        assert (len(engine.services.sent), run.error()) == (1, f"controllerCallback: {self.LARGE}")

    @pytest.mark.usefixtures("evaluator")
    @pytest.mark.parametrize("pattern", ["(x+x+)+y", "^x{1,100}$", "(a|aa)+$", "^(x|xx)*$"])
    def test_a_small_one_has_a_value(self, engine: Engine, pattern: str) -> None:
        run = engine.start(judged(f'attributes.t.matches("{pattern}")'), {"t": self.TEXT})

        assert run.event()["status"] == "PROCESSED"

    @pytest.mark.usefixtures("evaluator")
    @pytest.mark.parametrize(("length", "status"), [(9_950, "PROCESSED"), (9_951, "FAILED")])
    def test_a_large_one_has_a_value_for_short_texts(self, engine: Engine, length: int, status: str) -> None:
        run = engine.start(judged('attributes.t.matches("^x{1,400}$")'), {"t": "x" * length})

        assert run.event()["status"] == status

    @pytest.mark.parametrize(
        "source",
        [
            "attributes.t.matches('(x{1,100}' + '){1,10}y')",
            "attributes.t.matches('(x{1,20}){1,20}y')",
            f"{NUMBERS}.exists(a, attributes.t.matches('(x{{1,20}}){{1,20}}y'))",
            f'{NUMBERS}.exists(a, {NUMBERS}.exists(b, attributes.t.contains("{NEEDLE}")))',
        ],
        ids=["too large", "large", "large in a loop", "two loops"],
    )
    def test_a_simulation_of_12_cycles_takes_less_than_a_second(
        self, engine: Engine, measured: Measured, source: str
    ) -> None:
        sid = engine.save(
            changed(PLAIN, schedule_calendars_0_nextCycleDateCallback=f"{source} ? date : date")
        )
        measured.seconds = 0.0
        body = {"cycles": 12, "attributes": {"t": self.TEXT}}
        status, answer = engine.client("POST", f"/execution-strategy/{sid}/simulate-execution", body)

        assert status == 200
        assert measured.seconds < 1
        assert 1 <= len(answer["cycleEvents"]) <= 12
        # Fewer cycles than requested are explained.
        assert len(answer["cycleEvents"]) == 12 or answer.get("truncated") or answer["ended"]


class TestLooseEquality:
    """In scripts of 8x8 ``==`` converts like JavaScript's: ``step.responseCode == '201'`` is true for 201."""

    def taken(self, automation: AutomationClient, condition: str, code: int = 201) -> bool:
        """Return whether a condition on an answer holds."""
        automation.services.answers = [Answered(status=code, body={"n": 1, "s": "1", "b": True})]
        first = call("first", outputs={"code": "{{step.responseCode}}"}, selectNextStep={"yes": condition})
        workflow = automation.ran(first, call("yes", "https://api.example.com/yes"))
        assert (workflow["status"], workflow["data"]["code"]) == ("Complete", code)
        return automation.services.urls[1:] == ["https://api.example.com/yes"]

    @pytest.mark.parametrize(
        ("condition", "holds"),
        [
            ("{{step.responseCode == '201'}}", True),
            ("{{step.responseCode === '201'}}", False),
            ("{{step.responseCode == 201}}", True),
            ("{{step.responseCode === 201}}", True),
            ("{{step.responseCode != '201'}}", False),
            ("{{step.responseCode !== '201'}}", True),
            ("{{step.responseCode == ' 201 '}}", True),
            ("{{step.responseCode == '2.01e2'}}", True),
            ("{{step.responseCode == 'created'}}", False),
            ("{{step.responseCode == '200'}}", False),
            ("{{step.responseBody.n == step.responseBody.s}}", True),
            ("{{step.responseBody.n === step.responseBody.s}}", False),
            ("{{step.responseBody.b == 1}}", True),
            ("{{step.responseBody.b === 1}}", False),
            ("{{step.responseBody.b == 'true'}}", False),
            ("{{data.none == null}}", True),
            ("{{data.none == 0}}", False),
            ("{{'' == 0}}", True),
        ],
    )
    def test_a_condition_is_that_of_javascript(
        self,
        automation: AutomationClient,
        condition: str,
        holds: bool,  # noqa: FBT001 - a column of the table
    ) -> None:
        assert self.taken(automation, condition) == holds

    def test_a_branch_converts_as_well(self, automation: AutomationClient) -> None:
        automation.ran(
            branch("choose", yes="{{data.n == '7'}}", no="{{data.n === '7'}}"),
            call("yes", "https://api.example.com/yes"),
            call("no", "https://api.example.com/no"),
            context={"n": 7},
        )

        assert automation.services.urls == ["https://api.example.com/yes"]

    def test_a_callback_of_core_does_not_convert(self, engine: Engine) -> None:
        callback: Any = 'response.n == "1" ? {"response": "equal"} : {"response": "different"}'
        engine.services.answers = [Answered(status=201, body={"n": 1})]
        run = engine.start(changed(PLAIN, tasks_0_steps_0_controllerCallback=callback))

        (result,) = run.event()["taskStatus"]["taskResults"]
        assert result["response"] == "different"
