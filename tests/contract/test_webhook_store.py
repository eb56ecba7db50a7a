"""The contract of a ``WebhookStore``, on every engine."""

import pytest
from msgspec.structs import replace

from shared.application.ports import StaleRevError
from shared.domain.ids import AccountId
from tests import full
from tests.engines import Stores

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = replace(full.AUDIT, command="set-webhook", event=None)


class TestAWebhook:
    """An account has one webhook, or none."""

    def test_an_account_without_one_has_none(self, stores: Stores) -> None:
        assert stores.webhooks.find(full.ACCOUNT) is None
        assert stores.webhooks.find_with_secret(full.ACCOUNT) is None

    def test_every_field_and_the_secret_survive(self, stores: Stores) -> None:
        stores.webhooks.put(full.WEBHOOK, secret=SECRET, audit=full.AUDIT)

        assert stores.webhooks.find(full.ACCOUNT) == full.WEBHOOK
        assert stores.webhooks.find_with_secret(full.ACCOUNT) == (full.WEBHOOK, SECRET)
        assert stores.webhooks.find(AccountId("another")) is None
        assert stores.audits() == [full.AUDIT]

    def test_a_webhook_is_replaced_with_its_secret(self, stores: Stores) -> None:
        stores.webhooks.put(full.WEBHOOK, secret=SECRET, audit=full.AUDIT)
        after = replace(full.WEBHOOK, url="https://example.com", kinds=())
        stores.webhooks.put(after, secret="whsec_other", audit=OTHER)

        assert stores.webhooks.find_with_secret(full.ACCOUNT) == (after, "whsec_other")

    def test_without_a_secret_the_old_one_stays(self, stores: Stores) -> None:
        stores.webhooks.put(full.WEBHOOK, secret=SECRET, audit=full.AUDIT)
        after = replace(full.WEBHOOK, url="https://example.com")
        stores.webhooks.put(after, secret=None, audit=OTHER)

        assert stores.webhooks.find_with_secret(full.ACCOUNT) == (after, SECRET)
        assert len(stores.audits()) == 2

    def test_without_a_secret_there_must_be_one(self, stores: Stores) -> None:
        with pytest.raises(StaleRevError):
            stores.webhooks.put(full.WEBHOOK, secret=None, audit=full.AUDIT)

        assert stores.webhooks.find(full.ACCOUNT) is None
        assert stores.audits() == []

    def test_a_webhook_is_removed_and_removing_it_again_changes_nothing(self, stores: Stores) -> None:
        stores.webhooks.put(full.WEBHOOK, secret=SECRET, audit=full.AUDIT)
        for _ in range(2):
            stores.webhooks.remove(full.ACCOUNT, audit=OTHER)

        assert stores.webhooks.find_with_secret(full.ACCOUNT) is None

    def test_a_webhook_is_no_access_key(self, stores: Stores) -> None:
        """Both are items of the account."""
        stores.webhooks.put(full.WEBHOOK, secret=SECRET, audit=full.AUDIT)

        assert stores.access.keys(full.ACCOUNT, before=None, limit=9) == []
        assert not stores.access.queue_flag(full.ACCOUNT).is_paused
