"""Tasks: steps, the ways between them, retries."""

from typing import Any

import pytest

from shared.domain.calendar.dates import Unit
from shared.domain.errors import Problem
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
    """Whatever a task or a step refers to exists: steps of the same task, actions of the definition."""

    def test_the_initial_step(self) -> None:
        assert problems(steps(step("a"), start="b")) == [
            Problem(pointer="/tasks/0/initialStep", rule="reference", message="this task has no step 'b'")
        ]

    def test_the_next_step(self) -> None:
        assert problems(steps(step("a", "b"))) == [
            Problem(pointer=f"{STEPS}/0/nextStep", rule="reference", message="this task has no step 'b'")
        ]

    def test_the_step_of_a_rule(self) -> None:
        rules = [{"if": "onError", "nextStep": "a"}, {"if": "onBeforeRetry", "nextStep": "b"}]
        found = broken_rules(steps(step("a", nextStepRules=rules, delay=HOUR)))
        assert found == [(f"{STEPS}/0/nextStepRules/1/nextStep", "reference")]

    def test_a_step_of_another_task(self) -> None:
        settings = steps(step("a", "z"))
        settings["tasks"].append({"key": "other", "initialStep": "z", "steps": [step("z")]})
        assert broken_rules(settings) == [(f"{STEPS}/0/nextStep", "reference")]

    def test_the_action(self) -> None:
        assert problems(steps(step("a", action="refund"))) == [
            Problem(pointer=f"{STEPS}/0/action", rule="reference", message="there is no action 'refund'")
        ]

    @pytest.mark.parametrize("name", ["action", "nextStep"])
    def test_an_empty_text_refers_to_nothing(self, name: str) -> None:
        assert broken_rules(steps(step("a", **{name: ""}))) == [(f"{STEPS}/0/{name}", "empty")]


class TestWhatAStepDoes:
    """A step acts: it has an action, a controllerCallback or a delay."""

    @pytest.mark.parametrize(
        "members", [{"action": "charge-card"}, {"controllerCallback": "{}"}, {"delay": HOUR}]
    )
    def test_one_is_enough(self, members: dict[str, object]) -> None:
        assert problems(steps({"key": "a", **members})) == []

    def test_none(self) -> None:
        assert problems(steps({"key": "a", "final": True})) == [
            Problem(
                pointer=f"{STEPS}/0/action",
                rule="required",
                message="a step needs an action, a controller, a controllerCallback, a delay or a waitForAnswer",
            )
        ]


class TestRules:
    """A callback rule has its condition; the others may have one."""

    def test_a_callback_rule_without_one(self) -> None:
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
    """After a final step nothing follows its success; rules for errors, retries and pauses still hold."""

    def test_a_next_step(self) -> None:
        rules = [{"if": "onError", "nextStep": "b"}]
        assert problems(steps(step("a", "b", final=True, nextStepRules=rules), step("b"))) == [
            Problem(
                pointer=f"{STEPS}/0/nextStep",
                rule="exclusive",
                message="is never reached: the step is final",
            )
        ]

    def test_a_callback_rule(self) -> None:
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

    def test_what_only_such_a_way_leads_to_is_out_of_reach(self) -> None:
        assert broken_rules(steps(step("a", "b", final=True), step("b", "a"))) == [
            (f"{STEPS}/0/nextStep", "exclusive"),
            (f"{STEPS}/1/key", "unreachable"),
        ]


class TestReach:
    """Some way leads to every step: from the initial one by nextStep and by rules of every kind."""

    def test_each_step_out_of_reach_is_reported(self) -> None:
        assert problems(steps(step("x", "a"), step("a", "b"), step("b"), step("y", "x"))) == [
            Problem(pointer=f"{STEPS}/0/key", rule="unreachable", message="step 'x' cannot be reached"),
            Problem(pointer=f"{STEPS}/3/key", rule="unreachable", message="step 'y' cannot be reached"),
        ]

    @pytest.mark.parametrize("kind", ["onError", "onBeforeRetry", "onBeforePause", "callback"])
    def test_rules_lead_there(self, kind: str) -> None:
        rules = [{"if": kind, "ifCallback": "attempt > 1", "nextStep": "b"}]
        assert problems(steps(step("a", nextStepRules=rules), step("b"))) == []

    def test_two_ways_to_one_step(self) -> None:
        rules = [{"if": "onError", "nextStep": "c"}]
        assert problems(steps(step("a", "b", nextStepRules=rules), step("b", "c"), step("c"))) == []

    def test_nothing_is_out_of_reach_where_the_beginning_is_unknown(self) -> None:
        assert broken_rules(steps(step("a"), step("b"), start="c")) == [("/tasks/0/initialStep", "reference")]


