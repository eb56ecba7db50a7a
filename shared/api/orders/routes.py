"""The routes of the orders dialect: one row for each operation. All take POST.

The gateway checks and reads every request by its row. The OpenAPI document and tests are derived from the rows too.
Source: docs/contracts/orders.md B.1; docs/contracts/orders.md.
"""

from functools import partial

from shared.api.http.auth import basic
from shared.api.http.route import Route
from shared.api.orders import adding, commands, history, listing, session
from shared.api.orders.errors import BASE
from shared.api.orders.requests import read_body
from shared.domain.access import Role

_read, _command = (partial(Route, role, read=read_body) for role in (Role.VIEWER, Role.OPERATOR))

ROUTES: tuple[Route, ...] = (
    Route(None, f"POST {BASE}/authentication/login", session.log_in, authenticate=basic),
    Route(None, f"POST {BASE}/authentication/logout", session.log_out, authenticate=session.closed_session),
    _read(f"POST {BASE}/orders", listing.get_orders),
    _read(f"POST {BASE}/order", listing.get_order),
    _command(f"POST {BASE}/orders/add", adding.add_orders, is_idempotent=True),
    _command(f"POST {BASE}/orders/cancel", commands.cancel_orders),
    _command("POST /orders/cancel", commands.cancel_orders, suffix="_without_prefix"),
    _command(f"POST {BASE}/orders/suspend", commands.suspend_orders),
    _command(f"POST {BASE}/orders/resume", commands.resume_orders),
    _command(f"POST {BASE}/orders/continue", commands.continue_orders),
    _command(f"POST {BASE}/orders/confirm", commands.confirm_orders),
    _read(f"POST {BASE}/orders/history", history.get_history),
    _read(f"POST {BASE}/orders/overview/snapshot", listing.get_snapshot),
    _read(f"POST {BASE}/orders/overview/summary", history.get_summary),
)
"""Every operation."""
