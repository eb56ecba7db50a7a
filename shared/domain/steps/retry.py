"""Retries: when a failed attempt is repeated, and what happens when the attempts are used up.

Source: docs/contracts/core.md section 3.6; docs/design.md section 5.
"""

from datetime import datetime, timedelta
from hashlib import sha256

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.calendar.dates import KEEP_ALL, Unit, later, moment_at
from shared.domain.errors import DateError
from shared.domain.ids import event_sid
from shared.domain.instance.attributes import adjusted, date_attribute
from shared.domain.instance.due import next_event
from shared.domain.instance.event import Event
from shared.domain.instance.journal import StepResult
from shared.domain.instance.model import Instance
from shared.domain.instance.run import Failure, StepError
from shared.domain.instance.scope import Scope, is_true, span_of, with_response
from shared.domain.instance.zone import zone_or_utc
from shared.domain.steps.times_of_day import next_time_of_day
from shared.domain.strategy.model import Delta, RetryConfig, Step, Strategy, Task
from shared.expressions import EvaluationError

MAX_REASON = 1000
"""How many characters of an error message are kept in a ``Failure``, which every later intent repeats."""

STOPPED = "retries stopped by stopIf"
"""The note on a failed attempt that no retry follows, although attempts were left."""

AT_ONCE = Delta(unit=Unit.MINUTES, amount=0)

NO_RETRY = RetryConfig(times=0, jitter_percent=10)
"""The retry configuration if neither the step nor its task has one."""


class FailedStep(Struct, frozen=True, kw_only=True):
    """The step at which an attempt failed.

    ``attempt`` is the attempt counter there. ``result`` is the step's result on the stack, None if the step was not
    executed. ``earliest`` is the first instant at which the service wants to be called again, None if it has not said
    so.
    """

    step: Step
    error: StepError
    attempt: int
    result: StepResult | None = None
    earliest: datetime | None = None


class Computed(Struct, frozen=True, kw_only=True):
    """A date that a delta leads to, None if there is no such date.

    ``is_reset`` means that ``resetTo`` has set parts of it. ``note`` describes expressions and dates that failed.
    """

    at: datetime | None
    is_reset: bool = False
    note: str | None = None


def policy_of(instance: Instance, task: Task, step: Step) -> RetryConfig:
    """Return the step's own retry configuration, else its task's, else no retry.

    The instance's own schedule overrides ``times``, and if it sets ``goes_on``, nothing pauses. If no delay is
    configured, a retry follows at once.
    """
    policy = step.retry_config or task.retry_config or NO_RETRY
    own = instance.plan.schedule
    if own is None:
        return policy
    times = policy.times if own.retry_times is None else own.retry_times
    waits = policy.retry_after or next(reversed(policy.retry_strategy), AT_ONCE)
    pauses = policy.pause_before_cancel and not own.goes_on
    return replace(policy, times=times, retry_after=waits, pause_before_cancel=pauses)


def delay_of(policy: RetryConfig, attempt: int) -> Delta | None:
    """Return the delay before the attempt after ``attempt``, or None if the attempts are used up.

    The k-th retry waits ``retryAfter`` if that has a callback, else ``retryStrategy[k-1]``, else ``retryAfter``.
    With times=2 and retryAfter=1 hour: fail, 1 h, fail, 1 h, fail, None. That is three runs.
    """
    if attempt > policy.times:
        return None
    after = policy.retry_after
    if after is not None and after.retry_event_callback is not None:
        return after
    if attempt <= len(policy.retry_strategy):
        return policy.retry_strategy[attempt - 1]
    return after


def failure(
    strategy: Strategy,
    instance: Instance,
    event: Event,
    policy: RetryConfig,
    failed: FailedStep,
    *,
    variables: Scope,
    now: datetime,
) -> tuple[Failure, tuple[str, ...]]:
    """Return the failed attempt with the decision about it, and notes: expressions that failed, and ``STOPPED``.

    If the next attempt cannot be dated, or ``stopIf`` is true, the attempts are used up. An event of a final instance
    fails instead of pausing.
    """
    # Every later intent repeats the failure, so the body stays with the step's own journal entry.
    step, error = failed.step, failed.error
    short_error = replace(error, message=error.message[:MAX_REASON], data=None)
    pauses = policy.pause_before_cancel and not instance.status.is_final
    used_up = Failure(step=step.key, failed_at=now, error=short_error, pauses=pauses)
    delay = delay_of(policy, failed.attempt)
    if delay is None:
        return used_up, ()
    stops, unread = _stops(policy, failed, variables)
    if stops:
        # In the message, because that is what an operator reads first: of the event, of the stop, and in ``explain``.
        message = f"{error.message[: MAX_REASON - len(STOPPED) - 3]} ({STOPPED})"
        return replace(used_up, error=replace(short_error, message=message)), (STOPPED,)
    at, note = _retry_at(strategy, instance, event, policy, delay, failed, variables=variables, now=now)
    notes = _given(unread, note)
    if at is None:
        return used_up, notes
    others = next_event(instance, besides=event)
    retried = Failure(
        step=step.key,
        failed_at=now,
        error=short_error,
        retry_at=at,
        attempts_left=policy.times - failed.attempt + 1,
        next_at=at if others is None else min(at, others.due_at),
    )
    return retried, notes


