"""When a failed attempt is tried again, and what happens when the attempts are used up.

Source: contracts/core.md section 3.6; design section 5.
"""

from dataclasses import replace
from datetime import datetime

from shared.domain.calendar.dates import Unit, later, moment_at
from shared.domain.errors import DateError
from shared.domain.instance.attributes import date_attribute
from shared.domain.instance.model import Instance
from shared.domain.instance.run import Failure, StepError
from shared.domain.instance.scope import Scope, span_of
from shared.domain.strategy.model import Delta, RetryConfig, Step, Strategy, Task

MAX_REASON = 1000
"""What is told of a failure in the places it travels to, in characters."""

AT_ONCE = Delta(unit=Unit.MINUTES, amount=0)

NO_RETRY = RetryConfig(times=0)
"""What holds where neither the step nor its task says anything."""


def policy_of(instance: Instance, task: Task, step: Step) -> RetryConfig:
    """The step's own retry configuration, else its task's, else no retry.

    How often is for the instance's own schedule to say first, and under one that goes on nothing pauses. Where
    nothing says how long to wait before a retry, it follows at once.
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
    """The distance to the attempt after ``attempt``, or None when the attempts are used up.

    The k-th retry waits ``retryAfter`` where that has a callback, else ``retryStrategy[k-1]``, else
    ``retryAfter``. times=2, retryAfter=1 hour: fail, 1 h, fail, 1 h, fail, None: three runs in all.
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
    policy: RetryConfig,
    step: Step,
    error: StepError,
    *,
    attempt: int,
    variables: Scope,
    now: datetime,
) -> tuple[Failure, str | None]:
    """The failed attempt and what was decided about it; and a note where something could not be evaluated.

    The next attempt is counted from the failure, so it never moves the plan, and is never before it. Where
    it cannot be dated the attempts are used up. An event of a final instance fails; it cannot pause.
    The failure travels with every later intent, so it carries no body: that stays with the step's own entry.
    """
    told = StepError(message=error.message[:MAX_REASON], status=error.status)
    pauses = policy.pause_before_cancel and not instance.status.is_final
    used_up = Failure(step=step.key, failed_at=now, error=told, pauses=pauses)
    delay = delay_of(policy, attempt)
    if delay is None:
        return used_up, None
    at, note = due_after(strategy, instance, delay, variables, now=now)
    if at is None:
        return used_up, note
    return Failure(step=step.key, failed_at=now, error=told, retry_at=max(at, now)), note


def due_after(
    strategy: Strategy, instance: Instance, delta: Delta, variables: Scope, *, now: datetime
) -> tuple[datetime | None, str | None]:
    """When a distance counted from now is over, None where no such date exists; and a note on what failed.

    A ``from`` attribute without a date counts as now. A callback that fails, or whose answer leads to no
    date, leaves the delta's own unit and amount.
    """
    zone = strategy.definition.zone
    asked, note = span_of(delta, variables)
    notes = [] if note is None else [note]
    base = now
    if delta.from_attribute is not None:
        try:
            base = date_attribute(instance, delta.from_attribute)
        except DateError as error:
            notes.append(f"from: {error}")
    own, _ = span_of(delta, None)
    for span in dict.fromkeys((asked, own)):
        try:
            return later(moment_at(base, zone), span, zone).at, "; ".join(notes) or None
        except DateError as error:
            notes.append(f"{span.amount} {span.unit}: {error}")
    return None, "; ".join(notes)