class TestLoops:
    """A way back to the same step leads through one that waits."""

    def test_two_steps(self) -> None:
        assert problems(steps(step("a", "b"), step("b", "a"))) == [
            Problem(
                pointer=f"{STEPS}/0/key",
                rule="loop",
                message="the step leads back to itself without a step that waits: a -> b -> a",
            )
        ]

    def test_a_step_and_itself(self) -> None:
        rules = [{"if": "onError", "nextStep": "b"}]
        assert problems(steps(step("a", "b"), step("b", nextStepRules=rules))) == [
            Problem(
                pointer=f"{STEPS}/1/key",
                rule="loop",
                message="the step leads back to itself without a step that waits: b -> b",
            )
        ]

    def test_it_is_reported_at_its_first_step_and_in_order(self) -> None:
        found = problems(steps(step("a", "d"), step("b", "c"), step("c", "d"), step("d", "b")))
        assert [(problem.pointer, problem.message[-16:]) for problem in found] == [
            (f"{STEPS}/1/key", "b -> c -> d -> b")
        ]

    def test_each_loop_is_reported(self) -> None:
        back = [{"if": "onError", "nextStep": "a"}]
        found = broken_rules(
            steps(step("a", "b"), step("b", "c", nextStepRules=back), step("c", "d"), step("d", "c"))
        )
        assert found == [(f"{STEPS}/0/key", "loop"), (f"{STEPS}/2/key", "loop")]

    def test_a_hundred_loops_are_reported(self) -> None:
        entries = [step(f"s{number}", f"s{number}") for number in range(101)]
        found = broken_rules(steps(*entries, start="s0"))
        assert sum(rule == "loop" for _, rule in found) == 100

    def test_a_long_one_is_reported_in_short(self) -> None:
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
    def test_a_delay_makes_it_wait(self, delay: dict[str, object]) -> None:
        assert problems(steps(step("a", "b"), step("b", "c", delay=delay), step("c", "a"))) == []

    def test_a_delay_of_nothing_does_not(self) -> None:
        delay = {"unit": "days", "amount": 0}
        assert broken_rules(steps(step("a", "b"), step("b", "a", delay=delay))) == [
            (f"{STEPS}/0/key", "loop")
        ]

    def test_a_long_chain_is_no_loop_and_no_effort(self) -> None:
        keys = [f"s{number}" for number in range(2000)]
        entries = [step(key, after) for key, after in zip(keys, [*keys[1:], None], strict=True)]
        assert problems(steps(*entries, start="s0")) == []

    def test_steps_without_a_usable_key_are_left_out(self) -> None:
        notes = Notes()
        task = Task(key="t", initial_step="", steps={"": Step(key="", next_step="")})
        check_flow(Reader({}, "", notes, Shape(name="", does="", fields={})), task, {}, later={})
        assert notes.problems == []


class TestRetries:
    """Every retry has a delay: of retryStrategy, else of retryAfter. The list alone says how many."""

    def test_no_delay_at_all(self) -> None:
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

    def test_a_delay_missing_at_the_end(self) -> None:
        assert problems(retry(times=3, retryStrategy=[HOUR, HOUR])) == [
            Problem(
                pointer="/tasks/0/retryConfig/retryStrategy",
                rule="no-delay",
                message="has 2 of 3 delays, and there is no retryAfter for the others",
            )
        ]

    def test_the_same_in_a_step(self) -> None:
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
    def test_how_many_there_are(self, members: dict[str, object], times: int) -> None:
        config = read_definition(retry(**members), environment="dev").tasks["bill"].retry_config
        assert config is not None
        assert config.times == times

    def test_as_read(self) -> None:
        settings = retry(times=2, retryAfter=HOUR, retryStrategy=[{"unit": "days", "amount": 1}])
        assert read_definition(settings, environment="dev").tasks["bill"].retry_config == RetryConfig(
            times=2,
            retry_after=Delta(unit=Unit.HOURS, amount=1),
            retry_strategy=(Delta(unit=Unit.DAYS, amount=1),),
        )

    def test_a_list_that_is_none_is_not_missed_too(self) -> None:
        settings = retry(times=1, retryAfter=HOUR, retryStrategy={"unit": "days", "amount": 1})
        assert broken_rules(settings) == [("/tasks/0/retryConfig/retryStrategy", "type")]


