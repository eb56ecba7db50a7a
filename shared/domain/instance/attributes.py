"""The attributes of an instance: their limits, and how a change is merged.

Source: docs/design.md section 6; docs/contracts/core.md section 2.
"""

from collections.abc import Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

from shared.domain.calendar.business_days import Adjusted, BusinessDays, adjust, closed_dates
from shared.domain.calendar.dates import DATE_FORMS, Moment, parse_date
from shared.domain.errors import DateError, shortened
from shared.domain.instance.model import Instance
from shared.domain.instance.zone import zone_for
from shared.domain.strategy.model import Json, Strategy, json_size
from shared.domain.validation.schema import violations

MAX_ATTRIBUTES_BYTES = 16 * 1024
"""The largest size of an instance's attributes as compact JSON, in bytes."""


MAX_NAME_BYTES = 100
"""How much of an attribute's name a message shows."""


def merge_attributes(instance: Instance, attributes: Mapping[str, Json]) -> dict[str, Json]:
    """Return the instance's attributes overlaid with ``attributes``; a null value removes its name."""
    both = {**instance.attributes, **attributes}
    return {name: value for name, value in both.items() if value is not None}


def invalid_attributes(strategy: Strategy, attributes: Mapping[str, Json]) -> list[str]:
    """Return the names of attributes whose values the strategy does not allow.

    Unless the strategy sets ``any_attributes``, a value must be a string, a number or a boolean.
    """
    if strategy.definition.any_attributes:
        return []
    return [name for name, value in attributes.items() if not isinstance(value, str | bool | int | float)]


def attribute_problem(strategy: Strategy, attributes: Mapping[str, Json]) -> str | None:
    """Return why ``attributes`` are not valid for the strategy, or None if they are."""
    if json_size(dict(attributes)) > MAX_ATTRIBUTES_BYTES:
        return "must take at most 16 KB"
    for name in invalid_attributes(strategy, attributes):
        return f"{shortened(name, MAX_NAME_BYTES)!r} must be a string, a number or a boolean"
    rule = strategy.definition.instance_validation
    if rule is not None:
        # The first problem is enough: it becomes part of a single message.
        for problem in violations(rule, dict(attributes)):
            return f"{problem.pointer or '/'}: {problem.message}"
    try:
        zone_for(strategy.definition, attributes)
    except DateError as error:
        return str(error)
    return None


def closed_days(instance: Instance, rule: BusinessDays) -> frozenset[date]:
    """Return the dates in the attribute that ``closed`` of a business-day rule names; none if there is no attribute.

    Raises: DateError: if the attribute is not a text of dates.
    """
    value = None if rule.closed is None else instance.attributes.get(rule.closed)
    if value is None:
        return frozenset()
    if not isinstance(value, str):
        raise DateError(f"attribute {rule.closed!r} is not a text of dates such as 2026-12-24, 2026-12-31")
    try:
        return closed_dates(value)
    except DateError as error:
        raise DateError(f"attribute {rule.closed!r}: {error}") from error


def adjusted(
    instance: Instance, rule: BusinessDays, moment: Moment, zone: ZoneInfo
) -> tuple[Adjusted, str | None]:
    """Return a moment's date on a business day of an instance, and a note if its closed days cannot be read.

    They then close no day. Raises: DateError: if there is no business day.
    """
    closed, note = frozenset[date](), None
    try:
        closed = closed_days(instance, rule)
    except DateError as error:
        note = f"businessDays: {error}"
    return adjust(rule, moment, zone, closed=closed), note


def date_attribute(instance: Instance, name: str, zone: ZoneInfo) -> datetime:
    """Return the date that an attribute of the instance holds. A date without a time is the start of its day.

    Raises: DateError: if the attribute is missing or is not a date.
    """
    value = instance.attributes.get(name)
    if not isinstance(value, str):
        raise DateError(f"attribute {name!r} is not {DATE_FORMS}")
    return parse_date(value, zone)
