"""Clients of an empty account, one for each dialect."""

from collections.abc import Iterator

import pytest

from dev.memory.world import ManualClock, MemoryPorts
from shared import bootstrap
from shared.adapters.crypto import SecretHasher
from tests.dialects.automation.client import Client as AutomationClient
from tests.dialects.core.client import Client, Shop
from tests.dialects.orders.client import Joc
from tests.dialects.process.client import ProcessClient
from tests.dialects.wire import NOON, TEMPLATE


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    for name, value in TEMPLATE.environment("CoreApi").items():
        monkeypatch.setenv(name, value)
    bootstrap.forget()
    shop = Shop()
    ports = MemoryPorts(caller=shop, clock=ManualClock(NOON))
    bootstrap.use_ports(ports)
    yield Client(ports, SecretHasher(("p" * 32).encode()), shop)
    bootstrap.forget()


@pytest.fixture
def process(client: Client) -> ProcessClient:
    """Return a client of the process dialect in an account with one strategy."""
    found = ProcessClient(client)
    found.saved()
    return found


@pytest.fixture
def automation(monkeypatch: pytest.MonkeyPatch) -> Iterator[AutomationClient]:
    for name, value in TEMPLATE.environment("CoreApi").items():
        monkeypatch.setenv(name, value)
    bootstrap.forget()
    client = AutomationClient()
    bootstrap.use_ports(client.ports)
    yield client
    bootstrap.forget()


@pytest.fixture
def joc(client: Client) -> Joc:
    """Return a client of the orders dialect in the same account."""
    return Joc(client.ports, client.hasher, client.shop)