class TestAsynchronousSteps:
    """What belongs to asynchronous methods is refused where it could never matter."""

    METHOD = "/services/0/methods/0"

    def asynchronous(self) -> dict[str, object]:
        return changed(f"{self.METHOD}/async", value=True)

    def test_a_way_back_may_lead_through_one(self) -> None:
        loop = [step("charge", "again", action="charge-card"), step("again", "charge")]
        entries: list[object] = [{k: v for k, v in entry.items() if v is not None} for entry in loop]
        settings = changed("/tasks/0/steps", entries, of=self.asynchronous())
        assert problems(settings) == []
        assert broken_rules(changed("/tasks/0/steps", entries)) == [(f"{STEPS}/0/key", "loop")]

    def test_a_time_for_the_answer_to_another_is_refused(self) -> None:
        assert problems(changed(f"{self.METHOD}/answerWithin", HOUR)) == [
            Problem(
                pointer=f"{self.METHOD}/answerWithin",
                rule="exclusive",
                message="is for asynchronous methods: async is not true",
            )
        ]

    def test_a_time_for_the_answer_is_a_delta(self) -> None:
        settings = changed(
            f"{self.METHOD}/answerWithin", {"unit": "weeks", "amount": 1}, of=self.asynchronous()
        )
        assert broken_rules(settings) == [(f"{self.METHOD}/answerWithin/unit", "enum")]

    def test_a_callback_that_is_never_called_is_refused(self) -> None:
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

    def test_a_step_that_waits_for_an_answer_has_the_callback_too(self) -> None:
        waits = {"key": "only", "waitForAnswer": HOUR, "resumeControllerCallback": "{}"}
        assert problems(changed("/tasks/0/steps", [waits], of=changed("/tasks/0/initialStep", "only"))) == []

    def test_a_way_back_may_lead_through_it(self) -> None:
        loop = [{"key": "charge", "waitForAnswer": HOUR, "nextStep": "charge"}]
        assert problems(changed("/tasks/0/steps", loop)) == []

    def test_one_with_an_action_has_no_wait_of_its_own(self) -> None:
        assert problems(changed(f"{STEPS}/0/waitForAnswer", HOUR)) == [
            Problem(
                pointer=f"{STEPS}/0/waitForAnswer",
                rule="exclusive",
                message="must not be given beside an action: an asynchronous method has its own answerWithin",
            )
        ]

    def test_its_reply_cannot_be_whole(self) -> None:
        assert problems(changed(f"{self.METHOD}/wholeAnswer", value=True, of=self.asynchronous())) == [
            Problem(
                pointer=f"{self.METHOD}/wholeAnswer",
                rule="exclusive",
                message="is not for asynchronous methods",
            )
        ]

    def test_where_the_method_is_unknown_only_that_is_reported(self) -> None:
        settings = changed(f"{STEPS}/0/resumeControllerCallback", "{}")
        settings = changed("/actions/0/method", "unknown", of=settings)
        assert broken_rules(settings) == [("/actions/0/method", "reference")]


class TestNamedControllers:
    """A controller that a step names has been registered."""

    def test_one_that_is(self) -> None:
        assert problems(changed(f"{STEPS}/0/controller", "charged")) == []

    def test_one_that_is_not(self) -> None:
        assert problems(changed(f"{STEPS}/0/controller", "unheard-of")) == [
            Problem(
                pointer=f"{STEPS}/0/controller",
                rule="reference",
                message="there is no registered controller 'unheard-of'",
            )
        ]

    def test_it_is_enough_for_a_step(self) -> None:
        assert problems(changed(f"{STEPS}/0", {"key": "charge", "controller": "charged"})) == []


class TestOutputs:
    """Templates by name."""

    def test_a_broken_one_is_reported_at_its_name(self) -> None:
        (problem,) = problems(changed("/tasks/0/outputs", {"ok": "{{cycle}}", "sum": "${1 +}"}))
        assert problem.pointer == "/tasks/0/outputs/sum"

    def test_they_are_texts(self) -> None:
        assert broken_rules(changed("/tasks/0/outputs", {"sum": 1})) == [("/tasks/0/outputs/sum", "type")]
