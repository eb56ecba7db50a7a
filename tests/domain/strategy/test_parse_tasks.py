"""Parsing tasks: steps, their next steps, retries."""

from typing import Any

import pytest

from shared.domain.calendar.dates import Unit
from shared.domain.errors import MAX_PROBLEMS, MoreProblems, Problem
from shared.domain.strategy.model import Delta, RetryConfig, Step, Task
from shared.domain.strategy.parse import read_definition
from shared.domain.strategy.parse_flow import check_flow
from shared.domain.strategy.reader import Notes, Reader
from shared.domain.strategy.shapes import Shape
from tests.domain.strategy.definitions import broken_rules, changed, problems

STEPS = "/tasks/0/steps"
HOUR = {"unit": "hours", "amount": 1}


def step(key: str, next_step: str | None = None, **members: object) -> dict[str, object]:
    return {"key": key, "action": "charge-card", "nextStep": next_step, **members}


def steps(*entries: dict[str, object], start: str = "a") -> dict[str, Any]:
    return changed("/tasks/0/initialStep", start, of=changed(STEPS, list(entries)))


def retry(**members: object) -> dict[str, Any]:
    return changed("/tasks/0/retryConfig", members)


class TestReferences:
    """Every reference of a task or a step exists: steps of the same task, actions of the definition."""

    def test_the_initial_step_must_exist(self) -> None:
        assert problems(steps(step("a"), start="b")) == [
            Problem(pointer="/tasks/0/initialStep", rule="reference", message="this task has no step 'b'")
        ]

    def test_the_next_step_must_exist(self) -> None:
        assert problems(steps(step("a", "b"))) == [
            Problem(pointer=f"{STEPS}/0/nextStep", rule="reference", message="this task has no step 'b'")
        ]

    def test_the_step_of_a_rule_must_exist(self) -> None:
        rules = [{"if": "onError", "nextStep": "a"}, {"if": "onBeforeRetry", "nextStep": "b"}]
        found = broken_rules(steps(step("a", nextStepRules=rules, delay=HOUR)))
        assert found == [(f"{STEPS}/0/nextStepRules/1/nextStep", "reference")]

    def test_a_step_of_another_task_is_reported(self) -> None:
        settings = steps(step("a", "z"))
        settings["tasks"].append({"key": "other", "initialStep": "z", "steps": [step("z")]})
        assert broken_rules(settings) == [(f"{STEPS}/0/nextStep", "reference")]

    def test_the_action_must_exist(self) -> None:
        assert problems(steps(step("a", action="refund"))) == [
            Problem(pointer=f"{STEPS}/0/action", rule="reference", message="there is no action 'refund'")
        ]

    @pytest.mark.parametrize("name", ["action", "nextStep"])
    def test_an_empty_text_is_reported_as_empty(self, name: str) -> None:
        assert broken_rules(steps(step("a", **{name: ""}))) == [(f"{STEPS}/0/{name}", "empty")]


class TestActingSteps:
    """A step acts: it has an action, a controller, a delay or a wait for an answer."""

    @pytest.mark.parametrize(
        "members", [{"action": "charge-card"}, {"controllerCallback": "{}"}, {"delay": HOUR}]
    )
    def test_every_single_member_is_enough(self, members: dict[str, object]) -> None:
        assert problems(steps({"key": "a", **members})) == []

    def test_a_step_without_any_is_refused(self) -> None:
        assert problems(steps({"key": "a", "final": True})) == [
            Problem(
                pointer=f"{STEPS}/0/action",
                rule="required",
                message="a step needs an action, a controller, a controllerCallback, a delay or a waitForAnswer",
            )
        ]


class TestRules:
    """A callback rule has a condition; the others may have one."""

    def test_a_callback_rule_needs_a_condition(self) -> None:
        rules = [{"if": "callback", "nextStep": "b"}, {"if": "onError", "nextStep": "b"}]
        assert problems(steps(step("a", nextStepRules=rules), step("b"))) == [
            Problem(
                pointer=f"{STEPS}/0/nextStepRules/0/ifCallback",
                rule="required",
                message="is required for a callback rule",
            )
        ]

    def test_a_condition_of_any_rule_is_checked(self) -> None:
        rules = [{"if": kind, "ifCallback": "attempt", "nextStep": "b"} for kind in ("callback", "onError")]
        assert broken_rules(steps(step("a", nextStepRules=rules), step("b"))) == [
            (f"{STEPS}/0/nextStepRules/0/ifCallback", "type"),
            (f"{STEPS}/0/nextStepRules/1/ifCallback", "type"),
        ]


