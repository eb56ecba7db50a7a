"""Every contract test runs on each engine."""

import pytest

from tests.engines import Stores, in_memory, on_dynamodb


@pytest.fixture(params=["memory", "moto", pytest.param("roto", marks=pytest.mark.allow_hosts(["127.0.0.1"]))])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "memory":
        return in_memory()
    return on_dynamodb(request.getfixturevalue(request.param))
