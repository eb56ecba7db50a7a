"""Parsing tasks: their steps, rules and retries.

Source: docs/contracts/core.md sections 2.2, 3.5, 3.6 and 4.1; docs/design.md section 5.
"""

from collections.abc import Container, Mapping
from functools import partial

from shared.domain.strategy.model import NextStepRule, RetryConfig, RuleKind, Step, Task
from shared.domain.strategy.parse_flow import check_flow
from shared.domain.strategy.parse_schedule import bare_retry_delta, delta, retry_delta
from shared.domain.strategy.parse_texts import callback, templates
from shared.domain.strategy.reader import Reader
from shared.expressions import ResultType


def task(
    reader: Reader,
    *,
    actions: Container[str],
    later: Mapping[str, bool | None],
    controllers: Container[str] | None,
) -> Task:
    """Read a task. Every step must be reachable, and every loop must wait.

    ``later`` says whether each action's method is asynchronous, None if the method is unknown. ``controllers`` are
    the registered names; None skips that check.
    """
    positions = reader.keys("steps")
    read_step = partial(_step, actions=actions, later=later, controllers=controllers, steps=positions)
    flow = Task(
        key=reader.text("key"),
        initial_step=reader.reference("initialStep", positions, "this task has no step"),
        retry_config=reader.part("retryConfig", _retry_config),
        steps={step.key: step for step in reader.parts("steps", read_step)},
        outputs=templates(reader, "outputs"),
    )
    reader.later(lambda: check_flow(reader, flow, positions, later=later))
    return flow


def _step(
    reader: Reader,
    *,
    actions: Container[str],
    later: Mapping[str, bool | None],
    controllers: Container[str] | None,
    steps: Container[str],
) -> Step:
    step = Step(
        key=reader.text("key"),
        action=reader.optional_reference("action", actions, "there is no action"),
        controller=_controller(reader, controllers),
        controller_callback=callback(reader, "controllerCallback", ResultType.MAP),
        resume_controller_callback=callback(reader, "resumeControllerCallback", ResultType.MAP),
        retry_config=reader.part("retryConfig", _retry_config),
        reset_attempts=reader.flag("resetAttempts"),
        final=reader.flag("final"),
        optional=reader.flag("optional"),
        repeat_on_retry=reader.optional_flag("repeatOnRetry"),
        next_step=reader.optional_reference("nextStep", steps, "this task has no step"),
        rules=reader.parts("nextStepRules", partial(_rule, steps=steps)),
        every_rule=reader.flag("everyRule"),
        delay=reader.part("delay", delta),
        wait_for_answer=reader.part("waitForAnswer", delta),
    )
    # An unknown method (None) is already reported and must not cause a second problem.
    calls_and_waits = step.action is not None and later.get(step.action) is not False
    waits_for_answer = calls_and_waits or step.wait_for_answer is not None
    if reader.has("resumeControllerCallback") and not waits_for_answer:
        message = "is never called: the step's action calls no asynchronous method"
        reader.problem("resumeControllerCallback", "exclusive", message)
    if step.final:
        _refuse_next_steps(reader, step)
    return step


def _controller(reader: Reader, known: Container[str] | None) -> str | None:
    if known is None:
        return reader.optional_text("controller")
    return reader.optional_reference("controller", known, "there is no registered controller")


def _refuse_next_steps(reader: Reader, step: Step) -> None:
    """Note the next steps of a final step. Rules for errors and retries are allowed: they apply if it fails."""
    if reader.has("nextStep"):
        reader.problem("nextStep", "exclusive", "is never reached: the step is final")
    for index, rule in enumerate(step.rules):
        if rule.kind is RuleKind.CALLBACK:
            message = "is never evaluated: the step is final"
            reader.problem("nextStepRules", "exclusive", message, below=f"/{index}")


def _rule(reader: Reader, *, steps: Container[str]) -> NextStepRule:
    kind = reader.choice("if", RuleKind)
    if kind is RuleKind.CALLBACK and not reader.has("ifCallback"):
        reader.problem("ifCallback", "required", "is required for a callback rule")
    return NextStepRule(
        kind=kind,
        if_callback=callback(reader, "ifCallback", ResultType.BOOL),
        next_step=reader.reference("nextStep", steps, "this task has no step"),
    )


def _retry_config(reader: Reader) -> RetryConfig:
    """Read a retry configuration.

    The k-th retry has the k-th delay of ``retryStrategy``, or ``retryAfter`` if the list is shorter. If ``times`` is
    left out, it is the length of ``retryStrategy``.
    """
    strategy = reader.parts("retryStrategy", bare_retry_delta)
    times = reader.optional_whole("times")
    if times and not reader.has("retryAfter"):
        if not reader.has("retryStrategy"):
            reader.problem("times", "no-delay", "needs retryAfter or retryStrategy")
        elif len(strategy) < times:
            message = f"has {len(strategy)} of {times} delays, and there is no retryAfter for the others"
            reader.problem("retryStrategy", "no-delay", message)
    return RetryConfig(
        times=len(strategy) if times is None else times,
        retry_after=reader.part("retryAfter", retry_delta),
        retry_strategy=strategy,
        pause_before_cancel=reader.flag("pauseBeforeCancel"),
        jitter_percent=reader.whole("jitterPercent"),
        refused_hours=reader.whole("refusedHours"),
        stop_if=callback(reader, "stopIf", ResultType.BOOL),
        retry_at=reader.times_of_day("retryAt"),
    )
