"""Logging in and out. Source: contracts/orders.md, head of the page; design section 9."""

from http import HTTPStatus

from shared.api.orders.call import TOKEN_HEADER, Answer, Request
from shared.api.orders.errors import LOGIN_TIMEOUT, SecurityError, security_shape
from shared.application.sessions import IDLE, Expired, close_session, key_of_session, open_session


def log_in(request: Request) -> Answer:
    """A session for whoever shows an access key with ``Authorization: Basic base64(keyId:secret)``.

    Its token comes in the header X-Access-Token, and in the body. Without use it lasts half an hour.
    """
    shown = request.shown()
    token = open_session(request.ports, request.hasher, shown.account_id, shown.key_id)
    shape = security_shape(request.now, account=shown.key_id, message="")
    body = {
        **shape,
        "isAuthenticated": True,
        "isPermitted": True,
        "accessToken": token,
        "role": shown.role.value,
        "sessionTimeout": round(IDLE.total_seconds() * 1000),
    }
    return Answer(body=body, headers={TOKEN_HEADER: token})


def log_out(request: Request) -> Answer:
    """The session ends: its token opens nothing from now on."""
    found = key_of_session(request.ports, request.hasher, request.token) if request.token else None
    close_session(request.ports, request.hasher, request.token)
    if found is None:
        message = "JocAuthenticationException: a valid X-Access-Token is required"
        raise SecurityError(HTTPStatus.UNAUTHORIZED, message)
    if isinstance(found, Expired):
        message = "SessionNotExistException: the session has expired"
        raise SecurityError(LOGIN_TIMEOUT, message, account=found.key_id)
    return Answer(body=security_shape(request.now, account=found.key_id, message=""))
