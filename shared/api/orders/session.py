"""Login, logout, and the session that every other request needs.

Source: docs/contracts/orders.md, head of the page; docs/design.md section 9.
"""

from shared.api.http.request import Incoming, Request
from shared.api.http.route import Answer, Principal, Route
from shared.api.orders.answers import SecurityShape
from shared.api.orders.errors import LOGIN_TIMEOUT, SecurityError, call_of, security_shape
from shared.application.sessions import IDLE_TIMEOUT, Expired, close_session, key_of_session, open_session

TOKEN_HEADER = "X-Access-Token"  # noqa: S105 - the name of a header
TOKEN_PARAMETER = "accessToken"  # noqa: S105 - the name of a parameter


def session(incoming: Incoming, route: Route) -> Principal | None:
    """Authenticate by the token of a session, from the header or else the query. Raises: SecurityError (440)."""
    token = _token(incoming)
    key = key_of_session(incoming.ports, incoming.hasher, token) if token else None
    if isinstance(key, Expired):
        message = "SessionNotExistException: the session has expired"
        raise SecurityError(LOGIN_TIMEOUT, message, account=key.key_id, call=call_of(route))
    if key is None:
        return None
    return Principal(name=key.key_id, account_id=key.account_id, role=key.role)


def closed_session(incoming: Incoming, route: Route) -> Principal | None:
    """Authenticate by a session, and close it even if it has expired. Raises: SecurityError (440)."""
    # An expired session is closed too, although its token is refused.
    try:
        return session(incoming, route)
    finally:
        close_session(incoming.ports, incoming.hasher, _token(incoming))


def log_in(request: Request) -> Answer[SecurityShape]:
    """Open a session for the access key in ``Authorization: Basic base64(keyId:secret)``.

    Its token is in the header X-Access-Token and in the body. It expires after half an hour without use.
    """
    principal = request.principal
    token = open_session(request.ports, request.hasher, principal.account_id, principal.name)
    body: SecurityShape = {
        **security_shape(request.now, account=principal.name, message=""),
        "isAuthenticated": True,
        "isPermitted": True,
        "accessToken": token,
        "role": principal.role,
        "sessionTimeout": round(IDLE_TIMEOUT.total_seconds() * 1000),
    }
    return Answer(body=body, headers={TOKEN_HEADER: token})


def log_out(request: Request) -> Answer[SecurityShape]:
    """Close the session. Its token becomes invalid at once."""
    return Answer(body=security_shape(request.now, account=request.principal.name, message=""))


def _token(incoming: Incoming) -> str:
    token = incoming.headers.get(TOKEN_HEADER.lower()) or incoming.query.get(TOKEN_PARAMETER) or ""
    # Our tokens are ASCII. Another text may not even have bytes to be hashed.
    return token if token.isascii() else ""
