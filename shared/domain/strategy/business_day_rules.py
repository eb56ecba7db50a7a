"""Where a definition uses business days. Source: docs/design.md section 4."""

from collections.abc import Iterator

from shared.domain.calendar.business_days import BusinessDays
from shared.domain.strategy.model import Definition, RetryConfig


def business_day_rules(definition: Definition) -> Iterator[tuple[str, BusinessDays]]:
    """Yield each rule on business days, with the pointer of its calendar or distance within the settings."""
    for place, rule in _places(definition):
        if rule is not None:
            yield place, rule


def uses_public_holidays(definition: Definition) -> bool:
    """Return whether a date of the definition depends on the holiday data."""
    return any(rule.country is not None for _, rule in business_day_rules(definition))


def _places(definition: Definition) -> Iterator[tuple[str, BusinessDays | None]]:
    for index, calendar in enumerate(definition.calendars):
        place = f"/schedule/calendars/{index}"
        yield place, calendar.business_days
        for number, entry in enumerate(calendar.leading_up_tasks):
            yield f"{place}/leadingUpTasks/{number}/scheduleBefore", entry.schedule_before.business_days
    for index, task in enumerate(definition.tasks.values()):
        yield from _of_retries(f"/tasks/{index}/retryConfig", task.retry_config)
        for number, step in enumerate(task.steps.values()):
            yield from _of_retries(f"/tasks/{index}/steps/{number}/retryConfig", step.retry_config)


def _of_retries(place: str, policy: RetryConfig | None) -> Iterator[tuple[str, BusinessDays | None]]:
    if policy is None:
        return
    if policy.retry_after is not None:
        yield f"{place}/retryAfter", policy.retry_after.business_days
    for number, delta in enumerate(policy.retry_strategy):
        yield f"{place}/retryStrategy/{number}", delta.business_days
