"""Access keys, sessions and the queue flags of accounts on DynamoDB."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from shared.adapters.aws.errors import AwsError
from shared.adapters.dynamodb.attributes import Attributes, to_attributes
from shared.adapters.dynamodb.client import DynamoDbClient, failed_conditions
from shared.adapters.dynamodb.documents import ACCESS_KEY
from shared.adapters.dynamodb.forms import from_text, to_text
from shared.adapters.dynamodb.items import (
    audit_item,
    item_of,
    read,
    read_each,
    release_job_item,
    session_item,
    session_of,
)
from shared.adapters.dynamodb.queue_flag import queue_flag_item, queue_flag_of
from shared.adapters.dynamodb.reading import Item, query_all, read_batch
from shared.adapters.dynamodb.tables import (
    OWNED_KEY,
    Tables,
    access_key,
    flags_key,
    owned_key,
    place_of,
    session_key,
)
from shared.application.ports import PageKey, Unreadable
from shared.domain.access import AccessKey, Session
from shared.domain.bulk.release import ReleaseJob
from shared.domain.ids import AccountId
from shared.domain.instance.retention import Retention
from shared.domain.instance.verdict import AuditEntry
from shared.domain.strategy.flag import Flag

_BEHIND_ALL = "~"
"""Sorts after every instant, since instants begin with a digit."""


class DynamoDbAccess(Struct, frozen=True, kw_only=True):
    """An ``AccessStore``.

    Reads of keys are strongly consistent: a new key works at once, a removed key no longer.

    Each key has a second item under its account, for the list of the account's keys.
    """

    client: DynamoDbClient
    tables: Tables = field(default_factory=Tables)
    retention: Retention = field(default_factory=Retention)

    def key(self, key_id: str) -> AccessKey | None:
        key = to_attributes(access_key(key_id))
        item = self.client.get_item(TableName=self.tables.access, Key=key, ConsistentRead=True).get("Item")
        return None if item is None else _key_of(item)

    def put_key(self, key: AccessKey, *, audit: AuditEntry | None = None) -> None:
        item = item_of(key.account_id, access_key(key.key_id), doc=to_text(ACCESS_KEY.write(key)))
        index_item = item_of(key.account_id, owned_key(key.account_id, _place(key)))
        self._write([self._put(item), self._put(index_item)], audit)

    def remove_key(self, key: AccessKey, *, audit: AuditEntry) -> None:
        keys = (access_key(key.key_id), owned_key(key.account_id, _place(key)))
        deletes = [{"Delete": {"TableName": self.tables.access, "Key": to_attributes(item)}} for item in keys]
        self._write(deletes, audit)

    def keys(
        self, account: AccountId, *, before: PageKey | None, limit: int
    ) -> list[AccessKey | Unreadable[PageKey]]:
        last = OWNED_KEY + _BEHIND_ALL if before is None else owned_key(account, before)["sk"]
        index_item = query_all(
            self.client,
            most=limit + 1,  # BETWEEN includes ``before`` itself
            TableName=self.tables.access,
            KeyConditionExpression="pk = :account AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues=to_attributes(
                {":account": flags_key(account)["pk"], ":first": OWNED_KEY, ":last": last}
            ),
            ScanIndexForward=False,
            ConsistentRead=True,
        )
        places = [place_of(item["sk"]["S"].removeprefix(OWNED_KEY)) for item in index_item]
        chosen = [place for place in places if before is None or place < before][:limit]
        keys = [to_attributes(access_key(place.sid)) for place in chosen]
        found = read_batch(self.client, {self.tables.access: keys})[self.tables.access]
        place_of_key = {access_key(place.sid)["pk"]: place for place in chosen}
        readings = read_each(found, _key_of, lambda item: place_of_key[item["pk"]["S"]])
        return sorted(readings, key=_place, reverse=True)

    def session(self, token_hash: str) -> Session | None:
        key = to_attributes(session_key(token_hash))
        item = self.client.get_item(TableName=self.tables.access, Key=key, ConsistentRead=True).get("Item")
        return None if item is None else session_of(item, token_hash)

    def open_session(self, session: Session) -> None:
        self.client.put_item(TableName=self.tables.access, Item=session_item(session))

    def extend_session(self, session: Session) -> None:
        try:
            self.client.put_item(
                TableName=self.tables.access,
                Item=session_item(session),
                ConditionExpression="attribute_exists(pk)",
            )
        except AwsError as error:
            # The session was closed in the meantime, and stays closed.
            if not any(failed_conditions(error)):
                raise

    def close_session(self, token_hash: str) -> None:
        key = to_attributes(session_key(token_hash))
        self.client.delete_item(TableName=self.tables.access, Key=key)

    def queue_flag(self, account: AccountId) -> Flag:
        key = to_attributes(flags_key(account))
        item = self.client.get_item(TableName=self.tables.access, Key=key, ConsistentRead=True).get("Item")
        return Flag() if item is None else queue_flag_of(item)

    def set_queue_flag(
        self,
        account: AccountId,
        flag: Flag,
        *,
        audit: AuditEntry | None = None,
        release_jobs: Sequence[ReleaseJob] = (),
    ) -> None:
        flags = self._put(queue_flag_item(account, flag))
        begun = [
            {"Put": {"TableName": self.tables.operations, "Item": release_job_item(release_job)}}
            for release_job in release_jobs
        ]
        self._write([flags, *begun], audit)

    def _put(self, item: Attributes) -> dict[str, Any]:
        return {"Put": {"TableName": self.tables.access, "Item": item}}

    def _write(self, writes: list[dict[str, Any]], audit: AuditEntry | None) -> None:
        """Write all of it, with the audit entry, or nothing."""
        audit_puts = (
            []
            if audit is None
            else [
                {
                    "Put": {
                        "TableName": self.tables.audit,
                        "Item": audit_item(audit, kept=self.retention.audit),
                    }
                }
            ]
        )
        self.client.transact_write_items(TransactItems=[*writes, *audit_puts])


def _key_of(item: Item) -> AccessKey:
    found = read(item, "pk", "doc")
    key_id = found["pk"].removeprefix(access_key("")["pk"])
    return ACCESS_KEY.read(from_text(found["doc"]), key_id=key_id, account_id=found["accountId"])


def _place(key: AccessKey | Unreadable[PageKey]) -> PageKey:
    if isinstance(key, Unreadable):
        return key.key
    return PageKey(created_at=key.created_at, sid=key.key_id)
