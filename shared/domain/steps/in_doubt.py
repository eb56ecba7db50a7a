"""The handling of a call in doubt, which may or may not have reached its service.

Source: docs/design.md section 3.7; docs/contracts/core.md section 5 (``resolve``).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from shared.domain.instance.event import Event, Resolution
from shared.domain.instance.journal import JournalEntry
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.replay import has_unanswered_call
from shared.domain.instance.run import Ending, Failure, Intent, Outcome, RunEnd, StepError, Then
from shared.domain.steps.flow import StepContext, advance, fail, skip
from shared.domain.steps.outcome import doubt_policy, in_doubt
from shared.domain.strategy.model import InDoubt, Strategy, method_called

_UNKNOWN = "the runner crashed or was stopped during the call, which may have reached the service"


@dataclass(frozen=True, slots=True)
class SendAgain:
    """Send the call again under the same key."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class EndStep:
    """End the step without another call: journal this outcome and continue."""

    outcome: Outcome
    then: Then


@dataclass(frozen=True, slots=True)
class AwaitOperator:
    """End the run until an operator decides."""

    end: RunEnd


DoubtDecision = SendAgain | EndStep | AwaitOperator
"""The decision about a call in doubt."""


def decide_doubt(context: StepContext, intent: Intent) -> DoubtDecision:
    """Return how the step continues at which a run was interrupted.

    An operator's resolution decides; without one, the method's ``inDoubt`` setting.
    """
    step = context.task.steps[intent.step]
    if step.action is None:
        return SendAgain(intent)
    match context.event.progress.resolution:
        case Resolution.RETRY:
            return SendAgain(replace(intent, repeat=True))
        case Resolution.SKIP:
            return EndStep(*skip(context, intent, in_doubt("skipped by an operator", ErrorKind.OPERATOR)))
        case Resolution.FAIL:
            return EndStep(*fail(context, intent, in_doubt("failed by an operator", ErrorKind.OPERATOR)))
        case None:
            return _by_policy(context, intent, doubt_policy(context.strategy, step))
        case _:
            assert_never(context.event.progress.resolution)


def end_in_doubt(context: StepContext, intent: Intent, error: StepError) -> RunEnd:
    """Return the end of a run that leaves the decision about its call to an operator."""
    failure = Failure(step=intent.step, failed_at=context.now, error=error)
    return RunEnd(how=Ending.IN_DOUBT, attempt=intent.attempt, resets=intent.resets, failure=failure)


def any_in_doubt(strategy: Strategy, event: Event, entries: Iterable[JournalEntry]) -> bool:
    """Return whether a call of these steps got no definite answer, and may have taken effect.

    GET, PUT and DELETE are never in doubt, because sending them twice has the same effect as once. A step without an
    action sends no call, even if it waits for an answer.
    """
    return has_unanswered_call(
        entry for entry in entries if can_be_in_doubt(strategy, event, entry.intent.step)
    )


def can_be_in_doubt(strategy: Strategy, event: Event, step: str) -> bool:
    """Return whether a step makes a call that must not be sent twice: a POST or PATCH."""
    method = method_called(strategy, strategy.definition.tasks[event.task].steps[step])
    return method is not None and not method.is_safe_to_repeat


def _by_policy(context: StepContext, intent: Intent, policy: InDoubt) -> DoubtDecision:
    match policy:
        case InDoubt.RETRY:
            return SendAgain(replace(intent, repeat=True))
        case InDoubt.FAIL:
            return EndStep(*advance(context, intent, in_doubt(_UNKNOWN, ErrorKind.CRASH)))
        case InDoubt.PAUSE:
            return AwaitOperator(
                end_in_doubt(context, intent, StepError(message=_UNKNOWN, kind=ErrorKind.CRASH))
            )
        case _:
            assert_never(policy)
