"""Setting an account's webhook, and delivering to it. Source: docs/events.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dev.memory.publishing import THROTTLED, MemoryBus, MemoryDeliveries, MemoryPublishing
from dev.memory.stores import MemoryWebhooks
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.commit import ContentionError
from shared.application.ports import StaleRevError
from shared.application.publish import Refusal, publish
from shared.application.webhooks import (
    Delivered,
    Delivery,
    Dropped,
    NotDelivered,
    WebhookReply,
    deliver,
    remove_webhook,
    set_webhook,
)
from shared.domain.errors import InvalidInputError, StoredShapeError
from shared.domain.ids import AccountId
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.verdict import Actor, AuditEntry
from shared.domain.notifications.model import NotificationKind
from shared.domain.notifications.webhook import Webhook, signing_key
from shared.domain.steps.call import (
    AddressRefused,
    Answered,
    CallOutcome,
    ServiceRequest,
    TimedOut,
    Unreachable,
)
from tests.application.test_publish import BEN, closed, created, paused, record
from tests.factories import NOON

ANN = Actor(name="key-1", reason="new hook")
ACCOUNT = AccountId("account")
URL = "https://hooks.example.com/it"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Nothing:
    def call(self, _: ServiceRequest) -> CallOutcome:
        raise AssertionError


@pytest.fixture
def ports() -> MemoryPorts:
    return MemoryPorts(caller=Nothing(), clock=ManualClock(NOON))


def put(ports: MemoryPorts, **members: Any) -> tuple[Webhook, str | None]:
    return set_webhook(ports, ACCOUNT, **{"url": URL, "kinds": (), "secret": None, "by": ANN, **members})


class TestSetting:
    """An account has one webhook. Its secret is shown once, and stays when the webhook is set again without one."""

    def test_a_new_webhook_gets_a_secret(self, ports: MemoryPorts) -> None:
        webhook, secret = put(ports)

        assert webhook == Webhook(account_id=ACCOUNT, url=URL, updated_at=NOON, updated_by="key-1")
        assert secret is not None
        assert signing_key(secret) is not None
        assert ports.webhooks.webhooks == {ACCOUNT: (webhook, secret)}

    def test_a_secret_that_is_sent_is_not_shown(self, ports: MemoryPorts) -> None:
        assert put(ports, secret=SECRET)[1] is None
        assert ports.webhooks.webhooks[ACCOUNT][1] == SECRET

    def test_a_webhook_that_is_set_again_keeps_its_secret(self, ports: MemoryPorts) -> None:
        put(ports, secret=SECRET)

        webhook, shown = put(ports, url="https://example.com", kinds=[NotificationKind.EVENT_FAILED])

        assert shown is None
        assert ports.webhooks.webhooks == {ACCOUNT: (webhook, SECRET)}
        assert webhook.kinds == (NotificationKind.EVENT_FAILED,)

    def test_the_change_is_audited_without_the_url(self, ports: MemoryPorts) -> None:
        put(ports)
        put(ports, url="https://example.com")
        remove_webhook(ports, ACCOUNT, by=ANN)
        remove_webhook(ports, ACCOUNT, by=ANN)

        found = [(e.target, e.command, e.from_state, e.to_state, e.reason) for e in ports.webhooks.audit]
        assert found == [
            ("webhook", "set-webhook", None, "set", "new hook"),
            ("webhook", "set-webhook", "set", "set", "new hook"),
            ("webhook", "remove-webhook", "set", None, "new hook"),
        ]
        assert ports.webhooks.webhooks == {}

    @pytest.mark.parametrize(
        ("members", "pointers"),
        [
            ({"url": "ftp://example.com"}, ["/url"]),
            ({"url": "https://user:secret@example.com/"}, ["/url"]),
            ({"url": "https:///path"}, ["/url"]),
            ({"url": "https://example.com/#part"}, ["/url"]),
            ({"secret": "whsec_short"}, ["/secret"]),
            ({"url": "", "secret": "x"}, ["/url", "/secret"]),
        ],
    )
    def test_an_invalid_webhook_is_refused(
        self, ports: MemoryPorts, members: dict[str, str], pointers: list[str]
    ) -> None:
        with pytest.raises(InvalidInputError) as refused:
            put(ports, **members)

        assert [problem.pointer for problem in refused.value.problems] == pointers
        assert ports.webhooks.webhooks == {}

    def test_a_query_is_allowed(self, ports: MemoryPorts) -> None:
        assert put(ports, url=f"{URL}?token=5")[0].url.endswith("?token=5")

    def test_a_webhook_that_is_removed_meanwhile_gets_a_new_secret(self) -> None:
        class Racing(MemoryWebhooks):
            def put(self, webhook: Webhook, *, secret: str | None, audit: AuditEntry) -> None:
                if secret is None:
                    self.webhooks.clear()
                MemoryWebhooks.put(self, webhook, secret=secret, audit=audit)

        ports = MemoryPorts(caller=Nothing(), clock=ManualClock(NOON), webhooks=Racing())
        put(ports, secret=SECRET)

        assert put(ports)[1] is not None

    def test_a_webhook_that_always_loses_its_race_is_refused(self) -> None:
        class Losing(MemoryWebhooks):
            def put(self, *_: object, **__: object) -> None:
                raise StaleRevError

        with pytest.raises(ContentionError):
            put(MemoryPorts(caller=Nothing(), clock=ManualClock(NOON), webhooks=Losing()))


class TestPublishing:
    """The publisher sends notifications to the bus, and queues those whose kinds the account's webhook takes."""

    @staticmethod
    def publishing(*kinds: NotificationKind) -> MemoryPublishing:
        ports = MemoryPublishing()
        webhook = Webhook(account_id=ACCOUNT, url=URL, updated_at=NOON, updated_by="key-1", kinds=kinds)
        ports.store.webhooks[ACCOUNT] = (webhook, SECRET)
        return ports

    @staticmethod
    def queued(ports: MemoryPublishing) -> list[Any]:
        return [delivery.message["id"] for delivery in ports.deliveries.queued]

    def test_an_account_without_a_webhook_queues_nothing(self) -> None:
        ports = MemoryPublishing()
        publish(ports, [record(1, created())])

        assert self.queued(ports) == []

    def test_every_notification_is_queued(self) -> None:
        ports = self.publishing()
        publish(ports, [record(1, created()), record(2, paused())])

        assert self.queued(ports) == ["i-1-instance.created", "i-2-instance.paused"]
        assert [delivery.account_id for delivery in ports.deliveries.queued] == [ACCOUNT] * 2

    def test_only_the_kinds_of_the_webhook_are_queued(self) -> None:
        ports = self.publishing(NotificationKind.INSTANCE_PAUSED)
        publish(ports, [record(1, created()), record(2, paused())])

        assert self.queued(ports) == ["i-2-instance.paused"]
        assert len(ports.bus.sent) == 2

    def test_messages_that_the_queue_does_not_accept_are_repeated(self) -> None:
        ports = self.publishing()
        ports.deliveries = MemoryDeliveries(refuses={NotificationKind.INSTANCE_PAUSED: THROTTLED})

        report = publish(ports, [record(1, created()), record(2, paused())])

        assert (report.repeat_from, report.refused) == ("2", (THROTTLED.code,))

    def test_a_message_that_the_bus_refuses_for_its_content_is_queued_nevertheless(self) -> None:
        ports = self.publishing()
        malformed = Refusal(code="events:MalformedDetail", is_final=True)
        ports.bus = MemoryBus(refuses={NotificationKind.INSTANCE_PAUSED: malformed})

        publish(ports, [record(1, created()), record(2, paused())])

        assert self.queued(ports) == ["i-1-instance.created", "i-2-instance.paused"]

    def test_a_message_that_the_queue_refuses_for_its_content_is_set_aside(self) -> None:
        ports = self.publishing()
        refusal = Refusal(code="sqs:InvalidMessageContents", is_final=True)
        ports.deliveries = MemoryDeliveries(refuses={NotificationKind.INSTANCE_CREATED: refusal})

        report = publish(ports, [record(1, created()), record(2, paused())])

        assert report.repeat_from is None
        assert set(ports.unreadable.records) == {"1"}
        assert self.queued(ports) == ["i-2-instance.paused"]

    def test_a_message_is_queued_once_the_bus_accepts_it(self) -> None:
        ports = self.publishing()
        ports.bus = MemoryBus(refuses={NotificationKind.INSTANCE_PAUSED: THROTTLED})
        batch = [record(1, created()), record(2, paused()), record(3, created(BEN))]

        for _ in range(3):
            assert publish(ports, batch[1:] if self.queued(ports) else batch).repeat_from == "2"
            assert self.queued(ports) == ["i-1-instance.created"]

        ports.bus.refuses.clear()
        publish(ports, batch[1:])
        assert self.queued(ports) == ["i-1-instance.created", "i-2-instance.paused", "j-1-instance.created"]

    def test_a_record_that_is_repeated_for_its_second_notification_is_queued_once(self) -> None:
        ports = self.publishing()
        ports.bus = MemoryBus(refuses={NotificationKind.INSTANCE_PAUSED: THROTTLED})
        write = closed()
        batch = [record(1, replace(write, after=replace(write.after, status=InstanceStatus.PAUSED)))]

        publish(ports, batch)
        assert len(ports.bus.sent) == 1
        assert self.queued(ports) == []

        ports.bus.refuses.clear()
        publish(ports, batch)
        assert self.queued(ports) == ["i-3-3-event.failed", "i-3-instance.paused"]

    def test_a_webhook_is_known_within_a_minute(self) -> None:
        ports = MemoryPublishing()
        publish(ports, [record(1, created())])
        ports.store.webhooks = self.publishing().store.webhooks

        ports.clock.at += timedelta(seconds=59)
        publish(ports, [record(2, created())])
        assert self.queued(ports) == []

        ports.clock.at += timedelta(seconds=1)
        publish(ports, [record(3, created())])
        assert self.queued(ports) == ["i-1-instance.created"]

    def test_a_webhook_that_cannot_be_read_queues_everything(self) -> None:
        class Broken(MemoryWebhooks):
            def find(self, _: AccountId) -> Webhook | None:
                raise StoredShapeError("schema 9")

        ports = MemoryPublishing(store=Broken())
        publish(ports, [record(1, created())])

        assert self.queued(ports) == ["i-1-instance.created"]


