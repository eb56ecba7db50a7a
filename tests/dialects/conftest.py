"""A client of an empty account."""

from collections.abc import Iterator

import pytest

from shared import bootstrap
from shared.adapters.crypto import SecretHasher
from shared.adapters.memory.world import ManualClock, MemoryPorts
from tests.dialects.core_client import NOON, TEMPLATE, Client, Shop
from tests.dialects.orders_client import Joc


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    for name, value in next(iter(TEMPLATE.functions())).environment.items():
        monkeypatch.setenv(name, value)
    bootstrap.forget()
    shop = Shop()
    ports = MemoryPorts(caller=shop, clock=ManualClock(NOON))
    bootstrap.use_ports(ports)
    yield Client(ports, SecretHasher(("p" * 32).encode()), shop)
    bootstrap.forget()


@pytest.fixture
def joc(client: Client) -> Joc:
    """A client of the orders dialect, of the same account."""
    return Joc(client.ports, client.hasher, client.shop)
