"""The tables: their names, their keys, and how the keys of each thing are made.

Every item carries ``accountId`` and ``schema``. Source: design section 2.
"""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.adapters.dynamodb.forms import instant_text
from shared.domain.dates import format_instant
from shared.domain.ids import AccountId, StrategySid
from shared.domain.instance import Instance, InstanceStatus

OWNER_SHARDS = 8
"""Over how many partitions the instances and the audit of one account are spread."""

_ONE_MILLISECOND = timedelta(milliseconds=1)

HEAD_KEY = "head"
FLAGS_KEY = "flags"

ATTENTION = "attention"
BY_STRATEGY = "byStrategy"
BY_OWNER = "byOwner"
BY_ACCOUNT = "byAccount"

EXPIRY = {"access": "expiresAt"}
"""Tables whose items may end by themselves, and the attribute that says when (seconds since 1970)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """What each table is called in this deployment."""

    strategies: str = "strategies"
    instances: str = "instances"
    events: str = "events"
    operations: str = "operations"
    access: str = "access"
    audit: str = "audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A table's own key and its indexes': partition and, where there is one, sort attribute."""

    key: tuple[str, ...]
    indexes: tuple[tuple[str, tuple[str, str]], ...] = ()


LAYOUTS = {
    "strategies": Layout(key=("sid", "sk"), indexes=((BY_OWNER, ("accountId", "folderName")),)),
    "instances": Layout(
        key=("sid",),
        indexes=(
            (ATTENTION, ("attentionPartition", "attentionAt")),
            (BY_STRATEGY, ("strategyStatus", "createdSid")),
            (BY_OWNER, ("ownerShard", "createdSid")),
        ),
    ),
    "events": Layout(key=("instanceSid", "sk"), indexes=((BY_ACCOUNT, ("accountMonth", "finishedAt")),)),
    "operations": Layout(key=("sid",), indexes=((ATTENTION, ("attentionPartition", "attentionAt")),)),
    "access": Layout(key=("pk", "sk")),
    "audit": Layout(key=("accountDay", "sk")),
}
"""How every table is keyed. All indexes hold keys only; all key attributes are texts."""


def table_definitions(tables: Tables) -> list[dict[str, Any]]:
    """What ``CreateTable`` is to be asked, for each table."""
    return [_definition(getattr(tables, field.name), LAYOUTS[field.name]) for field in fields(tables)]


def journal_prefix(seq: int) -> str:
    """What the sort keys of an event's journal begin with."""
    return f"s#{seq:08}#"


def journal_key(seq: int, run: int, visit: int) -> str:
    """The sort key of a journal entry; they sort by event, run and visit."""
    return f"{journal_prefix(seq)}{run:04}#{visit:04}"


def record_key(seq: int) -> str:
    """The sort key of a closed event's record."""
    return f"e#{seq:08}"


def version_key(version: int) -> str:
    """The sort key of a version of a strategy; they sort by number."""
    return f"v#{version:08}"


def name_key(account: AccountId, folder: str, name: str) -> dict[str, str]:
    """The key under which a strategy's name is reserved; no two pairs of folder and name share one."""
    return {"sid": f"account#{account}", "sk": f"name#{len(folder)}#{folder}#{name}"}


def head_key(sid: StrategySid) -> dict[str, str]:
    """The key of a strategy's head."""
    return {"sid": sid, "sk": HEAD_KEY}


def flags_key(account: AccountId) -> dict[str, str]:
    """The key of an account's flags."""
    return {"pk": f"account#{account}", "sk": FLAGS_KEY}


def access_key(key_id: str) -> dict[str, str]:
    """The key of an access key."""
    return {"pk": f"key#{key_id}", "sk": "key"}


def attention_instant(at: datetime) -> str:
    """An instant as the attention index sorts it: in milliseconds, never before the true one."""
    whole = at.replace(microsecond=at.microsecond // 1000 * 1000)
    return format_instant(whole if whole == at else whole + _ONE_MILLISECOND)


def created_sid(instance: Instance) -> str:
    """Where an instance stands among others by age; unique."""
    return f"{instant_text(instance.created_at)}#{instance.sid}"


def owner_shard(instance: Instance) -> str:
    """The partition of its account's index in which an instance stands."""
    return f"{instance.account_id}#{instance.shard % OWNER_SHARDS}"


def strategy_status(strategy: StrategySid, status: InstanceStatus) -> str:
    """The partition of the instances of a strategy that have a status."""
    return f"{strategy}#{status.value}"


def account_month(instance: Instance, finished_at: datetime) -> str:
    """The partition of its account's index in which a record of an instance stands."""
    return f"{instance.account_id}#{finished_at.astimezone(UTC):%Y-%m}#{instance.shard}"


def account_day(instance: Instance, at: datetime) -> str:
    """The partition of its account's audit in which an entry about an instance stands."""
    return f"{instance.account_id}#{at.astimezone(UTC):%Y-%m-%d}#{instance.shard % OWNER_SHARDS}"


def _definition(name: str, layout: Layout) -> dict[str, Any]:
    attributes = dict.fromkeys(layout.key + tuple(a for _, key in layout.indexes for a in key))
    definition: dict[str, Any] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": a, "AttributeType": "S"} for a in attributes],
        "KeySchema": _key_schema(layout.key),
    }
    if layout.indexes:
        definition["GlobalSecondaryIndexes"] = [
            {"IndexName": index, "KeySchema": _key_schema(key), "Projection": {"ProjectionType": "KEYS_ONLY"}}
            for index, key in layout.indexes
        ]
    return definition


def _key_schema(key: tuple[str, ...]) -> list[dict[str, str]]:
    kinds = ("HASH", "RANGE")
    return [{"AttributeName": a, "KeyType": kind} for a, kind in zip(key, kinds, strict=False)]
