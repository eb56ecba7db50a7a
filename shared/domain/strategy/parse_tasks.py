"""Reading tasks: their steps, the rules between them, their retries.

Source: contracts/core.md sections 2.2, 3.5, 3.6 and 4.1; design section 5.
"""

from collections.abc import Container, Mapping
from functools import partial

from shared.domain.strategy.model import NextStepRule, RetryConfig, RuleKind, Step, Task
from shared.domain.strategy.parse_flow import check_flow
from shared.domain.strategy.parse_schedule import bare_delta, delta
from shared.domain.strategy.parse_texts import callback, templates
from shared.domain.strategy.reader import LONGEST_KEY, Reader
from shared.expressions import ResultType

MOST_RETRIES = 1000
"""``times`` at most."""

_WHAT_A_STEP_DOES = ("action", "controllerCallback", "delay", "controller", "waitForAnswer")


def task(
    reader: Reader,
    *,
    actions: Container[str],
    later: Mapping[str, bool | None],
    controllers: Container[str] | None,
) -> Task:
    """A flow of steps, each of them within reach and no loop without a wait.

    later: of each action whether its method is asynchronous; None where that cannot be told.
    controllers: the registered names; None: not looked at.
    """
    reader.optional_text("description", may_be_empty=True)
    positions = reader.keys("steps")
    read_step = partial(_step, actions=actions, later=later, controllers=controllers, steps=positions)
    found = Task(
        key=reader.key(),
        initial_step=reader.reference("initialStep", positions, "this task has no step"),
        retry_config=reader.one("retryConfig", _retry_config),
        steps={step.key: step for step in reader.many("steps", read_step, required=True)},
        outputs=templates(reader, "outputs"),
    )
    reader.later(lambda: check_flow(reader, found, positions, later=later))
    return found


def _step(
    reader: Reader,
    *,
    actions: Container[str],
    later: Mapping[str, bool | None],
    controllers: Container[str] | None,
    steps: Container[str],
) -> Step:
    reader.optional_text("description", may_be_empty=True)
    step = Step(
        key=reader.key(),
        action=reader.optional_reference("action", actions, "there is no action"),
        controller=_controller(reader, controllers),
        controller_callback=callback(reader, "controllerCallback", ResultType.MAP),
        resume_controller_callback=callback(reader, "resumeControllerCallback", ResultType.MAP),
        retry_config=reader.one("retryConfig", _retry_config),
        reset_attempts=reader.flag("resetAttempts"),
        final=reader.flag("final"),
        optional=reader.flag("optional"),
        repeat_on_retry=reader.flag("repeatOnRetry"),
        next_step=reader.optional_reference("nextStep", steps, "this task has no step"),
        rules=reader.many("nextStepRules", partial(_rule, steps=steps)),
        every_rule=reader.flag("everyRule"),
        delay=reader.one("delay", delta),
        wait_for_answer=reader.one("waitForAnswer", delta),
    )
    if not any(reader.has(name) for name in _WHAT_A_STEP_DOES):
        message = "a step needs an action, a controller, a controllerCallback, a delay or a waitForAnswer"
        reader.problem("action", "required", message)
    if reader.has("waitForAnswer") and reader.has("action"):
        message = "does not go with an action: an asynchronous method has its own answerWithin"
        reader.problem("waitForAnswer", "exclusive", message)
    calls_and_waits = step.action is not None and later.get(step.action) is not False
    waits_for_answer = calls_and_waits or step.wait_for_answer is not None
    if reader.has("resumeControllerCallback") and not waits_for_answer:
        message = "is never called: the step's action calls no asynchronous method"
        reader.problem("resumeControllerCallback", "exclusive", message)
    if step.final:
        _refuse_ways_on(reader, step)
    return step


def _controller(reader: Reader, known: Container[str] | None) -> str | None:
    if known is None:
        return reader.optional_text("controller", longest=LONGEST_KEY)
    return reader.optional_reference("controller", known, "nobody has registered a controller")


def _refuse_ways_on(reader: Reader, step: Step) -> None:
    """After the success of a final step there is no next one; its other rules are looked at all the same."""
    if reader.has("nextStep"):
        reader.problem("nextStep", "exclusive", "is never reached: the step is final")
    for index, rule in enumerate(step.rules):
        if rule.kind is RuleKind.CALLBACK:
            message = "is never looked at: the step is final"
            reader.problem("nextStepRules", "exclusive", message, below=f"/{index}")


def _rule(reader: Reader, *, steps: Container[str]) -> NextStepRule:
    reader.optional_text("description", may_be_empty=True)
    kind = reader.choice("if", RuleKind, required=True)
    if kind is RuleKind.CALLBACK and not reader.has("ifCallback"):
        reader.problem("ifCallback", "required", "is required for a callback rule")
    return NextStepRule(
        kind=kind or RuleKind.ON_ERROR,
        if_callback=callback(reader, "ifCallback", ResultType.BOOL),
        next_step=reader.reference("nextStep", steps, "this task has no step"),
    )


def _retry_config(reader: Reader) -> RetryConfig:
    """Retries, each with a delay of its own: the k-th of ``retryStrategy``, else ``retryAfter``.

    ``times`` left out beside a ``retryStrategy`` is its length.
    """
    strategy = reader.many("retryStrategy", bare_delta)
    times = reader.whole("times", 0, MOST_RETRIES)
    if times and not reader.has("retryAfter"):
        if not reader.has("retryStrategy"):
            reader.problem("times", "no-delay", "needs retryAfter or retryStrategy beside it")
        elif len(strategy) < times:
            message = f"holds {len(strategy)} of {times} delays, and there is no retryAfter for the others"
            reader.problem("retryStrategy", "no-delay", message)
    return RetryConfig(
        times=len(strategy) if times is None else times,
        retry_after=reader.one("retryAfter", delta),
        retry_strategy=strategy,
        pause_before_cancel=reader.flag("pauseBeforeCancel"),
    )
