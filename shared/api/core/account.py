"""The operations on an account: its queue, its access keys, and the service itself.

Source: contracts/core.md, Q1 to Q3, A1 and section 5.
"""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from shared import __version__
from shared.api.core.call import Answer, Call
from shared.api.core.errors import bad_request, not_found
from shared.api.core.paging import Paging
from shared.api.core.render import audit_shape, key_shape
from shared.api.core.schemas import AuditQuery, CreateKey, PageQuery
from shared.api.http.cursor import listed_of, listed_text, noted_of, noted_text
from shared.application.audit import Window, audit_page, from_the_end
from shared.application.flags import pause_queue, queue_state, resume_queue
from shared.application.keys import create_key, remove_key
from shared.application.ports import Listed
from shared.domain.access import Role
from shared.domain.calendar.dates import format_instant
from shared.domain.errors import Problem

A_MONTH, A_YEAR = timedelta(days=30), timedelta(days=366)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


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


def list_audit(call: Call) -> Answer:
    """Who did what, when and why, latest first: of the last thirty days, unless told otherwise."""
    asked = call.asked(AuditQuery)
    until = asked.to or call.ports.clock.now()
    since = asked.from_ or max(until, EARLIEST + A_MONTH) - A_MONTH
    if not EARLIEST <= since <= until <= since + A_YEAR:
        message = "from must not be after to, nor a year before it; there is nothing before 2000"
        raise bad_request([Problem(pointer="/from", rule="range", message=message)])
    paging = Paging(call, f"audit {asked.from_} {asked.to} {asked.target}", asked)
    before = paging.before(noted_of) or from_the_end(until)
    window = Window(account=call.principal.account_id, since=since, target=asked.target)
    page = audit_page(call.ports, window, before=before, limit=asked.limit)
    shapes = [audit_shape(entry) for entry in page.entries]
    return HTTPStatus.OK, paging.page_up_to(shapes, None if page.after is None else noted_text(page.after))


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
