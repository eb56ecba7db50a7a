"""Strategies on DynamoDB: a head, immutable versions with encrypted settings, and reserved names."""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from threading import Lock
from typing import Any

from msgspec import Struct, field

from shared.adapters.aws.errors import AwsError
from shared.adapters.dynamodb.attributes import Attributes, to_attributes
from shared.adapters.dynamodb.client import DynamoDbClient, failed_conditions
from shared.adapters.dynamodb.documents import HEAD, VERSION
from shared.adapters.dynamodb.forms import from_text, to_text
from shared.adapters.dynamodb.items import (
    audit_item,
    item_of,
    read,
    read_each,
    release_job_item,
    sealed_member,
    sealed_of,
)
from shared.adapters.dynamodb.queue_flag import queue_flag_of
from shared.adapters.dynamodb.reading import Item, query_all, read_batch
from shared.adapters.dynamodb.tables import (
    BY_AGE,
    BY_OWNER,
    LAST_OF_ALL,
    LATEST_VERSION,
    Tables,
    flags_key,
    head_key,
    name_key,
    place_of,
    place_text,
    version_key,
    version_number,
)
from shared.application.ports import (
    FolderEntry,
    NameTakenError,
    PageKey,
    SavedSettings,
    SealedSettings,
    Sealer,
    StaleRevError,
    UnknownStrategyError,
    Unreadable,
)
from shared.domain.bulk.release import ReleaseJob
from shared.domain.errors import StoredShapeError
from shared.domain.ids import AccountId, StrategySid
from shared.domain.instance.flags import Flags
from shared.domain.instance.retention import Retention
from shared.domain.instance.verdict import AuditEntry
from shared.domain.strategy.flag import Flag
from shared.domain.strategy.model import Json, Strategy, StrategyHead, StrategyVersion
from shared.domain.strategy.parse import stored_definition

MAX_CACHED_VERSIONS = 64
"""How many versions a process keeps in its cache. The least recently used is evicted."""


