"""The zone of an instance's plan. Source: docs/design.md section 4; docs/contracts/core.md section 2.2."""

from zoneinfo import ZoneInfo

from shared.domain.instance.model import Instance
from shared.domain.strategy.model import Strategy


def zone_of(strategy: Strategy, instance: Instance) -> ZoneInfo:  # noqa: ARG001
    """Return the zone in which the plan of an instance is dated."""
    return strategy.definition.zone
