"""The permissions of every caller on every route. Source: docs/design.md section 9; docs/contracts/orders.md B.5.

The test fails if a route has no row here, or a row no route.
"""

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from shared.api.orders.routes import ROUTES
from tests.dialects.orders.client import MINE, Joc

CALLERS = ("no token", "made-up token", "expired", "viewer", "operator", "admin", "foreign admin")

# {order} stands for the id of an order that waits for its date, {held} for one that waits to be continued, {prompting}
# for one that waits to be confirmed, {suspended} for a suspended one.
MATRIX: dict[str, tuple[str, dict[str, Any]]] = {
    "/joc/api/orders": ("401 401 440 200 200 200 420", {}),
    "/joc/api/order": ("401 401 440 200 200 200 420", {"orderId": "{order}"}),
    "/joc/api/orders/add": ("401 401 440 403 200 200 420", {"orders": [{"workflowPath": "/refill"}]}),
    "/joc/api/orders/cancel": ("401 401 440 403 200 200 420", {"orderIds": ["{order}"]}),
    "/orders/cancel": ("401 401 440 403 200 200 420", {"orderIds": ["{order}"]}),
    "/joc/api/orders/suspend": ("401 401 440 403 200 200 420", {"orderIds": ["{order}"]}),
    "/joc/api/orders/resume": ("401 401 440 403 200 200 420", {"orderIds": ["{suspended}"]}),
    "/joc/api/orders/continue": ("401 401 440 403 200 200 420", {"orderIds": ["{held}"]}),
    "/joc/api/orders/confirm": ("401 401 440 403 200 200 420", {"orderIds": ["{prompting}"]}),
    "/joc/api/orders/history": ("401 401 440 200 200 200 420", {}),
    "/joc/api/orders/overview/snapshot": ("401 401 440 200 200 200 420", {}),
    "/joc/api/orders/overview/summary": ("401 401 440 200 200 200 420", {}),
}
CELLS = [
    pytest.param(path, caller, int(status), body, id=f"{path} by {caller}")
    for path, (statuses, body) in MATRIX.items()
    for caller, status in zip(CALLERS, statuses.split(), strict=True)
]


def stored_items(joc: Joc) -> Any:
    """Return everything that is stored, except sessions."""
    ports = joc.ports
    return deepcopy(
        (
            ports.instances.instances,
            ports.instances.records,
            ports.instances.audit,
            ports.strategies.heads,
            ports.strategies.audit,
            ports.access.all_keys,
            ports.access.audit,
            ports.operations.bulks,
            ports.operations.audit,
        )
    )


def orders(joc: Joc) -> dict[str, str]:
    """Return one order of each kind that the matrix uses."""
    joc.workflow()
    by_hand = joc.workflow("by-hand", config={"manualTrigger": True})
    suspended = joc.added(orderName="suspended", scheduledFor="now+3600")
    joc("/orders/suspend", {"orderIds": [suspended]})
    return {
        "order": joc.added(orderName="soon", scheduledFor="now+3600"),
        "held": joc.added(orderName="held", scheduledFor="never"),
        "suspended": suspended,
        "prompting": joc.order(by_hand),
    }


def token_of(joc: Joc, caller: str) -> dict[str, str]:
    match caller:
        case "no token":
            return {}
        case "made-up token":
            return {"X-Access-Token": "made-up"}
        case "foreign admin":
            return {"X-Access-Token": joc.token("stranger")}
        case "expired":
            token = joc.token("admin")
            joc.ports.clock.at += timedelta(minutes=30)
            return {"X-Access-Token": token}
        case _:
            return {"X-Access-Token": joc.token(caller)}


@pytest.mark.parametrize(("path", "caller", "status", "body"), CELLS)
def test_a_route_answers_each_caller_as_the_matrix_says(
    joc: Joc, path: str, caller: str, status: int, body: Any
) -> None:
    """The status is that of the matrix, and a refused request stores nothing."""
    made = orders(joc)
    named = {
        name: [one.format(**made) for one in value] if name == "orderIds" else value
        for name, value in body.items()
    }
    named |= {"orderId": made["order"]} if "orderId" in body else {}
    headers = token_of(joc, caller)
    before = stored_items(joc)

    found, _ = joc.send(path, MINE | named, headers=headers)

    assert found == status
    if found >= 400:
        assert stored_items(joc) == before


@pytest.mark.parametrize("path", MATRIX)
def test_other_accounts_find_no_orders(joc: Joc, path: str) -> None:
    """Under their own controller, other accounts find no order of ours, and change nothing."""
    made = orders(joc)
    headers = {"X-Access-Token": joc.token("stranger")}
    body: dict[str, Any] = {"controllerId": "a-2", "orderIds": list(made.values()), "orderId": made["order"]}
    body |= {"historyIds": [f"{made['prompting']}-1"], "orders": [{"workflowPath": "/refill"}]}
    before = stored_items(joc)

    _, answer = joc.send(path, body, headers=headers)

    assert "workflowId" not in str(answer)
    assert made["prompting"] not in str(answer)
    assert stored_items(joc) == before


def test_every_route_has_its_row() -> None:
    assert list(MATRIX) == [route.path for route in ROUTES if route.role is not None]