def _stops(policy: RetryConfig, failed: FailedStep, variables: Scope) -> tuple[bool, str | None]:
    """Return whether ``stopIf`` ends the retries, and a note if it cannot be evaluated.

    It is not evaluated for a call in doubt: a call that is not known to be declined must not count as a hard decline.
    """
    result = failed.result
    if policy.stop_if is None or result is None or result.success or result.in_doubt:
        return False, None
    # The body of an HTTP error is with the error; a controller that fails the step leaves the answer in its place.
    error = result.error
    response = result.response if error is None or error.data is None else error.data
    try:
        return is_true(policy.stop_if, with_response(variables, response)), None
    except EvaluationError as problem:
        return False, f"stopIf of {failed.step.key}: {problem}"


def _retry_at(
    strategy: Strategy,
    instance: Instance,
    event: Event,
    policy: RetryConfig,
    delay: Delta,
    failed: FailedStep,
    *,
    variables: Scope,
    now: datetime,
) -> tuple[datetime | None, str | None]:
    """Return when the next attempt is due, or None if there is no such date, and a note about errors."""
    due = computed_after(strategy, instance, delay, variables, now=now)
    if due.at is None:
        return None, due.note
    # Counted from the failure, so a retry never moves the plan; and never before it, whatever a callback returns.
    at = max(due.at, now, failed.earliest or now)
    # A zone that is missing was noted with the date.
    zone, _ = zone_or_utc(strategy.definition, instance.attributes)
    if policy.retry_at:
        # After the service's ``Retry-After``, so that it is heeded and the hour is one of the policy's.
        try:
            at = next_time_of_day(at, policy.retry_at, zone)
        except DateError as error:
            return None, "; ".join(_given(due.note, f"retryAt: {error}"))
    elif not due.is_reset:
        at = spread(policy, instance, event, at, now=now)
    if delay.business_days is None:
        return at, due.note
    # The last step, so that nothing moves the date off its business day; the time of day stays.
    try:
        day, unread = adjusted(instance, delay.business_days, moment_at(at, zone), zone)
    except DateError as error:
        return at, "; ".join(_given(due.note, f"businessDays: {error}"))
    moved = None if day.why is None else f"the retry is moved: {day.why}"
    return day.at or at, "; ".join(_given(due.note, unread, moved)) or None


def _given(*notes: str | None) -> tuple[str, ...]:
    return tuple(note for note in notes if note is not None)


def spread(policy: RetryConfig, instance: Instance, event: Event, at: datetime, *, now: datetime) -> datetime:
    """Return a date with jitter added, so that events which failed together are not retried together.

    It is never earlier, and less than ``jitterPercent`` of its distance from now later. The same event and run always
    have the same share of that, so a repeated decision leads to the same date.
    """
    seed = f"{event_sid(instance.sid, event.seq)}#{event.run}"
    share = int.from_bytes(sha256(seed.encode()).digest()[:4], "big") / (1 << 32)
    added = (at - now) * (policy.jitter_percent / 100 * share)
    try:
        # Stored dates have milliseconds.
        return at + (added - added % timedelta(milliseconds=1))
    except OverflowError:  # thousands of years ahead
        return at


def due_after(
    strategy: Strategy, instance: Instance, delta: Delta, variables: Scope, *, now: datetime
) -> tuple[datetime | None, str | None]:
    """Return the date a delta after now, or None if no such date exists, and a note about errors.

    The rules are those of ``computed_after``.
    """
    due = computed_after(strategy, instance, delta, variables, now=now)
    return due.at, due.note


def computed_after(
    strategy: Strategy, instance: Instance, delta: Delta, variables: Scope, *, now: datetime
) -> Computed:
    """Return the date a delta after now.

    If the attribute that names the zone has none, the zone is UTC. If the ``from`` attribute is not a date, the delta
    counts from now. If the callback fails or leads to no date, the
    delta's own unit and amount are used.
    """
    zone, unknown = zone_or_utc(strategy.definition, instance.attributes)
    computed, note = span_of(delta, variables)
    notes = list(_given(unknown, note))
    base = now
    if delta.from_attribute is not None:
        try:
            base = date_attribute(instance, delta.from_attribute, zone)
        except DateError as error:
            notes.append(f"from: {error}")
    own, _ = span_of(delta, None)
    for span in dict.fromkeys((computed, own)):
        try:
            at = later(moment_at(base, zone), span, zone).at
            return Computed(at=at, is_reset=span.reset_to != KEEP_ALL, note="; ".join(notes) or None)
        except DateError as error:
            notes.append(f"{span.amount} {span.unit}: {error}")
    return Computed(at=None, note="; ".join(notes))
