"""The routes of the orders dialect: one row an operation. All take POST.

Everything that is true of all of them (who gets in, documents, tests) is derived from these tables.
Source: contracts/orders.md B.1; seeds/002.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel

from shared.api.orders import adding, commands, history, listing, schemas, session
from shared.api.orders.call import Answer, Call, Request
from shared.domain.access import Role

BASE = "/joc/api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """An operation on the session itself."""

    path: str
    operation: Callable[[Request], Answer]
    answer: str = "Security"

    def answered(self, request: Request) -> Answer:
        """What it answers. Raises: a refusal of ``errors.py``."""
        return self.operation(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An operation that takes a session. answer: the name of its answer's shape in the OpenAPI document.

    creates: takes an Idempotency-Key.
    """

    path: str
    operation: Callable[[Call], Answer]
    role: Role
    answer: str
    body: type[BaseModel]
    has_items: bool = False
    creates: bool = False

    @property
    def call(self) -> str:
        """What it is called where it is refused."""
        return f".{self.path.removeprefix(BASE)}"

    def answered(self, request: Request) -> Answer:
        """What it answers to whoever may ask. Raises: a refusal of ``errors.py``, or a use-case's."""
        return self.operation(Call(request=request, principal=request.principal(self.role, self.call)))


def _read(path: str, operation: Callable[[Call], Answer], answer: str, body: type[BaseModel]) -> Route:
    return Route(path=f"{BASE}{path}", operation=operation, role=Role.VIEWER, answer=answer, body=body)


def _command(
    path: str,
    operation: Callable[[Call], Answer],
    body: type[BaseModel],
    answer: str = "Ok",
    *,
    creates: bool = False,
) -> Route:
    return Route(
        path=path,
        operation=operation,
        role=Role.OPERATOR,
        answer=answer,
        body=body,
        has_items=True,
        creates=creates,
    )


DOORS: tuple[Door, ...] = (
    Door(path=f"{BASE}/authentication/login", operation=session.log_in),
    Door(path=f"{BASE}/authentication/logout", operation=session.log_out),
)
"""Logging in and out."""

ROUTES: tuple[Route, ...] = (
    _read("/orders", listing.get_orders, "Orders", schemas.OrdersFilter),
    _read("/order", listing.get_order, "Order", schemas.GetOrder),
    _command(f"{BASE}/orders/add", adding.add_orders, schemas.AddOrders, "Added", creates=True),
    _command(f"{BASE}/orders/cancel", commands.cancel_orders, schemas.CancelOrders),
    _command("/orders/cancel", commands.cancel_orders, schemas.CancelOrders),
    _command(f"{BASE}/orders/suspend", commands.suspend_orders, schemas.SuspendOrders),
    _command(f"{BASE}/orders/resume", commands.resume_orders, schemas.ResumeOrders),
    _command(f"{BASE}/orders/continue", commands.continue_orders, schemas.ModifyOrders),
    _command(f"{BASE}/orders/confirm", commands.confirm_orders, schemas.ModifyOrders),
    _read("/orders/history", history.get_history, "History", schemas.HistoryFilter),
    _read("/orders/overview/snapshot", listing.get_snapshot, "Snapshot", schemas.SnapshotFilter),
    _read("/orders/overview/summary", history.get_summary, "Summary", schemas.SummaryFilter),
)
"""Every operation on orders."""

WAYS: tuple[Door | Route, ...] = (*DOORS, *ROUTES)
"""All of them."""
