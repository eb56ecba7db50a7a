"""The core dialect as the gateway serves it."""

from shared.api.core.authorizer import find
from shared.api.core.errors import ERRORS
from shared.api.core.routes import ROUTES
from shared.api.http.auth import bearer
from shared.api.http.gateway import Dialect

CORE = Dialect(
    name="core",
    routes=ROUTES,
    errors=ERRORS,
    authenticate=bearer,
    find=find,
    refuses_unknown=True,
    has_comments=True,
    has_secrets=True,
)
