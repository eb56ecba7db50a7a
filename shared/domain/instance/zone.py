"""The zone of an instance's plan: the strategy's, or the one that an attribute of the instance names.

Source: docs/design.md section 4; docs/decisions/0060.
"""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from shared.domain.calendar.dates import zone_named
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.errors import DateError
from shared.domain.instance.model import Instance
from shared.domain.strategy.model import Definition, Json, Strategy


def zone_of(strategy: Strategy, instance: Instance) -> ZoneInfo:
    """Return the zone in which the plan of an instance is dated.

    Raises: DateError: if the attribute that names the zone has no zone. That is refused wherever attributes change, so
        only an event that began under another version can meet it.
    """
    return zone_for(strategy.definition, instance.attributes)


def own_zone(strategy: Strategy, instance: Instance, schedule: OwnSchedule) -> ZoneInfo:
    """Return the zone of an instance's own schedule: the one it names, or else that of the plan. Raises: DateError."""
    return zone_of(strategy, instance) if schedule.timezone is None else zone_named(schedule.timezone)


def zone_for(definition: Definition, attributes: Mapping[str, Json]) -> ZoneInfo:
    """Return the zone of the plans of instances with these attributes.

    Raises: DateError: if the attribute that names the zone has no zone.
    """
    name = definition.zone_attribute
    if name is None:
        return zone_named(definition.timezone)
    value = attributes.get(name)
    if not isinstance(value, str):
        raise DateError(f"attribute {name!r} is not the name of a time zone such as Europe/Madrid")
    try:
        return zone_named(value)
    except DateError as error:
        raise DateError(f"attribute {name!r}: {error}") from error


def zone_or_utc(definition: Definition, attributes: Mapping[str, Json]) -> tuple[ZoneInfo, str | None]:
    """Return the zone, or UTC and a note if the attribute that names the zone has no zone."""
    try:
        return zone_for(definition, attributes), None
    except DateError as error:
        return zone_named("UTC"), f"timezone: {error}; UTC is used"
