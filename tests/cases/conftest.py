"""Clients of every dialect over one account, and calls over HTTP."""

from typing import Any, cast

import pytest

from shared import bootstrap
from tests.adapters.conftest import caller, make
from tests.cases.engine import Engine
from tests.dialects.conftest import automation, client, joc, process
from tests.dialects.core.client import Client
from tests.dialects.stored_ports import StoredPorts
from tests.engines import DynamoDb, on_dynamodb

__all__ = ["automation", "caller", "client", "joc", "make", "process"]


@pytest.fixture
def engine(client: Client) -> Engine:
    return Engine(client)


@pytest.fixture
def stored(client: Client, dynamodb: DynamoDb) -> Engine:
    """The core dialect over DynamoDB, which refuses some values that stores in memory take."""
    ports = StoredPorts(stores=on_dynamodb(dynamodb), caller=client.shop, clock=client.ports.clock)
    bootstrap.use_ports(ports)
    return Engine(Client(cast("Any", ports), client.hasher, client.shop))