class TestFinal:
    """A final step has no next step after a success; rules for errors, retries and pauses still apply."""

    def test_a_final_step_with_a_next_step_is_refused(self) -> None:
        rules = [{"if": "onError", "nextStep": "b"}]
        assert problems(steps(step("a", "b", final=True, nextStepRules=rules), step("b"))) == [
            Problem(
                pointer=f"{STEPS}/0/nextStep",
                rule="exclusive",
                message="is never reached: the step is final",
            )
        ]

    def test_a_final_step_with_a_callback_rule_is_refused(self) -> None:
        rules = [
            {"if": "onBeforePause", "nextStep": "b"},
            {"if": "callback", "ifCallback": "true", "nextStep": "b"},
        ]
        assert problems(steps(step("a", final=True, nextStepRules=rules), step("b"))) == [
            Problem(
                pointer=f"{STEPS}/0/nextStepRules/1",
                rule="exclusive",
                message="is never evaluated: the step is final",
            )
        ]

    def test_a_step_after_a_final_step_is_unreachable(self) -> None:
        assert broken_rules(steps(step("a", "b", final=True), step("b", "a"))) == [
            (f"{STEPS}/0/nextStep", "exclusive"),
            (f"{STEPS}/1/key", "unreachable"),
        ]


class TestReach:
    """Every step can be reached from the initial one by nextStep or by rules of any kind."""

    def test_every_unreachable_step_is_reported(self) -> None:
        assert problems(steps(step("x", "a"), step("a", "b"), step("b"), step("y", "x"))) == [
            Problem(pointer=f"{STEPS}/0/key", rule="unreachable", message="step 'x' cannot be reached"),
            Problem(pointer=f"{STEPS}/3/key", rule="unreachable", message="step 'y' cannot be reached"),
        ]

    @pytest.mark.parametrize("kind", ["onError", "onBeforeRetry", "onBeforePause", "callback"])
    def test_rules_make_a_step_reachable(self, kind: str) -> None:
        rules = [{"if": kind, "ifCallback": "attempt > 1", "nextStep": "b"}]
        assert problems(steps(step("a", nextStepRules=rules), step("b"))) == []

    def test_two_paths_to_a_step_are_allowed(self) -> None:
        rules = [{"if": "onError", "nextStep": "c"}]
        assert problems(steps(step("a", "b", nextStepRules=rules), step("b", "c"), step("c"))) == []

    def test_an_unknown_initial_step_makes_no_step_unreachable(self) -> None:
        assert broken_rules(steps(step("a"), step("b"), start="c")) == [("/tasks/0/initialStep", "reference")]


class TestLoops:
    """ "The step graph (`nextStep` and all rules) may contain a loop only through an `async` or `delay` step"."""

    def test_a_loop_of_two_steps_is_reported(self) -> None:
        assert problems(steps(step("a", "b"), step("b", "a"))) == [
            Problem(
                pointer=f"{STEPS}/0/key",
                rule="loop",
                message="the step leads back to itself without a step that waits: a -> b -> a",
            )
        ]

    def test_a_step_that_leads_to_itself_is_reported(self) -> None:
        rules = [{"if": "onError", "nextStep": "b"}]
        assert problems(steps(step("a", "b"), step("b", nextStepRules=rules))) == [
            Problem(
                pointer=f"{STEPS}/1/key",
                rule="loop",
                message="the step leads back to itself without a step that waits: b -> b",
            )
        ]

    def test_a_loop_is_reported_at_its_first_step_and_in_order(self) -> None:
        found = problems(steps(step("a", "d"), step("b", "c"), step("c", "d"), step("d", "b")))
        assert [(problem.pointer, problem.message[-16:]) for problem in found] == [
            (f"{STEPS}/1/key", "b -> c -> d -> b")
        ]

    def test_every_loop_is_reported(self) -> None:
        back = [{"if": "onError", "nextStep": "a"}]
        found = broken_rules(
            steps(step("a", "b"), step("b", "c", nextStepRules=back), step("c", "d"), step("d", "c"))
        )
        assert found == [(f"{STEPS}/0/key", "loop"), (f"{STEPS}/2/key", "loop")]

    def test_at_most_a_hundred_loops_are_reported(self) -> None:
        entries = [step(f"s{number}", f"s{number}") for number in range(101)]
        others = 100  # every step but the first is not reached
        (*_, more) = problems(steps(*entries, start="s0"))
        assert more == MoreProblems(count=100 + others - MAX_PROBLEMS)

    def test_a_long_loop_is_abbreviated(self) -> None:
        keys = [f"s{number}" for number in range(12)]
        entries = [step(key, after) for key, after in zip(keys, [*keys[1:], "s0"], strict=True)]
        (found,) = problems(steps(*entries, start="s0"))
        assert found.message.endswith("s0 -> s1 -> s2 -> s3 -> s4 -> s5 -> s6 -> s7 -> s8 -> s9 -> ... -> s0")

    @pytest.mark.parametrize(
        "delay",
        [
            HOUR,
            {"unit": "days", "amount": 0, "resetTo": {"hour": 9}},
            {"unit": "days", "amount": 0, "from": "renewal"},
            {"unit": "days", "amount": 0, "retryEventCallback": '{"unit": "hours", "amount": attempt}'},
        ],
    )
    def test_a_delay_makes_a_loop_wait(self, delay: dict[str, object]) -> None:
        assert problems(steps(step("a", "b"), step("b", "c", delay=delay), step("c", "a"))) == []

    def test_a_delay_of_zero_does_not_make_a_loop_wait(self) -> None:
        delay = {"unit": "days", "amount": 0}
        assert broken_rules(steps(step("a", "b"), step("b", "a", delay=delay))) == [
            (f"{STEPS}/0/key", "loop")
        ]

    def test_a_long_chain_without_a_loop_is_accepted(self) -> None:
        keys = [f"s{number}" for number in range(2000)]
        entries = [step(key, after) for key, after in zip(keys, [*keys[1:], None], strict=True)]
        assert problems(steps(*entries, start="s0")) == []

    def test_steps_without_a_valid_key_are_left_out(self) -> None:
        notes = Notes()
        task = Task(key="t", initial_step="", steps={"": Step(key="", next_step="")})
        check_flow(Reader({}, "", notes, Shape(name="", does="", fields={})), task, {}, later={})
        assert list(notes.problems.reported()) == []


