"""Strategies on DynamoDB: a head, immutable versions with encrypted settings, names that are taken."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from shared.adapters.dynamodb.attributes import Attributes, AttributeValue, to_attributes
from shared.adapters.dynamodb.client import DynamoDbClient, failed_conditions
from shared.adapters.dynamodb.documents import HEAD
from shared.adapters.dynamodb.forms import from_text, to_text
from shared.adapters.dynamodb.items import item_of, read
from shared.adapters.dynamodb.tables import Tables, flags_key, head_key, name_key, version_key
from shared.application.ports import (
    NameTakenError,
    SealedSettings,
    Sealer,
    StaleRevError,
    UnknownStrategyError,
)
from shared.domain.definition import stored_definition
from shared.domain.errors import RitornelloError, StoredShapeError
from shared.domain.ids import AccountId, StrategySid
from shared.domain.instance import HeldBy
from shared.domain.strategy import Json, Strategy, StrategyHead

CACHED_VERSIONS = 64
"""So many versions, the ones used last, are kept read in a process."""

MOST_READINGS = 5
"""How often flags that DynamoDB leaves unread are asked for."""


class UnreadError(RitornelloError):
    """DynamoDB left items unread again and again; nothing is known of them."""

    code = "UNREAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDbStrategies:
    """A ``StrategyStore``. environment: of this deployment; it is no part of what is stored."""

    client: DynamoDbClient
    sealer: Sealer
    environment: str
    tables: Tables = field(default_factory=Tables)
    _cache: OrderedDict[tuple[StrategySid, int], Strategy] = field(default_factory=OrderedDict)

    def create(self, head: StrategyHead, settings: Mapping[str, Json]) -> None:
        version = self._version_item(head, settings)
        name = item_of(
            head.account_id, name_key(head.account_id, head.folder, head.name), strategySid=head.sid
        )
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
        except ClientError as error:
            if not any(failed_conditions(error)):
                raise
            self._recognise(head, error)

    def head(self, sid: StrategySid) -> StrategyHead | None:
        item = self._item(head_key(sid))
        return None if item is None else _head_of(item)

    def named(self, account: AccountId, name: str, *, folder: str = "/") -> StrategyHead | None:
        item = self._item(name_key(account, folder, name))
        return None if item is None else self.head(StrategySid(read(item, "strategySid")["strategySid"]))

    def load(self, sid: StrategySid, version: int) -> Strategy:
        strategy = self._cache.get((sid, version))
        if strategy is None:
            strategy = self._cache[sid, version] = self._loaded(sid, version)
            if len(self._cache) > CACHED_VERSIONS:
                self._cache.popitem(last=False)
        self._cache.move_to_end((sid, version))
        return strategy

    def held_by(self, account: AccountId, strategy: StrategySid) -> HeldBy | None:
        flags, head = self._flags_and_head(account, strategy)
        if flags is not None and read(flags, "queuePaused")["queuePaused"]:
            return HeldBy.QUEUE
        return HeldBy.STRATEGY if head is not None and _head_of(head).is_paused else None

    def _recognise(self, head: StrategyHead, error: ClientError) -> None:
        """Nothing, where a refused creation had already happened. Raises: NameTakenError, StaleRevError."""
        if self.head(head.sid) == head:
            return
        owner = self.named(head.account_id, head.name, folder=head.folder)
        if owner is not None and owner.sid != head.sid:
            raise NameTakenError from error
        raise StaleRevError from error

    def _loaded(self, sid: StrategySid, version: int) -> Strategy:
        item = self._item({"sid": sid, "sk": version_key(version)})
        if item is None:
            raise UnknownStrategyError(f"{sid} version {version}")
        found = read(item, "name", "settings")
        account = AccountId(found["accountId"])
        opened = self.sealer.open(_sealed_of(found["settings"]), context=_context(account, sid, version))
        return Strategy(
            sid=sid,
            account_id=account,
            name=found["name"],
            version=version,
            definition=stored_definition(from_text(opened.decode())),
            environment=self.environment,
        )

    def _version_item(self, head: StrategyHead, settings: Mapping[str, Json]) -> Attributes:
        context = _context(head.account_id, head.sid, head.version)
        sealed = self.sealer.seal(to_text(settings).encode(), context=context)
        return item_of(
            head.account_id,
            {"sid": head.sid, "sk": version_key(head.version)},
            name=head.name,
            settings={
                "iv": sealed.iv,
                "hash": sealed.hash,
                "encryptedText": sealed.encrypted_text,
                "key": sealed.key,
            },
        )

    def _item(self, key: Mapping[str, str]) -> Mapping[str, AttributeValue] | None:
        found: Mapping[str, AttributeValue] | None = self.client.get_item(
            TableName=self.tables.strategies, Key=to_attributes(key), ConsistentRead=True
        ).get("Item")
        return found

    def _flags_and_head(
        self, account: AccountId, strategy: StrategySid
    ) -> tuple[Mapping[str, AttributeValue] | None, Mapping[str, AttributeValue] | None]:
        """Both flags in one strongly consistent read. Raises: UnreadError."""
        asked: Mapping[str, Mapping[str, Any]] = {
            self.tables.access: {"Keys": [to_attributes(flags_key(account))], "ConsistentRead": True},
            self.tables.strategies: {"Keys": [to_attributes(head_key(strategy))], "ConsistentRead": True},
        }
        found: dict[str, Mapping[str, AttributeValue]] = {}
        for _ in range(MOST_READINGS):
            answer = self.client.batch_get_item(RequestItems=asked)
            found |= {table: items[0] for table, items in answer["Responses"].items() if items}
            asked = answer.get("UnprocessedKeys", {})
            if not asked:
                return found.get(self.tables.access), found.get(self.tables.strategies)
        raise UnreadError(f"left unread {MOST_READINGS} times: {', '.join(sorted(asked))}")


def _context(account: AccountId, sid: StrategySid, version: int) -> str:
    """What settings belong to; they open nowhere else."""
    return json.dumps([account, sid, version])


def _head_item(head: StrategyHead) -> Attributes:
    return item_of(
        head.account_id,
        head_key(head.sid),
        folderName=f"{head.folder}#{head.name}",
        version=head.version,
        paused=head.is_paused,
        doc=to_text(HEAD.write(head)),
    )


def _head_of(item: Mapping[str, AttributeValue]) -> StrategyHead:
    found = read(item, "sid", "version", "paused", "doc")
    return HEAD.read(
        from_text(found["doc"]),
        sid=found["sid"],
        account_id=found["accountId"],
        version=found["version"],
        is_paused=found["paused"],
    )


def _sealed_of(settings: object) -> SealedSettings:
    match settings:
        case {"iv": str(iv), "hash": str(hash_), "encryptedText": str(text), "key": str() | None as key}:
            return SealedSettings(iv=iv, hash=hash_, encrypted_text=text, key=key)
        case _:
            raise StoredShapeError("settings are not sealed as they should be")
