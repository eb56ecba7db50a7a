"""Access keys and the accounts' queue flags on DynamoDB."""

from dataclasses import dataclass, field

from shared.adapters.dynamodb.attributes import to_attributes
from shared.adapters.dynamodb.client import DynamoDbClient
from shared.adapters.dynamodb.documents import ACCESS_KEY
from shared.adapters.dynamodb.forms import from_text, to_text
from shared.adapters.dynamodb.items import item_of, read
from shared.adapters.dynamodb.tables import Tables, access_key, flags_key
from shared.domain.access import AccessKey
from shared.domain.ids import AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDbAccess:
    """An ``AccessStore``. Keys are read strongly: a new one works at once, a replaced one no longer."""

    client: DynamoDbClient
    tables: Tables = field(default_factory=Tables)

    def key(self, key_id: str) -> AccessKey | None:
        key = to_attributes(access_key(key_id))
        item = self.client.get_item(TableName=self.tables.access, Key=key, ConsistentRead=True).get("Item")
        if item is None:
            return None
        found = read(item, "doc")
        return ACCESS_KEY.read(from_text(found["doc"]), key_id=key_id, account_id=found["accountId"])

    def put_key(self, key: AccessKey) -> None:
        item = item_of(key.account_id, access_key(key.key_id), doc=to_text(ACCESS_KEY.write(key)))
        self.client.put_item(TableName=self.tables.access, Item=item)

    def set_queue_paused(self, account: AccountId, *, paused: bool) -> None:
        item = item_of(account, flags_key(account), queuePaused=paused)
        self.client.put_item(TableName=self.tables.access, Item=item)
