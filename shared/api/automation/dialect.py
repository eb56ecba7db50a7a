"""The automation dialect as the gateway serves it."""

from shared.api.automation.errors import ERRORS
from shared.api.automation.named import find
from shared.api.automation.routes import ROUTES
from shared.api.http.auth import bearer
from shared.api.http.gateway import Dialect

AUTOMATION = Dialect(
    name="automation",
    routes=ROUTES,
    errors=ERRORS,
    authenticate=bearer,
    find=find,
    has_comments=True,
)