class TestRetries:
    """Every retry has a delay: from retryStrategy, else from retryAfter. If `times` is omitted, the list's length
    counts.
    """

    def test_retries_without_a_delay_are_refused(self) -> None:
        assert problems(retry(times=1)) == [
            Problem(
                pointer="/tasks/0/retryConfig/times",
                rule="no-delay",
                message="needs retryAfter or retryStrategy",
            )
        ]
        assert broken_rules(retry(times=1, retryStrategy=[])) == [
            ("/tasks/0/retryConfig/retryStrategy", "no-delay")
        ]

    def test_a_retry_beyond_the_list_needs_retry_after(self) -> None:
        assert problems(retry(times=3, retryStrategy=[HOUR, HOUR])) == [
            Problem(
                pointer="/tasks/0/retryConfig/retryStrategy",
                rule="no-delay",
                message="has 2 of 3 delays, and there is no retryAfter for the others",
            )
        ]

    def test_retries_of_a_step_are_checked_too(self) -> None:
        assert broken_rules(steps(step("a", retryConfig={"times": 1}))) == [
            (f"{STEPS}/0/retryConfig/times", "no-delay")
        ]

    @pytest.mark.parametrize(
        ("members", "times"),
        [
            ({}, 0),
            ({"times": 0}, 0),
            ({"pauseBeforeCancel": True}, 0),
            ({"times": 3, "retryAfter": HOUR}, 3),
            ({"times": 3, "retryAfter": HOUR, "retryStrategy": [HOUR]}, 3),
            ({"times": 2, "retryStrategy": [HOUR, HOUR]}, 2),
            ({"times": 1, "retryStrategy": [HOUR, HOUR]}, 1),
            ({"retryStrategy": [HOUR, HOUR]}, 2),
            ({"times": 0, "retryStrategy": [HOUR]}, 0),
        ],
    )
    def test_the_number_of_retries_has_bounds(self, members: dict[str, object], times: int) -> None:
        config = read_definition(retry(**members), environment="dev").tasks["bill"].retry_config
        assert config is not None
        assert config.times == times

    def test_a_retry_config_is_parsed(self) -> None:
        settings = retry(times=2, retryAfter=HOUR, retryStrategy=[{"unit": "days", "amount": 1}])
        assert read_definition(settings, environment="dev").tasks["bill"].retry_config == RetryConfig(
            times=2,
            retry_after=Delta(unit=Unit.HOURS, amount=1),
            retry_strategy=(Delta(unit=Unit.DAYS, amount=1),),
            jitter_percent=10,
            refused_hours=24,
        )

    def test_an_invalid_list_is_reported_once(self) -> None:
        settings = retry(times=1, retryAfter=HOUR, retryStrategy={"unit": "days", "amount": 1})
        assert broken_rules(settings) == [("/tasks/0/retryConfig/retryStrategy", "type")]


