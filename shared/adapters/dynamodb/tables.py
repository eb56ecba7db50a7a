"""The tables: their names, and the keys of every kind of item.

Every item has ``accountId`` and ``schema``. Source: docs/design.md section 2.
"""

from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

from msgspec import Struct

from shared.adapters.dynamodb.forms import instant_text, read_instant, to_text
from shared.application.ports import AuditPosition, PageKey
from shared.domain.calendar.dates import format_instant
from shared.domain.ids import AccountId, StrategySid
from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import Instance
from shared.domain.instance.phase import Phase
from shared.domain.instance.reason import Cause, StopReason

OWNER_SHARDS = 8
"""The number of partitions for the instances, and for the audit trail, of one account."""

_ONE_MILLISECOND = timedelta(milliseconds=1)

HEAD_KEY = "head"
FLAGS_KEY = "flags"

DUE = "due"
BY_STRATEGY = "byStrategy"
BY_OWNER = "byOwner"
BY_AGE = "byAge"
BY_ACCOUNT = "byAccount"
BY_PHASE = "byPhase"
BY_PROBLEM = "byProblem"
BY_REFERENCE = "byReference"
BY_ATTRIBUTE = ("byAttribute1", "byAttribute2", "byAttribute3")
"""One index for each searchable attribute of a strategy, in the order in which the strategy declares them."""
BY_TARGET = "byTarget"
BY_OPERATION = "byOperation"

OPERATIONS = "operations"
"""The partition of the due index of operations. One is enough, since there are few operations."""

EXPIRY = {
    "access": "expiresAt",
    "operations": "expiresAt",
    "events": "expiresAt",
    "audit": "expiresAt",
}
"""Tables with items that expire, and the attribute that holds the time of expiry in seconds since 1970."""


class Tables(Struct, frozen=True, kw_only=True):
    """The names of the tables in this deployment."""

    strategies: str = "strategies"
    instances: str = "instances"
    events: str = "events"
    operations: str = "operations"
    access: str = "access"
    audit: str = "audit"


class Layout(Struct, frozen=True, kw_only=True):
    """The key attributes of a table and of its indexes: the partition key, then the sort key if there is one."""

    key: tuple[str, ...]
    indexes: tuple[tuple[str, tuple[str, str]], ...] = ()


def attribute_key(number: int) -> str:
    """Return the attribute of an item that holds the text of its searchable attribute with that number, from 1."""
    return f"attribute{number}"


LAYOUTS = {
    "strategies": Layout(
        key=("sid", "sk"),
        indexes=((BY_OWNER, ("accountId", "folderName")), (BY_AGE, ("accountId", "createdSid"))),
    ),
    "instances": Layout(
        key=("sid",),
        indexes=(
            (DUE, ("sweepPartition", "sweepAt")),
            (BY_STRATEGY, ("strategyPhase", "createdSid")),
            (BY_OWNER, ("ownerShard", "createdSid")),
            (BY_PHASE, ("phaseShard", "phaseOrder")),
            (BY_PROBLEM, ("problemShard", "problemAt")),
            (BY_REFERENCE, ("referenceKey", "createdSid")),
            *((index, (attribute_key(n), "createdSid")) for n, index in enumerate(BY_ATTRIBUTE, start=1)),
        ),
    ),
    "events": Layout(key=("instanceSid", "sk"), indexes=((BY_ACCOUNT, ("accountMonth", "finishedAt")),)),
    "operations": Layout(
        key=("sid",),
        indexes=(
            (DUE, ("sweepPartition", "sweepAt")),
            (BY_AGE, ("accountId", "createdSid")),
        ),
    ),
    "access": Layout(key=("pk", "sk")),
    "audit": Layout(
        key=("accountDay", "sk"),
        indexes=((BY_TARGET, ("accountTarget", "sk")), (BY_OPERATION, ("accountOperation", "sk"))),
    ),
}
"""The layout of every table. All indexes are KEYS_ONLY, and all key attributes are texts."""


