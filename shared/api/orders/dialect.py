"""The orders dialect as the gateway serves it."""

from shared.api.http.gateway import Dialect
from shared.api.orders.errors import ERRORS
from shared.api.orders.routes import ROUTES
from shared.api.orders.session import session

ORDERS = Dialect(
    name="orders",
    routes=ROUTES,
    errors=ERRORS,
    authenticate=session,
    cache_control="no-cache, no-store, must-revalidate",
)