class DynamoDbStrategies(Struct, frozen=True, kw_only=True):
    """A ``StrategyStore``. ``environment`` and ``horizon`` belong to the deployment and are not stored."""

    client: DynamoDbClient
    sealer: Sealer
    environment: str
    horizon: timedelta | None = None
    tables: Tables = field(default_factory=Tables)
    retention: Retention = field(default_factory=Retention)
    max_cached: int = MAX_CACHED_VERSIONS
    _cache: OrderedDict[tuple[StrategySid, int], Strategy] = field(default_factory=OrderedDict)
    # The sweeper loads strategies in several threads, and an entry may be evicted between two steps of another one.
    _lock: Lock = field(default_factory=Lock)

    def create(self, head: StrategyHead, settings: Mapping[str, Json], *, source: Json = None) -> None:
        version = self._version_item(head, settings, source, by=head.created_by)
        name = item_of(head.account_id, name_key(head.account_id, head.name), strategySid=head.sid)
        puts = [
            {
                "TableName": self.tables.strategies,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(sid)",
            }
            for item in (_head_item(head), version, name)
        ]
        try:
            self.client.transact_write_items(TransactItems=[{"Put": put} for put in puts])
        except AwsError as error:
            if not any(failed_conditions(error)):
                raise
            self._check_created(head, error)

    def replace(
        self,
        head: StrategyHead,
        settings: Mapping[str, Json],
        *,
        before: StrategyHead,
        audit: AuditEntry,
        source: Json = None,
    ) -> None:
        version = {
            "TableName": self.tables.strategies,
            "Item": self._version_item(head, settings, source, by=audit.by),
            "ConditionExpression": "attribute_not_exists(sid)",
        }
        self._exchange(head, before, audit, [{"Put": version}])

    def delete(self, head: StrategyHead, *, before: StrategyHead, audit: AuditEntry) -> None:
        name = {
            "TableName": self.tables.strategies,
            "Key": to_attributes(name_key(head.account_id, head.name)),
            "ConditionExpression": "strategySid = :sid",
            "ExpressionAttributeValues": to_attributes({":sid": head.sid}),
        }
        self._exchange(head, before, audit, [{"Delete": name}])

    def relabel(self, head: StrategyHead, *, before: StrategyHead, audit: AuditEntry) -> None:
        self._exchange(head, before, audit, [])

    def set_paused(
        self,
        head: StrategyHead,
        *,
        before: StrategyHead,
        audit: AuditEntry,
        release_jobs: Sequence[ReleaseJob] = (),
    ) -> None:
        begun = [
            {"Put": {"TableName": self.tables.operations, "Item": release_job_item(release_job)}}
            for release_job in release_jobs
        ]
        self._exchange(head, before, audit, begun)

    def head(self, sid: StrategySid) -> StrategyHead | None:
        item = self._item(head_key(sid))
        return None if item is None else head_of(item)

    def named(self, account: AccountId, name: str) -> StrategyHead | None:
        item = self._item(name_key(account, name))
        return None if item is None else self.head(StrategySid(read(item, "strategySid")["strategySid"]))

    def load(self, sid: StrategySid, version: int) -> Strategy:
        with self._lock:
            strategy = self._cache.get((sid, version))
        if strategy is None:
            # Outside the lock, so that threads can load several strategies at once. Two that load the same one get
            # equal values, since versions never change.
            strategy = self._loaded(sid, version)
        with self._lock:
            self._cache[sid, version] = strategy
            # The cache is sorted by last use.
            self._cache.move_to_end((sid, version))
            if len(self._cache) > self.max_cached:
                self._cache.popitem(last=False)
        return strategy

    def flags(self, account: AccountId, strategy: StrategySid) -> Flags:
        access, strategies = self.tables.access, self.tables.strategies
        keys = {
            access: [to_attributes(flags_key(account))],
            strategies: [to_attributes(head_key(strategy))],
        }
        found = read_batch(self.client, keys)
        queue = next((queue_flag_of(item) for item in found[access]), Flag())
        return Flags(queue=queue, strategy=next((head_of(item).flag for item in found[strategies]), Flag()))

    def settings(self, sid: StrategySid, version: int) -> SavedSettings:
        item = self._item({"sid": sid, "sk": version_key(version)})
        if item is None:
            raise UnknownStrategyError(f"{sid} version {version}")
        sealed = sealed_of(read(item, "settings")["settings"])
        plain, source = self._opened(item, sealed)
        return SavedSettings(version=version_of(item), plain=plain, sealed=sealed, source=source)

    def versions(
        self, sid: StrategySid, *, before: int | None, limit: int
    ) -> list[StrategyVersion | Unreadable[int]]:
        latest = LATEST_VERSION if before is None else before - 1
        items = query_all(
            self.client,
            most=limit,
            TableName=self.tables.strategies,
            KeyConditionExpression="sid = :sid AND sk BETWEEN :first AND :latest",
            ExpressionAttributeValues=to_attributes(
                {":sid": sid, ":first": version_key(0), ":latest": version_key(latest)}
            ),
            ExpressionAttributeNames={"#schema": "schema"},
            ProjectionExpression="sid, sk, accountId, #schema, doc",
            ScanIndexForward=False,
            ConsistentRead=True,
        )
        return read_each(items, version_of, lambda item: version_number(item["sk"]["S"]))

    def of_account(
        self, account: AccountId, *, before: PageKey | None, limit: int
    ) -> list[StrategyHead | Unreadable[PageKey]]:
        values = {":account": account} | ({} if before is None else {":before": place_text(before)})
        older = "" if before is None else " AND createdSid < :before"
        index_entries = query_all(
            self.client,
            most=limit,
            TableName=self.tables.strategies,
            IndexName=BY_AGE,
            KeyConditionExpression=f"accountId = :account{older}",
            ExpressionAttributeValues=to_attributes(values),
            ScanIndexForward=False,
        )
        keys = [{"sid": item["sid"], "sk": item["sk"]} for item in index_entries]
        items = read_batch(self.client, {self.tables.strategies: keys})[self.tables.strategies]
        # The item of a head that was deleted in the meantime is no longer in the index.
        indexed = [item for item in items if "createdSid" in item]
        heads = read_each(indexed, head_of, lambda item: place_of(item["createdSid"]["S"]))
        return sorted(heads, key=_place, reverse=True)

    def in_folder(self, account: AccountId, folder: str, *, after: str, limit: int) -> list[FolderEntry]:
        # Strategies of the folder itself sort before those of its subfolders.
        found: list[FolderEntry] = []
        for prefix in ("/",) if folder == "/" else (f"{folder}#", f"{folder}/"):
            values = {
                ":account": account,
                ":first": max(prefix, after),
                ":last": f"{prefix}{LAST_OF_ALL}",
            }
            if values[":first"] > values[":last"] or len(found) >= limit:
                continue
            items = query_all(
                self.client,
                most=limit + 1,  # BETWEEN includes ``after`` itself
                TableName=self.tables.strategies,
                IndexName=BY_OWNER,
                KeyConditionExpression="accountId = :account AND folderName BETWEEN :first AND :last",
                ExpressionAttributeValues=to_attributes(values),
            )
            places = [
                FolderEntry(sid=item["sid"]["S"], folder_name=item["folderName"]["S"]) for item in items
            ]
            found += [entry for entry in places if entry.folder_name > after]
        return found[:limit]

    def _exchange(
        self, head: StrategyHead, before: StrategyHead, audit: AuditEntry, beside: list[dict[str, Any]]
    ) -> None:
        """Replace the head if the stored head is still ``before``, together with the other writes.

        Raises: StaleRevError.
        """
        old = _head_item(before)
        put = {
            "TableName": self.tables.strategies,
            "Item": _head_item(head),
            # ``doc`` contains the fields that have no attribute of their own.
            "ConditionExpression": "version = :version AND paused = :paused AND doc = :doc",
            "ExpressionAttributeValues": {f":{name}": old[name] for name in ("version", "paused", "doc")},
        }
        audit_put = {"TableName": self.tables.audit, "Item": audit_item(audit, kept=self.retention.audit)}
        try:
            self.client.transact_write_items(TransactItems=[{"Put": put}, *beside, {"Put": audit_put}])
        except AwsError as error:
            if any(failed_conditions(error)):
                raise StaleRevError from error
            raise

    def _check_created(self, head: StrategyHead, error: AwsError) -> None:
        """Return if a refused creation had already been stored. Raises: NameTakenError, StaleRevError."""
        if self.head(head.sid) == head:
            return
        owner = self.named(head.account_id, head.name)
        if owner is not None and owner.sid != head.sid:
            raise NameTakenError from error
        raise StaleRevError from error

    def _loaded(self, sid: StrategySid, version: int) -> Strategy:
        item = self._item({"sid": sid, "sk": version_key(version)})
        if item is None:
            raise UnknownStrategyError(f"{sid} version {version}")
        found = read(item, "name", "settings")
        return Strategy(
            sid=sid,
            account_id=AccountId(found["accountId"]),
            name=found["name"],
            version=version,
            definition=stored_definition(self._opened(item, sealed_of(found["settings"]))[0]),
            environment=self.environment,
            horizon=self.horizon,
        )

    def _opened(self, item: Item, sealed: SealedSettings) -> tuple[Mapping[str, Json], Json]:
        """Return the settings of a version's item, and their source. Raises: SealBrokenError, StoredShapeError."""
        found = read(item, "sid", "sk")
        context = settings_context(AccountId(found["accountId"]), found["sid"], version_number(found["sk"]))
        kept = from_text(self.sealer.open(sealed, context=context).decode())
        # Settings have no members with these names, so the two forms cannot be confused.
        match kept:
            case {"settings": dict(settings), "source": source}:
                return settings, source
            case dict(settings):
                return settings, None
            case _:
                raise StoredShapeError("settings are not an object")

    def _version_item(
        self, head: StrategyHead, settings: Mapping[str, Json], source: Json, *, by: str | None
    ) -> Attributes:
        context = settings_context(head.account_id, head.sid, head.version)
        kept = settings if source is None else {"settings": settings, "source": source}
        sealed = self.sealer.seal(to_text(kept).encode(), context=context)
        version = StrategyVersion(
            sid=head.sid,
            version=head.version,
            description=head.description,
            created_at=head.updated_at,
            created_by=by,
        )
        return item_of(
            head.account_id,
            {"sid": head.sid, "sk": version_key(head.version)},
            name=head.name,
            doc=to_text(VERSION.write(version)),
            settings=sealed_member(sealed),
        )

    def _item(self, key: Mapping[str, str]) -> Item | None:
        found: Item | None = self.client.get_item(
            TableName=self.tables.strategies, Key=to_attributes(key), ConsistentRead=True
        ).get("Item")
        return found


