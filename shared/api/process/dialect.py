"""The process dialect as the gateway serves it."""

from shared.api.http.auth import basic
from shared.api.http.gateway import Dialect
from shared.api.process.errors import ERRORS
from shared.api.process.processes import find
from shared.api.process.routes import ROUTES

PROCESS = Dialect(
    name="process",
    routes=ROUTES,
    errors=ERRORS,
    authenticate=basic,
    find=find,
    last_wins="values",
)
