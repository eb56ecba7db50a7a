"""The routes of the orders dialect: one row for each operation. All take POST.

The gateway checks and reads every request by its row; the OpenAPI document and tests are derived from it too.
Source: contracts/orders.md B.1; seeds/002.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic import BaseModel

from shared.api.http.auth import basic
from shared.api.http.route import Answer, Principal, Route
from shared.api.orders import adding, commands, history, listing, schemas, session
from shared.api.orders.errors import BASE
from shared.api.orders.requests import read_body
from shared.domain.access import Role


def _row(
    role: Role,
    path: str,
    operation: Callable[..., Answer],
    answer: str,
    body: type[BaseModel],
    **more: Any,  # noqa: ANN401 - fields of a route
) -> Route:
    return Route(
        method="POST",
        path=path,
        operation=operation,
        role=role,
        answer=answer,
        body=body,
        read=read_body,
        **more,
    )


def _session(
    path: str, operation: Callable[..., Answer], authenticate: Callable[..., Principal | None]
) -> Route:
    return Route(
        method="POST",
        path=path,
        operation=operation,
        role=None,
        authenticate=authenticate,
        answer="Security",
    )


_read, _command = partial(_row, Role.VIEWER), partial(_row, Role.OPERATOR)

ROUTES: tuple[Route, ...] = (
    _session(f"{BASE}/authentication/login", session.log_in, basic),
    _session(f"{BASE}/authentication/logout", session.log_out, session.closed_session),
    _read(f"{BASE}/orders", listing.get_orders, "Orders", schemas.OrdersFilter),
    _read(f"{BASE}/order", listing.get_order, "Order", schemas.GetOrder),
    _command(f"{BASE}/orders/add", adding.add_orders, "Added", schemas.AddOrders, is_idempotent=True),
    _command(f"{BASE}/orders/cancel", commands.cancel_orders, "Ok", schemas.CancelOrders),
    _command("/orders/cancel", commands.cancel_orders, "Ok", schemas.CancelOrders, suffix="_without_prefix"),
    _command(f"{BASE}/orders/suspend", commands.suspend_orders, "Ok", schemas.SuspendOrders),
    _command(f"{BASE}/orders/resume", commands.resume_orders, "Ok", schemas.ResumeOrders),
    _command(f"{BASE}/orders/continue", commands.continue_orders, "Ok", schemas.ModifyOrders),
    _command(f"{BASE}/orders/confirm", commands.confirm_orders, "Ok", schemas.ModifyOrders),
    _read(f"{BASE}/orders/history", history.get_history, "History", schemas.HistoryFilter),
    _read(f"{BASE}/orders/overview/snapshot", listing.get_snapshot, "Snapshot", schemas.SnapshotFilter),
    _read(f"{BASE}/orders/overview/summary", history.get_summary, "Summary", schemas.SummaryFilter),
)
"""Every operation."""