def settings_context(account: AccountId, sid: StrategySid, version: int) -> str:
    """Return the encryption context of settings. They decrypt with no other."""
    return json.dumps([account, sid, version])


def _head_item(head: StrategyHead) -> Attributes:
    """Return the item of a head. A deleted strategy is not in the indexes."""
    index_entries = {"folderName": f"{head.folder}#{head.name}", "createdSid": place_text(_place(head))}
    return item_of(
        head.account_id,
        head_key(head.sid),
        version=head.version,
        paused=head.is_paused,
        doc=to_text(HEAD.write(head)),
        **(index_entries if head.deleted_at is None else {}),
    )


def _place(head: StrategyHead | Unreadable[PageKey]) -> PageKey:
    if isinstance(head, Unreadable):
        return head.key
    return PageKey(created_at=head.created_at, sid=head.sid)


def version_of(item: Item) -> StrategyVersion:
    """Return the facts about the version of an item, without its settings."""
    found = read(item, "sid", "sk", "doc")
    return VERSION.read(from_text(found["doc"]), sid=found["sid"], version=version_number(found["sk"]))


def head_of(item: Item) -> StrategyHead:
    """Return the head of an item."""
    found = read(item, "sid", "version", "paused", "doc")
    return HEAD.read(
        from_text(found["doc"]),
        sid=found["sid"],
        account_id=found["accountId"],
        version=found["version"],
        is_paused=found["paused"],
    )
