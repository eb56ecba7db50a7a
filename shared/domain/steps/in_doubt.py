"""A call that may or may not have reached its service: what becomes of it.

Source: design section 3, item 7; contracts/core.md section 5 (``resolve``).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from shared.domain.instance.event import Event, Resolution
from shared.domain.instance.journal import JournalEntry
from shared.domain.instance.replay import left_unanswered
from shared.domain.instance.run import Ending, Failure, Intent, Outcome, RunEnd, StepError, Then
from shared.domain.steps.flow import StepContext, advance, fail, skip
from shared.domain.steps.outcome import doubt_policy, in_doubt
from shared.domain.strategy.model import InDoubt, Strategy

_UNKNOWN = "the runner died or was stopped during the call: it may have reached its service"


@dataclass(frozen=True, slots=True)
class SendAgain:
    """The call is sent again under the same key."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class Settled:
    """The step is over without another call: journal this, then go on."""

    outcome: Outcome
    then: Then


@dataclass(frozen=True, slots=True)
class Undecided:
    """An operator decides: the run ends here for now."""

    end: RunEnd


Settlement = SendAgain | Settled | Undecided
"""What becomes of a call in doubt."""


def settle(context: StepContext, intent: Intent) -> Settlement:
    """What becomes of the step a run was cut off at: as the operator decided, else as its method says."""
    step = context.task.steps[intent.step]
    if step.action is None:
        return SendAgain(intent)
    match context.event.progress.resolution:
        case Resolution.RETRY:
            return SendAgain(replace(intent, repeat=True))
        case Resolution.SKIP:
            return Settled(*skip(context, intent, in_doubt("skipped by an operator")))
        case Resolution.FAIL:
            return Settled(*fail(context, intent, in_doubt("failed by an operator")))
        case None:
            return _by_policy(context, intent, doubt_policy(context.strategy, step))
        case _:
            assert_never(context.event.progress.resolution)


def undecided(context: StepContext, intent: Intent, error: StepError) -> RunEnd:
    """The end of a run whose call an operator must decide about."""
    failure = Failure(step=intent.step, failed_at=context.now, error=error)
    return RunEnd(how=Ending.IN_DOUBT, attempt=intent.attempt, resets=intent.resets, failure=failure)


def any_in_doubt(strategy: Strategy, event: Event, entries: Iterable[JournalEntry]) -> bool:
    """Whether a call among these steps was, or may have been, sent more than once or without an answer.

    A step that calls nobody and waits for an answer all the same has nothing to be in doubt about.
    """
    steps = strategy.definition.tasks[event.task].steps
    return left_unanswered(entry for entry in entries if steps[entry.intent.step].action is not None)


def _by_policy(context: StepContext, intent: Intent, policy: InDoubt) -> Settlement:
    match policy:
        case InDoubt.RETRY:
            return SendAgain(replace(intent, repeat=True))
        case InDoubt.FAIL:
            return Settled(*advance(context, intent, in_doubt(_UNKNOWN)))
        case InDoubt.PAUSE:
            return Undecided(undecided(context, intent, StepError(message=_UNKNOWN)))
        case _:
            assert_never(policy)
