"""The permissions of every caller on every route. Source: docs/design.md section 9.

The test fails if a route has no row here, or a row no route.
"""

import re
from copy import deepcopy
from typing import Any

import pytest
from msgspec.structs import replace

from shared.api.core.routes import ROUTES
from shared.api.http.pages import PAGES
from shared.domain.bulk.operation import BulkStatus
from shared.domain.ids import AccountId
from tests import full
from tests.dialects.core.client import GYM, WATER, Client

CALLERS = ("no key", "wrong key", "viewer", "operator", "admin", "foreign admin", "wrong secret")

OF_WATER = {"selection": {"strategyId": WATER["name"]}, "command": {"name": "pause"}}

# {shop} stands for the sid of a strategy, {one} for that of its instance, {key} for an access key's id, {many} for
# the sid of a bulk operation that is going on.
MATRIX: dict[str, tuple[str, Any]] = {
    "POST /execution-strategy": ("401 401 403 403 201 201 201", {**GYM, "name": "gym-2"}),
    "GET /execution-strategy": ("401 401 200 200 200 200 200", None),
    "POST /execution-strategy/validate": ("401 401 200 200 200 200 200", {"settings": WATER["settings"]}),
    "GET /execution-strategy/{shop}": ("401 401 200 200 200 404 403", None),
    "PATCH /execution-strategy/{shop}": ("401 401 403 403 200 404 403", {"settings": WATER["settings"]}),
    "DELETE /execution-strategy/{shop}": ("401 401 403 403 409 404 403", None),
    "POST /execution-strategy/{shop}/pause": ("401 401 403 200 200 404 403", None),
    "POST /execution-strategy/{shop}/resume": ("401 401 403 200 200 404 403", None),
    "POST /execution-strategy/{shop}/simulate-execution": ("401 401 200 200 200 404 403", {"cycles": 1}),
    "GET /execution-strategy/{shop}/versions": ("401 401 200 200 200 404 403", None),
    "GET /execution-strategy/{shop}/versions/1": ("401 401 200 200 200 404 403", None),
    "POST /execution-instance": (
        "401 401 403 201 201 404 403",
        {"strategyId": WATER["name"], "attributes": {"customerId": "c"}},
    ),
    "GET /execution-instance?strategyId={shop}": ("401 401 200 200 200 404 403", None),
    "GET /execution-instance/{one}": ("401 401 200 200 200 404 403", None),
    "PATCH /execution-instance/{one}": ("401 401 403 200 200 404 403", {"description": "d"}),
    "GET /execution-instance/{one}/forecast": ("401 401 200 200 200 404 403", None),
    "GET /execution-instance/{one}/get-tasks": ("401 401 200 200 200 404 403", None),
    "POST /execution-instance/{one}/cancel-tasks?tasks=ship": ("401 401 403 200 200 404 403", None),
    "POST /execution-instance/{one}/events": ("401 401 403 201 201 404 403", {"task": "send-refill"}),
    "GET /execution-instance/{one}/events": ("401 401 200 200 200 404 403", None),
    "GET /execution-instance/{one}/explain": ("401 401 200 200 200 404 403", None),
    "POST /execution-instance/{one}/pause": ("401 401 403 200 200 404 403", None),
    "POST /execution-instance/{one}/resume": ("401 401 403 200 200 404 403", None),
    "POST /execution-instance/{one}/reschedule": (
        "401 401 403 200 200 404 403",
        {"date": "2026-01-20T12:00:00Z"},
    ),
    "POST /execution-instance/{one}/skip": ("401 401 403 200 200 404 403", None),
    "POST /execution-instance/{one}/migrate": ("401 401 403 200 200 404 403", {"version": 1}),
    "POST /execution-instance/{one}/cancel": ("401 401 403 200 200 404 403", None),
    "DELETE /execution-instance/{one}/cancel": ("401 401 403 200 200 404 403", None),
    "POST /execution-instance/{one}/dismiss": ("401 401 403 200 200 404 403", {"comment": "no"}),
    "GET /overview": ("401 401 200 200 200 200 200", None),
    "GET /problems?strategyId={shop}": ("401 401 200 200 200 404 403", None),
    "GET /execution-event/{one}-1": ("401 401 200 200 200 404 403", None),
    "POST /execution-event/{one}-1/execute": ("401 401 403 200 200 404 403", None),
    "POST /execution-event/{one}-1/cancel": ("401 401 403 200 200 404 403", None),
    "POST /execution-event/{one}-1.token/resume": ("401 401 403 404 404 404 403", {"status": "CONFIRMED"}),
    "POST /execution-event/{one}-1/resolve": ("401 401 403 409 409 404 403", {"decision": "skip"}),
    "POST /execution-event/{one}-1/retry": ("401 401 403 409 409 404 403", {"fromStep": "ship"}),
    "POST /bulk-operation": ("401 401 403 200 200 404 403", OF_WATER),
    "GET /bulk-operation": ("401 401 200 200 200 200 200", None),
    "GET /bulk-operation/{many}": ("401 401 200 200 200 404 200", None),
    "POST /bulk-operation/{many}/pause": ("401 401 403 200 200 404 200", None),
    "POST /bulk-operation/{many}/resume": ("401 401 403 200 200 404 200", None),
    "POST /bulk-operation/{many}/cancel": ("401 401 403 200 200 404 200", None),
    "GET /queue": ("401 401 200 200 200 200 200", None),
    "DELETE /queue": ("401 401 403 200 200 200 200", None),
    "POST /queue": ("401 401 403 200 200 200 200", None),
    "GET /webhook": ("401 401 403 403 404 404 404", None),
    "PUT /webhook": ("401 401 403 403 200 200 200", {"url": "https://hooks.example.com/"}),
    "DELETE /webhook": ("401 401 403 403 200 200 200", None),
    "POST /access-key": ("401 401 403 403 201 201 201", {"role": "viewer"}),
    "GET /access-key": ("401 401 403 403 200 200 200", None),
    "DELETE /access-key/{key}": ("401 401 403 403 200 404 200", None),
    "GET /audit": ("401 401 200 200 200 200 200", None),
    "GET /app": ("401 401 200 200 200 200 200", None),
    "GET /openapi.json": ("200 200 200 200 200 200 200", None),
    "GET /docs": ("200 200 200 200 200 200 200", None),
}
MANY = replace(
    full.BULK, account_id=AccountId("a-1"), status=BulkStatus.ACTIVE, worker=None, finished_at=None
)
CELLS = [
    pytest.param(target, caller, int(status), body, id=f"{target} by {caller}")
    for target, (statuses, body) in MATRIX.items()
    for caller, status in zip(CALLERS, statuses.split(), strict=True)
]


