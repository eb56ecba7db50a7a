"""All ports with the stores of an engine, for requests whose items are stored as DynamoDB stores them."""

from dataclasses import dataclass, field

from dev.examples import Ids
from dev.memory.world import ManualClock, MemoryWakeups
from shared.adapters.controllers import NoControllers
from shared.application.ports import (
    AccessStore,
    AuditStore,
    Controllers,
    InstanceStore,
    LimitStore,
    OperationStore,
    ServiceCaller,
    StrategyStore,
    WebhookStore,
)
from tests.engines import Stores


@dataclass(slots=True, kw_only=True)
class StoredPorts:
    """Ports over the stores of an engine; everything else is in memory."""

    stores: Stores
    caller: ServiceCaller
    clock: ManualClock
    controllers: Controllers = field(default_factory=NoControllers)
    wakeups: MemoryWakeups = field(default_factory=MemoryWakeups)
    ids: Ids = field(default_factory=Ids)

    @property
    def instances(self) -> InstanceStore:
        return self.stores.instances

    @property
    def strategies(self) -> StrategyStore:
        return self.stores.strategies

    @property
    def access(self) -> AccessStore:
        return self.stores.access

    @property
    def operations(self) -> OperationStore:
        return self.stores.operations

    @property
    def webhooks(self) -> WebhookStore:
        return self.stores.webhooks

    @property
    def limits(self) -> LimitStore:
        return self.stores.limits

    @property
    def audit(self) -> AuditStore:
        return self.stores.audit
