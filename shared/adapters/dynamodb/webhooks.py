"""Webhooks on DynamoDB: one item for each account, in the table of keys, with its secret encrypted."""

import json

from msgspec import Struct, field

from shared.adapters.aws.errors import AwsError
from shared.adapters.dynamodb.attributes import to_attributes
from shared.adapters.dynamodb.client import DynamoDbClient, failed_conditions
from shared.adapters.dynamodb.documents import WEBHOOK
from shared.adapters.dynamodb.forms import from_text, to_text
from shared.adapters.dynamodb.items import audit_item, item_of, read, sealed_member, sealed_of
from shared.adapters.dynamodb.reading import Item
from shared.adapters.dynamodb.tables import Tables, webhook_key
from shared.application.ports import Sealer, StaleRevError
from shared.domain.ids import AccountId
from shared.domain.instance.retention import Retention
from shared.domain.instance.verdict import AuditEntry
from shared.domain.notifications.webhook import Webhook


class DynamoDbWebhooks(Struct, frozen=True, kw_only=True):
    """A ``WebhookStore``."""

    client: DynamoDbClient
    sealer: Sealer
    tables: Tables = field(default_factory=Tables)
    retention: Retention = field(default_factory=Retention)

    def find(self, account: AccountId) -> Webhook | None:
        item = self._item(account)
        return None if item is None else _webhook_of(item)

    def find_with_secret(self, account: AccountId) -> tuple[Webhook, str] | None:
        item = self._item(account)
        if item is None:
            return None
        sealed = sealed_of(read(item, "secret")["secret"])
        return _webhook_of(item), self.sealer.open(sealed, context=webhook_context(account)).decode()

    def put(self, webhook: Webhook, *, secret: str | None, audit: AuditEntry) -> None:
        account, condition = webhook.account_id, {}
        if secret is None:
            before = self._item(account)
            if before is None:
                raise StaleRevError
            sealed = sealed_of(read(before, "secret")["secret"])
            # Else a secret that was changed in the meantime would be replaced by the one before it.
            condition = {
                "ConditionExpression": "doc = :doc AND secret = :secret",
                "ExpressionAttributeValues": {":doc": before["doc"], ":secret": before["secret"]},
            }
        else:
            sealed = self.sealer.seal(secret.encode(), context=webhook_context(account))
        item = item_of(
            account, webhook_key(account), doc=to_text(WEBHOOK.write(webhook)), secret=sealed_member(sealed)
        )
        put = {"Put": {"TableName": self.tables.access, "Item": item, **condition}}
        try:
            self.client.transact_write_items(TransactItems=[put, self._audit(audit)])
        except AwsError as error:
            if any(failed_conditions(error)):
                raise StaleRevError from error
            raise

    def remove(self, account: AccountId, *, audit: AuditEntry) -> None:
        key = to_attributes(webhook_key(account))
        delete = {"Delete": {"TableName": self.tables.access, "Key": key}}
        self.client.transact_write_items(TransactItems=[delete, self._audit(audit)])

    def _audit(self, audit: AuditEntry) -> dict[str, dict[str, object]]:
        return {"Put": {"TableName": self.tables.audit, "Item": audit_item(audit, kept=self.retention.audit)}}

    def _item(self, account: AccountId) -> Item | None:
        found: Item | None = self.client.get_item(
            TableName=self.tables.access, Key=to_attributes(webhook_key(account)), ConsistentRead=True
        ).get("Item")
        return found


def webhook_context(account: AccountId) -> str:
    """Return the encryption context of a secret. It decrypts with no other."""
    return json.dumps(["webhook", account])


def _webhook_of(item: Item) -> Webhook:
    found = read(item, "doc")
    return WEBHOOK.read(from_text(found["doc"]), account_id=found["accountId"])
