"""Redriving from a step: the run executes that step and all later ones again.

Source: docs/contracts/core.md section 5.
"""

from shared.domain.strategy.model import NextStepRule, RetryConfig, RuleKind
from tests.factories import (
    Journey,
    a_definition,
    a_step,
    a_strategy,
    a_task,
    an_error,
    rule,
    settings,
    step,
    task,
)

PAUSES = {"times": 0, "pauseBeforeCancel": True}
ONCE_MORE = {"times": 1, "retryAfter": {"unit": "hours", "amount": 1}, "pauseBeforeCancel": True}


def journey(*steps: dict[str, object], retry: dict[str, object] | None = None) -> Journey:
    return Journey(settings(task("charge", *steps, retryConfig=retry or PAUSES)))


LINE = (
    step("a", nextStep="b"),
    step("b", nextStep="c"),
    step("c", nextStep="d"),
    step("d"),
)


class TestFromAStepOn:
    """ "From `fromStep` on, earlier results do not count"."""

    def test_steps_before_the_named_one_are_passed(self) -> None:
        of = journey(*LINE).succeeds(1, 2, 3).fails().redrive("b")
        assert (of.at, of.intent.passed) == ("b", ("a",))
        assert of.succeeds(4, 5, 6).executed == ["a", "b", "c", "d", "b", "c", "d"]
        assert of.at == "SUCCEEDED"

    def test_all_successes_are_passed_without_a_step(self) -> None:
        of = journey(*LINE).succeeds(1, 2, 3).fails().redrive()
        assert (of.at, of.intent.passed) == ("d", ("a", "b", "c"))

    def test_the_first_step_repeats_the_whole_task(self) -> None:
        of = journey(*LINE).succeeds(1, 2, 3).fails().redrive("a")
        assert of.succeeds(4, 5, 6, 7).executed[4:] == ["a", "b", "c", "d"]

    def test_a_path_the_last_run_did_not_take_is_executed_too(self) -> None:
        steps = (
            step("a", nextStep="b"),
            step("b", nextStep="d", nextStepRules=[rule("onError", "x")]),
            step("x", nextStep="d"),
            step("d"),
        )
        of = journey(*steps).succeeds().fails().succeeds().fails()
        assert of.executed == ["a", "b", "x", "d"]
        of.redrive().succeeds().fails()
        assert of.executed[4:] == ["b", "d"]
        of.redrive("b").goes(an_error())
        assert of.at == "x", "its success in the first run does not count after b"

    def test_a_branch_after_the_step_is_executed_again(self) -> None:
        fork = a_step(
            "a",
            every_rule=True,
            rules=tuple(NextStepRule(kind=RuleKind.CALLBACK, next_step=key) for key in "bcd"),
        )
        steps = (fork, a_step("b"), a_step("c"), a_step("d"))
        retry = RetryConfig(times=0, pause_before_cancel=True)
        of = Journey(a_strategy(definition=a_definition(a_task(*steps, retry_config=retry))))
        of.succeeds(1, 2, 3).fails().redrive("c")
        assert (of.at, of.intent.passed) == ("c", ("a", "b"))
        assert of.succeeds().at == "d"


class TestLaterRuns:
    """Later retries and redrives reuse the new results, and not the results from before."""

    def test_a_retry_passes_steps_executed_again(self) -> None:
        of = journey(*LINE, retry=ONCE_MORE).succeeds(1, 2, 3).fails().retry().fails().redrive("b")
        of.succeeds(4, 5).fails().retry()
        assert (of.at, of.intent.passed) == ("d", ("a", "b", "c"))

    def test_a_retry_executes_steps_that_were_not_reached(self) -> None:
        steps = (
            step("a", nextStep="b"),
            step("b", nextStep="c"),
            step("c", nextStep="d", optional=True),
            step("d"),
        )
        of = journey(*steps, retry=ONCE_MORE).succeeds(1, 2, 3).fails().retry().fails().redrive("b")
        of.fails().retry().succeeds()
        assert of.at == "c", "its success in the first run does not count after b"

    def test_a_further_step_leaves_the_earlier_one_in_force(self) -> None:
        of = journey(*LINE).succeeds(1, 2, 3).fails().redrive("b").succeeds(4, 5).fails().redrive("c")
        assert (of.at, of.intent.passed) == ("c", ("a", "b"))
        assert of.context.event.reuse.redriven_from[0].run == 2
        assert of.context.event.reuse.redriven_from[1].run == 3
        assert of.succeeds(6).at == "d"

    def test_a_redrive_without_a_step_keeps_the_earlier_one_in_force(self) -> None:
        steps = (
            step("a", nextStep="b"),
            step("b", nextStep="d", nextStepRules=[rule("onError", "x")]),
            step("x", nextStep="d"),
            step("d"),
        )
        of = journey(*steps).succeeds().fails().succeeds().fails()
        of.redrive("b").succeeds().fails()
        of.redrive()
        assert (of.at, of.intent.passed) == ("d", ("a", "b"))
