"""The webhook of an account, and the delivery of notifications to it.

Source: docs/events.md; docs/decisions/0041-webhooks-are-signed-and-guarded.md.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, Protocol, assert_never

from msgspec import Struct, field

from shared.application.commit import MAX_RACES, ContentionError
from shared.application.ports import Clock, Ports, StaleRevError, WebhookStore
from shared.domain.errors import InvalidInputError, Problem, StoredShapeError
from shared.domain.ids import AccountId
from shared.domain.instance.verdict import Actor, audit_entry
from shared.domain.notifications.model import Notification, NotificationKind
from shared.domain.notifications.webhook import Webhook, new_secret, retry_delay, signing_key
from shared.domain.steps.call import AddressRefused, Answered, TimedOut, Unreachable
from shared.domain.strategy.model import Json
from shared.domain.strategy.parse_services import why_no_url

CACHED: Final = timedelta(minutes=1)
"""How long it is remembered whether an account has a webhook."""

_SET: Final = "set"


def set_webhook(
    ports: Ports,
    account: AccountId,
    url: str,
    *,
    kinds: Sequence[NotificationKind],
    secret: str | None,
    by: Actor,
) -> tuple[Webhook, str | None]:
    """Store the webhook of an account. Return it with its secret if that was made now, to show once.

    Without ``secret``, an account that has a webhook keeps its secret, and any other gets a new one.
    Raises: InvalidInputError; ContentionError: nothing was changed.
    """
    problems = [Problem(pointer="/url", rule="url", message=why) for why in why_no_url(url, query=True)][:1]
    if secret is not None and signing_key(secret) is None:
        why = "must be whsec_ and 24 to 64 bytes in base64"
        problems.append(Problem(pointer="/secret", rule="secret", message=why))
    if problems:
        raise InvalidInputError(problems)
    for _ in range(MAX_RACES):
        now, before = ports.clock.now(), ports.webhooks.find(account)
        made = new_secret(ports.ids.secret()) if secret is None and before is None else None
        webhook = Webhook(account_id=account, url=url, kinds=tuple(kinds), updated_at=now, updated_by=by.name)
        # The URL may contain a token, so it is not audited.
        states = (None if before is None else _SET, _SET)
        audit = audit_entry(account, "webhook", "set-webhook", by=by, now=now, states=states)
        try:
            ports.webhooks.put(webhook, secret=secret or made, audit=audit)
        except StaleRevError:
            continue  # removed meanwhile, with the secret that was to stay
        return webhook, made
    raise ContentionError(f"the webhook of {account} changed {MAX_RACES} times during one command; repeat it")


def remove_webhook(ports: Ports, account: AccountId, *, by: Actor) -> None:
    """Remove the webhook of an account. Removing it again changes nothing."""
    if ports.webhooks.find(account) is None:
        return
    audit = audit_entry(
        account, "webhook", "remove-webhook", by=by, now=ports.clock.now(), states=(_SET, None)
    )
    ports.webhooks.remove(account, audit=audit)


class WebhookDirectory(Struct):
    """The webhooks of the accounts, remembered for a minute."""

    store: WebhookStore
    clock: Clock
    _known: dict[AccountId, tuple[datetime, Webhook | None]] = field(default_factory=dict)

    def takes(self, notification: Notification) -> bool:
        """Return whether the account's webhook takes a notification.

        Also return True if the webhook cannot be read: the sender, which cannot read it either, keeps the message.
        """
        account, now = notification.account_id, self.clock.now()
        until, webhook = self._known.get(account, (now, None))
        if until <= now:
            try:
                webhook = self.store.find(account)
            except StoredShapeError:
                return True
            self._known[account] = (now + CACHED, webhook)
        return webhook is not None and webhook.takes(notification.kind)


class Delivery(Struct, frozen=True, kw_only=True):
    """A notification on its way to a webhook. ``message`` is its JSON form."""

    account_id: AccountId
    message: Mapping[str, Json]


class Delivered(Struct, frozen=True):
    """The webhook has accepted the message."""


class Dropped(Struct, frozen=True):
    """The account has no webhook any more, or its webhook does not take the message."""


class NotDelivered(Struct, frozen=True):
    """The webhook has not accepted the message. ``retry_after`` is None if that was the last attempt."""

    why: str
    retry_after: timedelta | None


DeliveryOutcome = Delivered | Dropped | NotDelivered
"""The outcome of one attempt."""

WebhookReply = Answered | TimedOut | Unreachable | AddressRefused
"""The outcome of a call to a webhook."""


class WebhookCaller(Protocol):
    """Signed calls to webhooks, to public addresses only."""

    def post(self, url: str, message: Mapping[str, Json], *, key: bytes, at: datetime) -> WebhookReply:
        """Send a message, signed with ``key`` at an instant, once. It never raises for an error of the webhook."""


class SenderPorts(Protocol):
    """The ports that sending needs."""

    @property
    def webhooks(self) -> WebhookStore:
        """Webhooks and their secrets."""

    @property
    def webhook_caller(self) -> WebhookCaller:
        """Calls of webhooks."""

    @property
    def clock(self) -> Clock:
        """Time."""


def deliver(ports: SenderPorts, delivery: Delivery, *, attempt: int) -> DeliveryOutcome:
    """Send a notification to the account's webhook, the k-th time.

    URL and secret are read now, so that a corrected webhook gets the notifications that still wait.
    Raises: StoredShapeError, SealBrokenError, KeyRefusedError: the webhook cannot be read.
    """
    found = ports.webhooks.find_with_secret(delivery.account_id)
    if found is None:
        return Dropped()
    webhook, secret = found
    if not webhook.takes(str(delivery.message["kind"])):
        return Dropped()
    key = signing_key(secret)
    if key is None:
        raise StoredShapeError("the secret of a webhook has another form")
    reply = ports.webhook_caller.post(webhook.url, delivery.message, key=key, at=ports.clock.now())
    why = _why_not(reply)
    return Delivered() if why is None else NotDelivered(why, retry_delay(attempt))


def _why_not(reply: WebhookReply) -> str | None:
    """Return why a call was no success, or None if it was."""
    match reply:
        case Answered(status=status):
            is_success = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
            return None if is_success else f"the webhook returned HTTP {status}"
        case TimedOut(why=why) | Unreachable(why=why) | AddressRefused(why=why):
            return why
        case _:
            assert_never(reply)
