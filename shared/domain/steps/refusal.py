"""Calls that a service refuses for now: when they are sent again, and when that becomes an error.

Source: docs/contracts/core.md section 3.6; docs/design.md section 5; docs/decisions/0031.
"""

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.instance.replay import chain, is_refused, stack
from shared.domain.instance.run import Intent, Outcome, Path, Refusal
from shared.domain.steps.call import Answered, CallOutcome, RetryAfter, TokenRefused
from shared.domain.steps.classify import asks_to_wait
from shared.domain.steps.flow import StepContext
from shared.domain.steps.retry import Computed, computed_after, delay_of, policy_of, spread
from shared.domain.strategy.model import RetryConfig, Step, method_called

FIRST_WAIT = timedelta(minutes=1)
"""The wait after a first refusal if neither the service nor the strategy names one. It doubles each time."""

SHORTEST_WAIT = timedelta(seconds=1)
"""The shortest wait after a first refusal, whatever the service says. It doubles, too."""

MAX_GROWTH = timedelta(hours=1)
"""The doubling ends at this wait. So a service that always says one second is called about 35 times a day."""

MAX_REFUSALS = 700
"""The most refusals of one run. Beyond, a refusal is an error, so that a run's journal stays bounded."""


class Refused(Struct, frozen=True, kw_only=True):
    """The decision about a call that was refused for now.

    ``outcome`` and ``again`` go into the journal: the refusal, and the visit that sends the call again. ``again`` is
    None if the wait has lasted too long. Then the step has failed, and its retry is not due before ``earliest``.
    """

    outcome: Outcome
    again: Intent | None
    earliest: datetime | None = None


def decide_refusal(
    context: StepContext, intent: Intent, outcome: Outcome, call: CallOutcome | None
) -> Refused | None:
    """Return how a refused call continues, or None if the service has not refused it for now.

    The call is sent again under the same ids. No attempt is used, and no rule is evaluated.
    """
    step = context.task.steps[intent.step]
    method = method_called(context.strategy, step)
    if call is None or method is None or not asks_to_wait(method, call):
        return None
    policy = policy_of(context.instance, context.task, step)
    before = intent.refusal or Refusal(since=context.now, times=0)
    limit = before.since + timedelta(hours=policy.refused_hours)
    named = _named_by_service(call, now=context.now)
    # However far the date is that the service names, nothing waits for it longer than the limit.
    earliest = None if named is None else min(named, context.now + (limit - before.since))
    if context.now >= limit or _refusals(context) >= MAX_REFUSALS:
        return Refused(outcome=outcome, again=None, earliest=earliest)
    configured = _configured(context, intent, policy)
    until = _until(context, policy, configured, earliest, times=before.times, limit=limit)
    if _outlasts_side_path(intent, until):
        return Refused(outcome=outcome, again=None, earliest=earliest)
    again = replace(
        intent,
        visit=intent.visit + 1,
        passed=(),
        not_before=until,
        refusal=Refusal(since=before.since, times=before.times + 1),
    )
    return Refused(outcome=_stored(step, outcome, configured.note), again=again)


def _until(
    context: StepContext,
    policy: RetryConfig,
    configured: Computed,
    earliest: datetime | None,
    *,
    times: int,
    limit: datetime,
) -> datetime:
    """Return the end of the wait: the latest of the service's time, the configured time, and a growing floor.

    Only the configured delay can lead beyond the limit. At the limit one more call decides.
    """
    now = context.now
    is_configured = configured.at is not None and configured.at > now
    first = FIRST_WAIT if earliest is None and not is_configured else SHORTEST_WAIT
    floor = now + min(first * (1 << min(times, 12)), MAX_GROWTH)
    until = max(min(max(floor, earliest or floor), limit), configured.at or now)
    if configured.is_reset and until == configured.at:
        return until
    return spread(policy, context.instance, context.event, until, now=now)


def _configured(context: StepContext, intent: Intent, policy: RetryConfig) -> Computed:
    """Return the date of the delay that a retry of this attempt would have, or the last one if none is left."""
    last = policy.retry_after or next(reversed(policy.retry_strategy), None)
    delay = delay_of(policy, intent.attempt) or last
    if delay is None:
        return Computed(at=None)
    variables = context.scope_at(intent, stack(context.event_history, context.event, intent))
    return computed_after(context.strategy, context.instance, delay, variables, now=context.now)


def _named_by_service(call: CallOutcome, *, now: datetime) -> datetime | None:
    """Return when the service wants to be called again, or None if it does not say."""
    after: RetryAfter | None = call.retry_after if isinstance(call, Answered | TokenRefused) else None
    return now + after if isinstance(after, timedelta) else after


def _refusals(context: StepContext) -> int:
    return sum(is_refused(entry) for entry in chain(context.event_history, context.event.run))


def _outlasts_side_path(intent: Intent, until: datetime) -> bool:
    """Return whether a step before a retry would wait beyond the date of that retry, which must not be delayed."""
    if intent.path is not Path.BEFORE_RETRY or intent.failure is None or intent.failure.retry_at is None:
        return False
    return until > intent.failure.retry_at


def _stored(step: Step, outcome: Outcome, note: str | None) -> Outcome:
    """Return the outcome to journal. The body is dropped: many refusals must leave room for the answer."""
    error = None if outcome.error is None else replace(outcome.error, data=None)
    notes = (f"delay after a refusal of {step.key}: {note}",) if note else ()
    return replace(outcome, error=error, notes=outcome.notes + notes)