def table_definitions(tables: Tables) -> list[dict[str, Any]]:
    """Return the parameters of ``CreateTable`` for each table."""
    return [_definition(getattr(tables, name), LAYOUTS[name]) for name in tables.__struct_fields__]


_ANSWER = "answer#"


def journal_prefix(seq: int) -> str:
    """Return the prefix of the sort keys of an event's journal."""
    return f"s#{seq:08}#"


def journal_key(seq: int, run: int, visit: int) -> str:
    """Return the sort key of a journal entry. Entries sort by event, run and visit."""
    return f"{journal_prefix(seq)}{run:04}#{visit:04}"


def answer_item_key(seq: int, key: str) -> str:
    """Return the sort key of an answer to a call of an event. Answers sort after the event's journal."""
    return f"{journal_prefix(seq)}{_ANSWER}{key}"


def is_answer_key(sort_key: str) -> bool:
    """Return whether a sort key in the range of a journal is that of an answer."""
    return sort_key.split("#", 2)[2].startswith(_ANSWER)


_RECORD = "e#"


def record_key(seq: int) -> str:
    """Return the sort key of a closed event's record."""
    return f"{_RECORD}{seq:08}"


def is_record_key(sort_key: str) -> bool:
    """Return whether a sort key in the table of events is that of a record."""
    return sort_key.startswith(_RECORD)


def event_number(sort_key: str) -> int:
    """Return the number of the event that a record, a journal entry or an answer belongs to."""
    return int(sort_key.split("#")[1])


_VERSION = "v#"


def version_key(version: int) -> str:
    """Return the sort key of a version of a strategy. Versions sort by number."""
    return f"{_VERSION}{version:08}"


def is_version_key(key: str) -> bool:
    """Return whether a sort key in the table of strategies is that of a version."""
    return key.startswith(_VERSION)


LATEST_VERSION = 99_999_999


def version_number(key: str) -> int:
    """Return the number of the version with that sort key."""
    return int(key.partition("#")[2])


def name_key(account: AccountId, name: str) -> dict[str, str]:
    """Return the key under which a strategy's name is reserved."""
    return {"sid": f"account#{account}", "sk": f"name#{name}"}


def head_key(sid: StrategySid) -> dict[str, str]:
    """Return the key of a strategy's head."""
    return {"sid": sid, "sk": HEAD_KEY}


def flags_key(account: AccountId) -> dict[str, str]:
    """Return the key of an account's flags."""
    return {"pk": f"account#{account}", "sk": FLAGS_KEY}


def access_key(key_id: str) -> dict[str, str]:
    """Return the key of an access key's item."""
    return {"pk": f"key#{key_id}", "sk": "key"}


def webhook_key(account: AccountId) -> dict[str, str]:
    """Return the key of an account's webhook."""
    return {"pk": f"account#{account}", "sk": "webhook"}


def limit_key(account: AccountId, origin: str) -> dict[str, str]:
    """Return the key of the state of an origin's limit. Each has a partition of its own, since it is written often."""
    return {"pk": f"{LIMIT_KEY}{account}#{origin}", "sk": "limit"}


LIMIT_KEY = "limit#"
"""The prefix of the partitions of limits: the only ones of this table that the step runner may write."""

OWNED_KEY = "key#"
"""The prefix of the sort keys under which an account's access keys are listed."""


def session_key(token_hash: str) -> dict[str, str]:
    """Return the key of a session."""
    return {"pk": f"session#{token_hash}", "sk": "session"}


def owned_key(account: AccountId, place: PageKey) -> dict[str, str]:
    """Return the key under which an access key is listed for its account. The keys sort by age."""
    return {"pk": f"account#{account}", "sk": f"{OWNED_KEY}{place_text(place)}"}


