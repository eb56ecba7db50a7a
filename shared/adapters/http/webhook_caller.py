"""Sends signed messages to webhooks, through the same guard as the calls of services.

Source: docs/events.md; docs/decisions/0041-webhooks-are-signed-and-guarded.md.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from shared.adapters.http.addresses import AddressGuard, Network
from shared.adapters.http.egress import Egress, Resolver, Seconds, system_resolver
from shared.adapters.http.exchange import MAX_BODY_BYTES, Reply, Sending, exchange, json_content
from shared.adapters.http.guarded_http import GuardedConnections
from shared.application.webhooks import WebhookReply
from shared.domain.notifications.webhook import signature_headers
from shared.domain.steps.call import Answered
from shared.domain.strategy.model import Json

TIMEOUT_SECONDS: Final = 10.0
"""How long a webhook may take, from the resolution of its name to the end of its answer."""


class HttpWebhookCaller:
    """A ``WebhookCaller``. The arguments are those of ``HttpServiceCaller``."""

    def __init__(
        self,
        *,
        seconds: Seconds,
        allowed: tuple[Network, ...] = (),
        ca_file: str | None = None,
        resolve: Resolver = system_resolver,
    ) -> None:
        self._connections = GuardedConnections(
            Egress(seconds, AddressGuard(allowed), resolve), max_body=MAX_BODY_BYTES, ca_file=ca_file
        )

    def post(self, url: str, message: Mapping[str, Json], *, key: bytes, at: datetime) -> WebhookReply:
        body = dict(message)
        # The signature is over the bytes that are sent.
        signed = signature_headers(key, message_id=str(message["id"]), at=at, body=json_content(body))
        sending = Sending(
            method="POST",
            url=url,
            headers={"Content-Type": "application/json", **signed},
            params={},
            body=body,
            seconds=TIMEOUT_SECONDS,
        )
        outcome = exchange(self._connections, sending)
        # Only the status counts.
        return Answered(status=outcome.status) if isinstance(outcome, Reply) else outcome

    def close(self) -> None:
        """Close the kept connections, as ``HttpServiceCaller.close`` does."""
        self._connections.close()
