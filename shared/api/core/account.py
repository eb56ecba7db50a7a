"""The operations on an account: its queue, its access keys, and the service itself.

Source: contracts/core.md, Q1 to Q3, A1 and section 5.
"""

from http import HTTPStatus

from shared import __version__
from shared.api.core.call import Answer, Call
from shared.api.core.errors import not_found
from shared.api.core.paging import Paging
from shared.api.core.render import key_shape
from shared.api.core.schemas import CreateKey, PageQuery
from shared.api.cursor import listed_of, listed_text
from shared.application.flags import pause_queue, queue_state, resume_queue
from shared.application.keys import create_key, remove_key
from shared.application.ports import Listed
from shared.domain.access import Role
from shared.domain.dates import format_instant


def get_queue(call: Call) -> Answer:
    """Whether the account's due events start: ``active`` or ``paused`` (Q1)."""
    return HTTPStatus.OK, {"status": queue_state(call.ports, call.principal.account_id)}


def delete_queue(call: Call) -> Answer:
    """Pause the whole queue: nothing new starts, what runs ends (Q2)."""
    pause_queue(call.ports, call.principal.account_id, by=call.actor)
    return HTTPStatus.OK, {}


def post_queue(call: Call) -> Answer:
    """Resume the whole queue: what was held back starts, at a set pace (Q3)."""
    resume_queue(call.ports, call.principal.account_id, by=call.actor)
    return HTTPStatus.OK, {}


def post_key(call: Call) -> Answer:
    """Create an access key of the account; its token is shown this once."""
    body = call.body(CreateKey)
    key, token = create_key(
        call.ports,
        call.gate.hasher,
        call.principal.account_id,
        Role(body.role),
        description=body.description,
        by=call.actor,
    )
    return HTTPStatus.CREATED, {**key_shape(key), "token": token}


def list_keys(call: Call) -> Answer:
    """The account's access keys, youngest first, without their secrets."""
    asked = call.asked(PageQuery)
    paging = Paging(call, "keys", asked)
    account, before = call.principal.account_id, paging.before(listed_of)
    found = call.ports.access.keys(account, before=before, limit=asked.limit + 1)
    places = [listed_text(Listed(created_at=key.created_at, sid=key.key_id)) for key in found]
    return HTTPStatus.OK, paging.page([key_shape(key) for key in found], places)


def delete_key(call: Call, key_id: str) -> Answer:
    """Remove an access key; it opens nothing from now on. A key cannot remove itself."""
    key = call.ports.access.key(key_id)
    if key is None or key.account_id != call.principal.account_id:
        raise not_found("access key")
    remove_key(call.ports, key, by=call.actor)
    return HTTPStatus.OK, key_shape(key)


def get_app(call: Call) -> Answer:
    """What this service is, and that it is well (A1).

    That it answers means that its database does too: the key was looked up there.
    """
    deployment = call.deployment
    return HTTPStatus.OK, {
        "application": {
            "name": "ritornello",
            "version": __version__,
            "build": deployment.stage,
            "status": "running",
            "uptime": round(deployment.up_seconds),
        },
        "configuration": {"environment": deployment.environment},
        "last_updated": format_instant(call.ports.clock.now()),
    }
