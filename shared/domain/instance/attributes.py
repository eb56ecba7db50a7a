"""What the attributes of an instance may hold, and how they are changed.

Source: design section 6; contracts/core.md section 2.
"""

from collections.abc import Mapping
from datetime import datetime

from shared.domain.calendar.dates import parse_instant
from shared.domain.errors import DateError
from shared.domain.instance.model import Instance
from shared.domain.strategy.model import Json, Strategy, json_size
from shared.domain.validation.schema import violations

MAX_ATTRIBUTES_BYTES = 16 * 1024
"""What the attributes of an instance may take, as JSON."""


def merged(instance: Instance, attributes: Mapping[str, Json]) -> dict[str, Json]:
    """The instance's attributes with others laid over them; null removes one."""
    both = {**instance.attributes, **attributes}
    return {name: value for name, value in both.items() if value is not None}


def unfit(strategy: Strategy, attributes: Mapping[str, Json]) -> list[str]:
    """The names of attributes whose values are not of a kind that the strategy allows."""
    if strategy.definition.any_attributes:
        return []
    return [name for name, value in attributes.items() if not isinstance(value, str | bool | int | float)]


def attribute_problem(strategy: Strategy, attributes: Mapping[str, Json]) -> str | None:
    """Why these cannot be an instance's attributes, or None."""
    for name in unfit(strategy, attributes):
        return f"{name!r} is not a text, a number or a boolean"
    if json_size(dict(attributes)) > MAX_ATTRIBUTES_BYTES:
        return "they take more than 16 KB"
    rule = strategy.definition.instance_validation
    if rule is not None:
        for problem in violations(rule, dict(attributes)):
            return f"{problem.pointer or '/'}: {problem.message}"
    return None


def date_attribute(instance: Instance, name: str) -> datetime:
    """The date an attribute of the instance holds. Raises: DateError: it is missing or no date."""
    value = instance.attributes.get(name)
    if not isinstance(value, str):
        raise DateError(f"attribute {name!r} holds no date")
    return parse_instant(value)