class TestAsynchronousSteps:
    """Members for asynchronous methods are refused if they could never matter."""

    METHOD = "/services/0/methods/0"

    def asynchronous(self) -> dict[str, object]:
        return changed(f"{self.METHOD}/async", value=True)

    def test_a_loop_through_an_asynchronous_step_is_allowed(self) -> None:
        loop = [step("charge", "again", action="charge-card"), step("again", "charge")]
        entries: list[object] = [{k: v for k, v in entry.items() if v is not None} for entry in loop]
        settings = changed("/tasks/0/steps", entries, of=self.asynchronous())
        assert problems(settings) == []
        assert broken_rules(changed("/tasks/0/steps", entries)) == [(f"{STEPS}/0/key", "loop")]

    def test_answer_within_of_a_synchronous_method_is_refused(self) -> None:
        assert problems(changed(f"{self.METHOD}/answerWithin", HOUR)) == [
            Problem(
                pointer=f"{self.METHOD}/answerWithin",
                rule="exclusive",
                message="is for asynchronous methods: async is not true",
            )
        ]

    def test_answer_within_is_a_delta(self) -> None:
        settings = changed(
            f"{self.METHOD}/answerWithin", {"unit": "weeks", "amount": 1}, of=self.asynchronous()
        )
        assert broken_rules(settings) == [(f"{self.METHOD}/answerWithin/unit", "enum")]

    def test_a_resume_callback_that_is_never_called_is_refused(self) -> None:
        never = [
            Problem(
                pointer=f"{STEPS}/0/resumeControllerCallback",
                rule="exclusive",
                message="is never called: the step's action calls no asynchronous method",
            )
        ]
        assert problems(changed(f"{STEPS}/0/resumeControllerCallback", "{}")) == never
        alone = [{"key": "only", "controllerCallback": "{}", "resumeControllerCallback": "{}"}]
        settings = changed("/tasks/0/steps", alone, of=changed("/tasks/0/initialStep", "only"))
        assert problems(settings) == never

    def test_a_step_that_waits_for_an_answer_may_have_a_resume_callback(self) -> None:
        waits = {"key": "only", "waitForAnswer": HOUR, "resumeControllerCallback": "{}"}
        assert problems(changed("/tasks/0/steps", [waits], of=changed("/tasks/0/initialStep", "only"))) == []

    def test_a_loop_through_a_waiting_step_is_allowed(self) -> None:
        loop = [{"key": "charge", "waitForAnswer": HOUR, "nextStep": "charge"}]
        assert problems(changed("/tasks/0/steps", loop)) == []

    def test_a_step_with_an_action_and_a_wait_is_refused(self) -> None:
        assert problems(changed(f"{STEPS}/0/waitForAnswer", HOUR)) == [
            Problem(
                pointer=f"{STEPS}/0/waitForAnswer",
                rule="exclusive",
                message="must not be given beside an action: an asynchronous method has its own answerWithin",
            )
        ]

    def test_whole_answer_of_an_asynchronous_method_is_refused(self) -> None:
        assert problems(changed(f"{self.METHOD}/wholeAnswer", value=True, of=self.asynchronous())) == [
            Problem(
                pointer=f"{self.METHOD}/wholeAnswer",
                rule="exclusive",
                message="is not for asynchronous methods",
            )
        ]

    def test_an_unknown_method_is_the_only_problem(self) -> None:
        settings = changed(f"{STEPS}/0/resumeControllerCallback", "{}")
        settings = changed("/actions/0/method", "unknown", of=settings)
        assert broken_rules(settings) == [("/actions/0/method", "reference")]


class TestNamedControllers:
    """The controller of a step must be registered."""

    def test_a_registered_controller_is_accepted(self) -> None:
        assert problems(changed(f"{STEPS}/0/controller", "charged")) == []

    def test_an_unregistered_controller_is_reported(self) -> None:
        assert problems(changed(f"{STEPS}/0/controller", "unheard-of")) == [
            Problem(
                pointer=f"{STEPS}/0/controller",
                rule="reference",
                message="there is no registered controller 'unheard-of'",
            )
        ]

    def test_a_controller_is_enough_for_a_step(self) -> None:
        assert problems(changed(f"{STEPS}/0", {"key": "charge", "controller": "charged"})) == []


class TestOutputs:
    """Outputs are templates by name."""

    def test_a_broken_output_is_reported_at_its_name(self) -> None:
        (problem,) = problems(changed("/tasks/0/outputs", {"ok": "{{cycle}}", "sum": "${1 +}"}))
        assert problem.pointer == "/tasks/0/outputs/sum"

    def test_outputs_must_be_texts(self) -> None:
        assert broken_rules(changed("/tasks/0/outputs", {"sum": 1})) == [("/tasks/0/outputs/sum", "type")]
