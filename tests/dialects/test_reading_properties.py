"""Whatever use cases store, in any order, every reading operation of every dialect can read."""

from collections.abc import Iterator

import pytest

from shared import bootstrap
from shared.adapters.dynamodb.tables import LAYOUTS
from shared.api.automation.routes import ROUTES as AUTOMATION_ROUTES
from shared.api.core.routes import ROUTES as CORE_ROUTES
from shared.api.orders.routes import ROUTES as ORDER_ROUTES
from shared.api.process.routes import ROUTES as PROCESS_ROUTES
from shared.domain.access import Role
from tests.dialects.town import BASIC, WRITES, Town, a_town, readings
from tests.engines import DynamoDb

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


KINDS = {
    "strategies": {"head", "v", "name"},
    "instances": {""},
    "events": {"e", "s", "answer"},
    "operations": {"bulk", "release"},
    "access": {"key", "account", "session", "flags"},
    "audit": {"20"},
}
"""The kinds of items in each table."""


def kinds(dynamodb: DynamoDb) -> dict[str, set[str]]:
    """Return the kinds of the items in each table."""
    items = {name: dynamodb.admin.scan(TableName=getattr(dynamodb.tables, name))["Items"] for name in LAYOUTS}
    sort_keys = {name: [item.get("sk", {}).get("S", "") for item in some] for name, some in items.items()}
    return {
        "strategies": {key.partition("#")[0] for key in sort_keys["strategies"]},
        "instances": set(sort_keys["instances"]),
        "events": {"answer" if "#answer#" in key else key[0] for key in sort_keys["events"]},
        "operations": {item["kind"]["S"] if "kind" in item else "release" for item in items["operations"]},
        "access": {item["pk"]["S"].partition("#")[0] for item in items["access"]}
        | {key for key in sort_keys["access"] if key == "flags"},
        "audit": {key[:2] for key in sort_keys["audit"]},
    }


NO_ITEMS = {"validate_strategy", "simulate_execution"}
"""Reading operations that read no stored items besides a strategy."""


@pytest.fixture
def town(monkeypatch: pytest.MonkeyPatch, roto: DynamoDb, request: pytest.FixtureRequest) -> Iterator[Town]:
    yield a_town(monkeypatch, roto, request.param)
    bootstrap.forget()


@pytest.mark.parametrize("town", range(6), indirect=True)
def test_everything_stored_can_be_read_by_every_operation(town: Town, roto: DynamoDb) -> None:
    town.begin()
    assert kinds(roto) == KINDS
    for _ in range(60):
        town.rng.choice(WRITES)(town)
    for _, requests in readings(town):
        for request in requests:
            if isinstance(request, str):
                headers = BASIC if "/connector-" in request else None
                status, found = town.ask("GET", request, headers=headers)
                assert status in (200, 404), (request, found)
            else:
                status, found = town.joc(request[0], **request[1])
                assert status == 200, (request, found)


@pytest.mark.parametrize("town", [1], indirect=True)
def test_every_reading_operation_is_among_these(town: Town) -> None:
    reading = {
        route.name
        for route in (*CORE_ROUTES, *AUTOMATION_ROUTES, *ORDER_ROUTES, *PROCESS_ROUTES)
        if route.role is Role.VIEWER or route.method == "GET"
    }
    assert {name for name, _ in readings(town)} == reading - NO_ITEMS
