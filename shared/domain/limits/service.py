"""The limit that a step's call is under."""

from datetime import datetime

from msgspec import Struct

from shared.domain.limits.origin import origin_of
from shared.domain.limits.slots import slots_taken
from shared.domain.limits.state import LimitState, Member, instant_of
from shared.domain.strategy.model import ServiceLimit, Step, Strategy


class OriginLimit(Struct, frozen=True, kw_only=True):
    """The limit of a service, named by its key, at the origin of its base URL."""

    service: str
    origin: str
    limit: ServiceLimit

    def why(self, state: LimitState, *, now: datetime) -> str:
        """Return what a call waits for, as text for users, by the state of the limit."""
        if state[Member.OPEN_UNTIL]:
            return f"the circuit of {self.origin} is open: calls did not reach it"
        if instant_of(state[Member.NOT_BEFORE]) > now:
            return f"{self.origin} has asked all callers to wait"
        most = state[Member.CONCURRENT] or self.limit.concurrent
        if most is not None and slots_taken(state, now=now) >= most:
            return f"the limit of {self.origin} ({most} in flight)"
        if self.limit.per_second is not None:
            return f"the limit of {self.origin} ({self.limit.per_second} a second)"
        return f"{self.origin} can be called again; its calls return one after another"


def limit_of(strategy: Strategy, step: Step) -> OriginLimit | None:
    """Return the limit that the call of a step is under, or None if its service has none, or if it calls nothing."""
    if step.action is None:
        return None
    service = strategy.definition.services[strategy.definition.actions[step.action].service]
    url = service.base_urls.get(strategy.environment)
    if service.limit is None or url is None:
        return None
    return OriginLimit(service=service.key, origin=origin_of(url), limit=service.limit)