@dataclass
class Hook:
    """A caller of webhooks that returns ``reply``."""

    reply: WebhookReply
    calls: list[tuple[str, Any, bytes, datetime]] = field(default_factory=list)

    def post(self, url: str, message: Mapping[str, Any], *, key: bytes, at: datetime) -> WebhookReply:
        self.calls.append((url, message["id"], key, at))
        return self.reply


@dataclass
class Sender:
    webhook_caller: Hook
    webhooks: MemoryWebhooks
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))


MESSAGE = {"id": "i-2-instance.paused", "kind": "instance.paused"}


def sender(status: int = 204, *, reply: WebhookReply | None = None, **members: Any) -> Sender:
    webhook = Webhook(account_id=ACCOUNT, url=URL, updated_at=NOON, updated_by="key-1")
    stored = {ACCOUNT: (replace(webhook, **members), SECRET)}
    return Sender(Hook(reply or Answered(status=status)), MemoryWebhooks(webhooks=stored))


class TestDelivering:
    """A 2xx is success; anything else is repeated until the attempts are used up."""

    DELIVERY = Delivery(account_id=ACCOUNT, message=MESSAGE)

    @pytest.mark.parametrize("status", [200, 202, 204, 299])
    def test_a_2xx_is_success(self, status: int) -> None:
        ports = sender(status)

        assert deliver(ports, self.DELIVERY, attempt=1) == Delivered()
        assert ports.webhook_caller.calls == [(URL, MESSAGE["id"], signing_key(SECRET), NOON)]

    @pytest.mark.parametrize("status", [301, 400, 410, 429, 500])
    def test_any_other_status_is_repeated(self, status: int) -> None:
        outcome = deliver(sender(status), self.DELIVERY, attempt=2)

        assert outcome == NotDelivered(f"the webhook returned HTTP {status}", timedelta(minutes=1))

    @pytest.mark.parametrize(
        "reply", [TimedOut(why="late"), Unreachable(why="late"), AddressRefused(why="late")]
    )
    def test_no_answer_is_repeated(self, reply: WebhookReply) -> None:
        outcome = deliver(sender(reply=reply), self.DELIVERY, attempt=1)

        assert outcome == NotDelivered("late", timedelta(seconds=10))

    def test_after_the_tenth_failure_no_attempt_follows(self) -> None:
        assert deliver(sender(500), self.DELIVERY, attempt=10) == NotDelivered(
            "the webhook returned HTTP 500", None
        )

    def test_without_a_webhook_the_message_is_dropped(self) -> None:
        ports = Sender(Hook(Answered(status=200)), MemoryWebhooks())

        assert deliver(ports, self.DELIVERY, attempt=1) == Dropped()

    def test_a_kind_that_is_no_longer_taken_is_dropped(self) -> None:
        ports = sender(kinds=(NotificationKind.EVENT_FAILED,))

        assert deliver(ports, self.DELIVERY, attempt=1) == Dropped()
        assert ports.webhook_caller.calls == []

    def test_a_secret_of_another_form_is_an_error(self) -> None:
        ports = sender()
        ports.webhooks.webhooks[ACCOUNT] = (ports.webhooks.webhooks[ACCOUNT][0], "plain")

        with pytest.raises(StoredShapeError):
            deliver(ports, self.DELIVERY, attempt=1)
