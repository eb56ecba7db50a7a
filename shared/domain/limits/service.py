"""The limit that a step's call is under."""

from msgspec import Struct

from shared.domain.limits.origin import origin_of
from shared.domain.strategy.model import ServiceLimit, Step, Strategy


class OriginLimit(Struct, frozen=True, kw_only=True):
    """The limit of a service at the origin of its base URL."""

    origin: str
    limit: ServiceLimit

    @property
    def text(self) -> str:
        """Return what a call waits for, as text for users."""
        if self.limit.per_second is None:
            return f"{self.origin} has asked all callers to wait"
        return f"the limit of {self.origin} ({self.limit.per_second} a second)"


def limit_of(strategy: Strategy, step: Step) -> OriginLimit | None:
    """Return the limit that the call of a step is under, or None if its service has none, or if it calls nothing."""
    if step.action is None:
        return None
    service = strategy.definition.services[strategy.definition.actions[step.action].service]
    url = service.base_urls.get(strategy.environment)
    if service.limit is None or url is None:
        return None
    return OriginLimit(origin=origin_of(url), limit=service.limit)