def sweep_instant(at: datetime) -> str:
    """Return an instant as the due index sorts it: in milliseconds, rounded up."""
    whole = at.replace(microsecond=at.microsecond // 1000 * 1000)
    # An entry must not be due before its event.
    return format_instant(whole if whole == at else whole + _ONE_MILLISECOND)


LAST_OF_ALL = "\U0010ffff"
"""Sorts after every other text."""


def place_text(place: PageKey) -> str:
    """Return the sort key of a position in a list by age. It is unique."""
    return f"{instant_text(place.created_at)}#{place.sid}"


def place_of(text: str) -> PageKey:
    """Return the position with that sort key."""
    at, _, sid = text.partition("#")
    return PageKey(created_at=read_instant(at), sid=sid)


def audit_position_text(place: AuditPosition) -> str:
    """Return the sort key of an audit entry."""
    return f"{format_instant(place.at)}#{place.key}"


def audit_position_of(text: str) -> AuditPosition:
    """Return the position with that sort key."""
    at, _, key = text.partition("#")
    return AuditPosition(at=read_instant(at), key=key)


def owner_shard(account: AccountId, shard: int) -> str:
    """Return a partition of an account's index of instances."""
    return f"{account}#{shard % OWNER_SHARDS}"


def phase_shard(account: AccountId, phase: Phase, shard: int) -> str:
    """Return a partition of an account's instances in a phase."""
    return f"{account}#{phase.value}#{shard % OWNER_SHARDS}"


def phase_order(reason: StopReason, strategy: StrategySid, place: PageKey) -> str:
    """Return the sort key of an instance in its phase: by cause, detail, strategy, then age."""
    return f"{reason_prefix(reason)}{strategy}#{place_text(place)}"


def reason_prefix(reason: StopReason) -> str:
    """Return how the sort keys of all instances with exactly this reason begin."""
    return f"{cause_prefix(reason.cause)}{reason.detail or ''}#"


def cause_prefix(cause: Cause) -> str:
    """Return how the sort keys of all instances with a reason of this cause begin."""
    return f"{cause.value}:"


MAX_KEY_TEXT = 256
"""The longest text that is part of a key as it is. DynamoDB allows 2,048 bytes in all."""


def reference_key(account: AccountId, reference: str) -> str:
    """Return the partition of an account's instances with a reference."""
    return f"{account}#{reference}"


def reservation_key(instance: Instance) -> dict[str, str]:
    """Return the key under which an instance's reference is reserved within its strategy."""
    return {"sid": instance.strategy_sid, "sk": f"reference#{instance.origin.reference}"}


def attribute_value_key(account: AccountId, name: str, text: str) -> str:
    """Return the partition of an account's instances with a value of a searchable attribute."""
    short = text if len(text) <= MAX_KEY_TEXT else f"sha256:{sha256(text.encode()).hexdigest()}"
    return f"{account}#{to_text([name, short])}"


def strategy_phase(strategy: StrategySid, label: str) -> str:
    """Return the partition of a strategy's instances with a label (``list_label``)."""
    return f"{strategy}#{label}"


def account_month(account: AccountId, month: date, shard: int) -> str:
    """Return the partition of an account's records that closed in a month (UTC), for a shard of its instances."""
    return f"{account}#{month:%Y-%m}#{shard}"


def closed_at(at: datetime, status: EventStatus) -> str:
    """Return the sort key of a record in the list of its account: when its event closed, and with which status."""
    return f"{format_instant(at)}#{status.value}"


def closed_status(text: str) -> EventStatus:
    """Return the status in such a sort key."""
    return EventStatus(text.rpartition("#")[2])


def account_day(account: AccountId, at: datetime, shard: int) -> str:
    """Return a partition of an account's audit entries of one day (UTC)."""
    return f"{account}#{at.astimezone(UTC):%Y-%m-%d}#{shard % OWNER_SHARDS}"


def account_name(account: AccountId, name: str) -> str:
    """Return the partition of an account's audit entries with that target, or sent by that operation."""
    return f"{account}#{name}"


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