def headers_of(caller: str) -> dict[str, Any]:
    """Return the headers of a caller."""
    match caller:
        case "no key":
            return {"key": None}
        case "wrong key":
            return {"key": "admin.wrong"}
        case "foreign admin":
            return {"key": "stranger.secret"}
        case "wrong secret":
            return {"key": "admin.secret", "secret": "not-its-pass-phrase"}
        case _:
            return {"key": f"{caller}.secret"}


def stored_items(client: Client) -> Any:
    """Return everything that is stored."""
    ports = client.ports
    return deepcopy(
        (
            ports.instances.instances,
            ports.instances.records,
            ports.instances.audit,
            ports.strategies.heads,
            ports.strategies.saved,
            ports.strategies.audit,
            ports.access.all_keys,
            ports.access.paused_queues,
            ports.access.audit,
            ports.webhooks.webhooks,
            ports.webhooks.audit,
            ports.operations.release_jobs,
            ports.operations.bulks,
            ports.operations.audit,
        )
    )


@pytest.mark.parametrize(("target", "caller", "status", "body"), CELLS)
def test_a_route_answers_each_caller_as_the_matrix_says(
    client: Client, target: str, caller: str, status: int, body: Any
) -> None:
    """The status is that of the matrix, and a refused request stores nothing."""
    shop, one = client.saved()["sid"], client.started()["executionInstance"]["sid"]
    key = client("POST", "/access-key", {"role": "viewer"})[1]["keyId"]
    client.ports.operations.bulks[MANY.sid] = MANY
    before = stored_items(client)
    method, path = target.format(shop=shop, one=one, key=key, many=MANY.sid).split()

    found, _ = client(method, path, body, **headers_of(caller))

    assert found == status
    if found >= 400:
        assert stored_items(client) == before


def test_every_route_has_its_row() -> None:
    """The matrix has the routes of the dialect."""
    rows = {re.sub(r"\{\w+\}(-1)?(\.token)?|(?<=versions/)1|\?.*", "", target) for target in MATRIX}

    operations = {f"{route.method} {re.sub('<[a-z_]+>', '', route.path)}" for route in ROUTES}
    assert rows == operations | {f"GET {page.path}" for page in PAGES["core"]}
    assert len(MATRIX) == len(ROUTES) + len(PAGES["core"])
