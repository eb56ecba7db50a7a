"""Operations on an account: its queue, its access keys, its audit trail, and the service itself.

Source: docs/contracts/core.md, Q1 to Q3, A1 and section 5.
"""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from shared import __version__
from shared.api.core import answers
from shared.api.core.errors import bad_request
from shared.api.core.paging import Paging
from shared.api.core.render import audit_shape, key_shape, webhook_shape
from shared.api.core.schemas import AuditQuery, CreateKey, PageQuery, SetWebhook
from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.application.audit import Window, from_the_end, page_with_creation
from shared.application.flags import pause_queue, queue_state, resume_queue
from shared.application.keys import create_key, remove_key
from shared.application.ports import (
    PageKey,
    audit_position_of,
    audit_position_text,
    page_key_of,
    page_key_text,
)
from shared.application.webhooks import remove_webhook, set_webhook
from shared.domain.access import AccessKey, Role
from shared.domain.calendar.dates import format_instant
from shared.domain.errors import Problem
from shared.domain.notifications.webhook import Webhook

A_MONTH, A_YEAR = timedelta(days=30), timedelta(days=366)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def get_queue(request: Request) -> Answer[answers.QueueShape]:
    """Return the state of the account's queue: ``active`` or ``paused`` (Q1)."""
    return Answer(body={"status": queue_state(request.ports, request.principal.account_id)})


def delete_queue(request: Request) -> Answer[answers.EmptyShape]:
    """Pause the whole queue: no events start; events that run are completed (Q2)."""
    pause_queue(request.ports, request.principal.account_id, by=request.actor)
    return Answer(body={})


def post_queue(request: Request) -> Answer[answers.EmptyShape]:
    """Resume the whole queue: blocked events start, at a limited rate (Q3)."""
    resume_queue(request.ports, request.principal.account_id, by=request.actor)
    return Answer(body={})


def post_key(request: Request, body: CreateKey) -> Answer[answers.NewKeyShape]:
    """Create an access key of the account. Its token is in this answer only."""
    # The store keeps only a hash of the secret, so the token cannot be shown again.
    key, token = create_key(
        request.ports,
        request.hasher,
        request.principal.account_id,
        Role(body.role),
        description=body.description,
        by=request.actor,
    )
    return Answer(body={**key_shape(key), "token": token}, status=HTTPStatus.CREATED)


def list_keys(request: Request, query: PageQuery) -> Answer[answers.KeyPageShape]:
    """List the account's access keys, youngest first, without their secrets."""
    paging = Paging(request, "keys", query)
    account, before = request.principal.account_id, paging.before(page_key_of)
    # One more than the limit shows whether there is a next page.
    found = request.ports.access.keys(account, before=before, limit=query.limit + 1)
    page = paging.page(
        found,
        shape=key_shape,
        key=lambda key: PageKey(created_at=key.created_at, sid=key.key_id),
        text=page_key_text,
    )
    return Answer(body=page)


def delete_key(request: Request, key: AccessKey) -> Answer[answers.KeyShape]:
    """Remove an access key; it becomes invalid at once. A key cannot remove itself."""
    remove_key(request.ports, key, by=request.actor)
    return Answer(body=key_shape(key))


def get_webhook(_: Request, webhook: Webhook) -> Answer[answers.WebhookShape]:
    """Return the account's webhook, without its secret."""
    return Answer(body=webhook_shape(webhook))


def put_webhook(request: Request, body: SetWebhook) -> Answer[answers.WebhookShape]:
    """Set the account's webhook. If no secret is sent and there was none, this answer contains a new one, once."""
    webhook, secret = set_webhook(
        request.ports,
        request.principal.account_id,
        body.url,
        kinds=body.kinds or (),
        secret=body.secret,
        by=request.actor,
    )
    return Answer(body=webhook_shape(webhook, secret=secret))


def delete_webhook(request: Request) -> Answer[answers.EmptyShape]:
    """Remove the account's webhook. Messages that have not reached it are dropped."""
    remove_webhook(request.ports, request.principal.account_id, by=request.actor)
    return Answer(body={})


def list_audit(request: Request, query: AuditQuery) -> Answer[answers.AuditPageShape]:
    """List the audit trail, latest entry first. By default the list covers the last thirty days."""
    until = query.to or request.now
    since = query.from_ or max(until, EARLIEST + A_MONTH) - A_MONTH
    if not EARLIEST <= since <= until <= since + A_YEAR:
        message = "must not be before 2000, after `to`, or more than 366 days before `to`"
        raise bad_request([Problem(pointer="/from", rule="range", message=message)])
    paging = Paging(request, f"audit {query.from_} {query.to} {query.target}", query)
    before = paging.before(audit_position_of) or from_the_end(until)
    window = Window(account=request.principal.account_id, since=since, target=query.target)
    page = page_with_creation(request.ports, window, before=before, limit=query.limit)
    shapes = [audit_shape(entry) for entry in page.entries]
    after = None if page.after is None else audit_position_text(page.after)
    return Answer(body=paging.page_up_to(shapes, after, page.unreadable))


def get_app(request: Request) -> Answer[answers.AppShape]:
    """Return the service's version and state (A1).

    An answer also means that the database works, because the access key was read from it.
    """
    deployment = request.deployment
    shape: answers.AppShape = {
        "application": {
            "name": "ritornello",
            "version": __version__,
            "build": deployment.stage,
            "status": "running",
            "uptime": round(deployment.up_seconds),
        },
        "configuration": {"environment": deployment.environment},
        "last_updated": format_instant(request.now),
    }
    return Answer(body=shape)
