"""Every operation of every dialect, as method and path with braces."""

import re

from shared.api.automation.routes import NOT_SERVED
from shared.api.automation.routes import ROUTES as AUTOMATION
from shared.api.core.routes import ROUTES as CORE
from shared.api.http.pages import PAGES
from shared.api.http.route import Route
from shared.api.orders.routes import ROUTES as ORDERS
from shared.api.process.routes import ROUTES as PROCESS


def braced(path: str) -> str:
    """Return a path of a route table as OpenAPI writes it."""
    return re.sub(r"<(\w+)>", r"{\1}", path)


def _operations(dialect: str, routes: tuple[Route, ...]) -> list[tuple[str, str]]:
    served = [(route.method, braced(route.path)) for route in routes]
    return served + [("GET", page.path) for page in PAGES[dialect]]


NOT_SERVED_PATHS = [(method, braced(path)) for method, path in NOT_SERVED]
"""The operations that the dialect of 8x8 answers as not served."""

OPERATIONS = {
    "CoreApi": _operations("core", CORE),
    "AutomationApi": _operations("automation", AUTOMATION) + NOT_SERVED_PATHS,
    "OrdersApi": _operations("orders", ORDERS),
    "ProcessApi": _operations("process", PROCESS),
}
"""The operations of each function."""
