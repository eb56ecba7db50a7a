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
from shared.domain.steps.flow import Walk, fail, go_on, skip
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


def settle(walk: Walk, intent: Intent) -> Settlement:
    """What becomes of the step a run was cut off at: as the operator decided, else as its method says."""
    step = walk.task.steps[intent.step]
    if step.action is None:
        return SendAgain(intent)
    match walk.event.progress.resolution:
        case Resolution.RETRY:
            return SendAgain(replace(intent, repeat=True))
        case Resolution.SKIP:
            return Settled(*skip(walk, intent, in_doubt("skipped by an operator")))
        case Resolution.FAIL:
            return Settled(*fail(walk, intent, in_doubt("failed by an operator")))
        case None:
            return _by_policy(walk, intent, doubt_policy(walk.strategy, step))
        case _:
            assert_never(walk.event.progress.resolution)


def undecided(walk: Walk, intent: Intent, error: StepError) -> RunEnd:
    """The end of a run whose call an operator must decide about."""
    failure = Failure(step=intent.step, failed_at=walk.now, error=error)
    return RunEnd(how=Ending.IN_DOUBT, attempt=intent.attempt, resets=intent.resets, failure=failure)


def any_in_doubt(strategy: Strategy, event: Event, entries: Iterable[JournalEntry]) -> bool:
    """Whether a call among these steps was, or may have been, sent more than once or without an answer.

    A step that calls nobody and waits for an answer all the same has nothing to be in doubt about.
    """
    steps = strategy.definition.tasks[event.task].steps
    return left_unanswered(entry for entry in entries if steps[entry.intent.step].action is not None)


def _by_policy(walk: Walk, intent: Intent, policy: InDoubt) -> Settlement:
    match policy:
        case InDoubt.RETRY:
            return SendAgain(replace(intent, repeat=True))
        case InDoubt.FAIL:
            return Settled(*go_on(walk, intent, in_doubt(_UNKNOWN)))
        case InDoubt.PAUSE:
            return Undecided(undecided(walk, intent, StepError(message=_UNKNOWN)))
        case _:
            assert_never(policy)
