"""The handling of a call in doubt, which may or may not have reached its service.

Source: docs/design.md section 3.7; docs/contracts/core.md section 5 (``resolve``).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.instance.event import Event, Resolution
from shared.domain.instance.journal import JournalEntry
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.replay import chain, has_unanswered_call
from shared.domain.instance.run import Ending, Failure, Intent, Outcome, RunEnd, StepError, Then
from shared.domain.steps.flow import StepContext, advance, fail, skip
from shared.domain.steps.outcome import doubt_policy, in_doubt
from shared.domain.strategy.model import InDoubt, Strategy, method_called

MAX_DOUBT_AGE = timedelta(days=60)
"""How long a call in doubt is repeated without an operator.

After that services have forgotten the call's key, so a repeat could take effect twice. It is also a month less than
records are kept at least (``MIN_RETENTION``): a later takeover might miss the record of a run that had ended.
"""

_UNKNOWN = "the runner crashed or was stopped during the call, which may have reached the service"
_TOO_OLD = f"the call has been in doubt for {MAX_DOUBT_AGE.days} days, and may have reached the service"


class Send(Struct, frozen=True):
    """Send the call, under the key of its intent."""

    intent: Intent


class EndStep(Struct, frozen=True):
    """End the step without another call: journal this intent with its outcome and continue."""

    intent: Intent
    outcome: Outcome
    then: Then


class AwaitOperator(Struct, frozen=True):
    """End the run until an operator decides."""

    end: RunEnd


RepeatDecision = Send | EndStep | AwaitOperator
"""The decision about a call that may have taken effect."""


def decide_repeat(context: StepContext, intent: Intent, *, call_in_doubt: bool) -> RepeatDecision:
    """Return whether a step sends a call again that may have taken effect, or how the step continues without it.

    ``call_in_doubt`` says that an earlier runner may have sent it and stored no outcome. Then an operator's resolution
    decides; without one, the method's ``inDoubt`` setting. A POST or PATCH that has been in doubt for
    ``MAX_DOUBT_AGE`` is left to an operator in any case.
    """
    step = context.task.steps[intent.step]
    if step.action is None:
        return Send(intent)
    resolution = context.event.progress.resolution if call_in_doubt else None
    since = _in_doubt_since(context, intent, call_in_doubt=call_in_doubt)
    # Whatever is decided, a later repeat counts from the same instant.
    intent = replace(intent, in_doubt_since=since)
    match resolution:
        case Resolution.SKIP:
            return EndStep(
                intent, *skip(context, intent, in_doubt("skipped by an operator", ErrorKind.SKIPPED))
            )
        case Resolution.FAIL:
            return EndStep(
                intent, *fail(context, intent, in_doubt("failed by an operator", ErrorKind.OPERATOR))
            )
        case Resolution.RETRY | None:
            if _is_too_old(context, intent, since):
                kind = ErrorKind.CRASH if call_in_doubt else ErrorKind.TIMEOUT
                return _await_operator(context, intent, StepError(message=_TOO_OLD, kind=kind))
            if resolution is None and call_in_doubt:
                return _by_policy(context, intent, doubt_policy(context.strategy, step))
            # After a decision the service may refuse the call for as long as a first one.
            refusal = intent.refusal if resolution is None else None
            return Send(replace(intent, repeat=intent.repeat or call_in_doubt, refusal=refusal))
        case _:
            assert_never(resolution)


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


def _is_too_old(context: StepContext, intent: Intent, since: datetime | None) -> bool:
    """Return whether the step's call has been in doubt for too long to be sent again without an operator."""
    if since is None or context.now < since + MAX_DOUBT_AGE:
        return False
    return can_be_in_doubt(context.strategy, context.event, intent.step)


def _in_doubt_since(context: StepContext, intent: Intent, *, call_in_doubt: bool) -> datetime | None:
    """Return since when the call has been in doubt, or when an operator decided to repeat it."""
    progress = context.event.progress
    if not call_in_doubt or progress.in_doubt_since is None:
        return intent.in_doubt_since
    if progress.resolution is not None:
        return progress.in_doubt_since
    # After a kill the doubt may be one about an earlier step, which the runner had passed by then.
    ends = [entry.finished_at for entry in chain(context.event_history, context.event.run)]
    crashed = max([progress.in_doubt_since, *ends[-1:]])
    return crashed if intent.in_doubt_since is None else min(crashed, intent.in_doubt_since)


def _by_policy(context: StepContext, intent: Intent, policy: InDoubt) -> RepeatDecision:
    match policy:
        case InDoubt.RETRY:
            return Send(replace(intent, repeat=True))
        case InDoubt.FAIL:
            return EndStep(intent, *advance(context, intent, in_doubt(_UNKNOWN, ErrorKind.CRASH)))
        case InDoubt.PAUSE:
            return _await_operator(context, intent, StepError(message=_UNKNOWN, kind=ErrorKind.CRASH))
        case _:
            assert_never(policy)


def _await_operator(context: StepContext, intent: Intent, error: StepError) -> AwaitOperator:
    return AwaitOperator(end_in_doubt(context, intent, error))
