"""The items of the tables: keys, attributes for indexes, and one document with the rest.

Source: docs/design.md section 2.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from shared.adapters.dynamodb.attributes import Attributes, AttributeValue, from_attributes, to_attributes
from shared.adapters.dynamodb.bulk_documents import BULK
from shared.adapters.dynamodb.documents import (
    ANSWER,
    AUDIT,
    ENTRY,
    INSTANCE,
    READABLE,
    RECORD,
    RELEASE_JOB,
    SCHEMA,
    SESSION,
)
from shared.adapters.dynamodb.forms import from_text, to_text
from shared.adapters.dynamodb.tables import (
    EXPIRY,
    OPERATIONS,
    account_day,
    account_month,
    account_name,
    answer_item_key,
    attribute_key,
    attribute_value_key,
    audit_position_text,
    closed_at,
    event_number,
    is_answer_key,
    journal_key,
    owner_shard,
    phase_order,
    phase_shard,
    place_of,
    place_text,
    record_key,
    reference_key,
    session_key,
    strategy_phase,
    sweep_instant,
)
from shared.application.ports import AuditPosition, Operation, PageKey, SealedSettings, Unreadable
from shared.domain.access import Session
from shared.domain.bulk.operation import KEPT, BulkOperation
from shared.domain.bulk.release import ReleaseJob
from shared.domain.errors import StoredShapeError
from shared.domain.ids import AccountId
from shared.domain.instance.due import partition, sweep_at
from shared.domain.instance.journal import Answer, EventRecord, JournalEntry
from shared.domain.instance.lookup import searched_attributes
from shared.domain.instance.model import Instance
from shared.domain.instance.phase import list_label, reason_of, stored_phase
from shared.domain.instance.problems import problem_at
from shared.domain.instance.retention import expiry
from shared.domain.instance.verdict import AuditEntry

T = TypeVar("T")
K = TypeVar("K")

SESSION_KEPT = timedelta(days=1)
"""How long a session is kept after its end, so that an expired token can be distinguished from an unknown one."""

BULK_KIND = "bulk"
"""The kind of a bulk operation's item. The item of a release job has no kind."""


def item_of(account: AccountId, key: Mapping[str, str], **members: Any) -> Attributes:  # noqa: ANN401 - plain values
    """Return an item with the attributes that every item has."""
    return to_attributes({**key, "accountId": account, "schema": SCHEMA, **members})


def expiry_of(table: str, at: datetime | None) -> dict[str, int]:
    """Return the attribute by which DynamoDB deletes an item of a table at an instant; none if it is kept for good."""
    return {} if at is None else {EXPIRY[table]: int(at.timestamp())}


def read(item: Mapping[str, AttributeValue], *needed: str) -> dict[str, Any]:
    """Return the plain values of an item.

    Raises: StoredShapeError: another schema, or an attribute is missing.
    """
    found = from_attributes(item)
    if found.get("schema") not in READABLE:
        known = " or ".join(str(schema) for schema in READABLE)
        raise StoredShapeError(f"an item has schema {found.get('schema')!r} instead of {known}")
    missing = [name for name in ("accountId", *needed) if name not in found]
    if missing:
        raise StoredShapeError(f"an item has no {', '.join(missing)}")
    return found


def read_each(
    items: Iterable[Mapping[str, AttributeValue]],
    of: Callable[[Mapping[str, AttributeValue]], T],
    key: Callable[[Mapping[str, AttributeValue]], K],
) -> list[T | Unreadable[K]]:
    """Return the contents of the items, and for those that cannot be read their keys with the reason."""
    found: list[T | Unreadable[K]] = []
    for item in items:
        try:
            found.append(of(item))
        except StoredShapeError as error:
            # The account is an attribute of its own in every schema.
            account = item.get("accountId", {}).get("S")
            owner = None if account is None else AccountId(account)
            found.append(Unreadable(key=key(item), why=str(error), account_id=owner))
    return found


def instance_item(instance: Instance) -> Attributes:
    """Return the item of an instance. It has a sweep entry only if the sweeper has to check the instance.

    It is in the indexes by phase and by problem only while it is stopped, retrying, or has a problem.
    """
    place = PageKey(created_at=instance.created_at, sid=instance.sid)
    members: dict[str, str | int] = {
        "rev": instance.rev,
        "strategyPhase": strategy_phase(instance.strategy_sid, list_label(instance)),
        "ownerShard": owner_shard(instance.account_id, instance.shard),
        "createdSid": place_text(place),
        **_found_by(instance, place),
        "doc": to_text(INSTANCE.write(instance, instance.sid)),
    }
    at = sweep_at(instance)
    # An item without these attributes is not in the due index.
    if at is not None:
        members |= {"sweepPartition": partition(instance), "sweepAt": sweep_instant(at)}
    return item_of(instance.account_id, {"sid": instance.sid}, **members)


def _found_by(instance: Instance, place: PageKey) -> dict[str, str]:
    """Return the keys of the sparse indexes that the instance is in."""
    account = instance.account_id
    keys: dict[str, str] = {}
    phase, reason = stored_phase(instance), reason_of(instance)
    if phase is not None and reason is not None:
        keys["phaseShard"] = phase_shard(account, phase, instance.shard)
        keys["phaseOrder"] = phase_order(reason, instance.strategy_sid, place)
    since = problem_at(instance)
    if since is not None:
        keys["problemShard"] = owner_shard(account, instance.shard)
        keys["problemAt"] = place_text(PageKey(created_at=since, sid=instance.sid))
    if instance.origin.reference is not None:
        keys["referenceKey"] = reference_key(account, instance.origin.reference)
    for number, (name, text) in enumerate(searched_attributes(instance), start=1):
        keys[attribute_key(number)] = attribute_value_key(account, name, text)
    return keys


def instance_of(item: Mapping[str, AttributeValue]) -> Instance:
    """Return the instance of an item."""
    found = read(item, "sid", "rev", "strategyPhase", "createdSid", "doc")
    return INSTANCE.read(
        from_text(found["doc"]),
        found["sid"],
        sid=found["sid"],
        account_id=found["accountId"],
        rev=found["rev"],
        strategy_sid=found["strategyPhase"].rpartition("#")[0],
        created_at=place_of(found["createdSid"]).created_at,
    )


def entry_item(instance: Instance, entry: JournalEntry) -> Attributes:
    """Return the item of a journal entry."""
    key = {"instanceSid": instance.sid, "sk": journal_key(entry.seq, entry.run, entry.intent.visit)}
    return item_of(instance.account_id, key, fence=entry.fence, doc=to_text(ENTRY.write(entry, instance.sid)))


def entry_of(item: Mapping[str, AttributeValue]) -> JournalEntry:
    """Return the journal entry of an item."""
    found = read(item, "instanceSid", "doc")
    return ENTRY.read(from_text(found["doc"]), found["instanceSid"])


def answer_item(instance: Instance, seq: int, answer: Answer) -> Attributes:
    """Return the item of an answer to a call of an event."""
    key = {"instanceSid": instance.sid, "sk": answer_item_key(seq, answer.key)}
    return item_of(instance.account_id, key, doc=to_text(ANSWER.write(answer, instance.sid)))


def answer_of(item: Mapping[str, AttributeValue]) -> Answer:
    """Return the answer of an item."""
    found = read(item, "instanceSid", "sk", "doc")
    return ANSWER.read(from_text(found["doc"]), found["instanceSid"], key=found["sk"].rpartition("#")[2])


def journal_of(items: Iterable[Mapping[str, AttributeValue]]) -> tuple[list[JournalEntry], list[Answer]]:
    """Return the journal entries and the answers among the items of a range of the journal, in their order.

    Every reader of a journal uses this, because answers are stored in the same range.
    """
    entries: list[JournalEntry] = []
    answers: list[Answer] = []
    for item in items:
        if is_answer_key(item["sk"]["S"]):
            answers.append(answer_of(item))
        else:
            entries.append(entry_of(item))
    return entries, answers


def entries_of(items: Iterable[Mapping[str, AttributeValue]]) -> list[JournalEntry | Unreadable[int]]:
    """Return the journal entries of such a range. For an entry that cannot be read, the key is its event's number."""
    return read_each(
        (item for item in items if not is_answer_key(item["sk"]["S"])),
        entry_of,
        lambda item: event_number(item["sk"]["S"]),
    )


def records_in(items: Iterable[Mapping[str, AttributeValue]]) -> list[EventRecord | Unreadable[int]]:
    """Return the records of an instance. A record that cannot be read has the number of its event as its key."""
    return read_each(items, record_of, lambda item: event_number(item["sk"]["S"]))


def record_item(instance: Instance, record: EventRecord, *, kept: timedelta | None = None) -> Attributes:
    """Return the item of a closed event's record, which DynamoDB deletes when it has been kept for so long.

    Journal entries and answers have no expiry: their event is open when they are written, and may be for years.
    """
    return item_of(
        instance.account_id,
        {"instanceSid": instance.sid, "sk": record_key(record.event.seq)},
        fence=record.fence,
        accountMonth=account_month(instance.account_id, record.finished_at.astimezone(UTC), instance.shard),
        finishedAt=closed_at(record.finished_at, record.event.status),
        doc=to_text(RECORD.write(record, instance.sid)),
        **expiry_of("events", expiry(record.finished_at, kept)),
    )


def record_of(item: Mapping[str, AttributeValue]) -> EventRecord:
    """Return the record of an item."""
    found = read(item, "instanceSid", "fence", "doc")
    sid = found["instanceSid"]
    return RECORD.read(from_text(found["doc"]), sid, instance_sid=sid, fence=found["fence"])


def audit_item(
    audit: AuditEntry, *, shard: int = 0, rev: int | None = None, kept: timedelta | None = None
) -> Attributes:
    """Return the item of an audit entry, which DynamoDB deletes when it has been kept for so long.

    The new ``rev`` of the target, or else the command, makes its key unique.
    """
    # Two commands on one target may have the same instant.
    unique_key = f"{audit.target}#{audit.command if rev is None else rev}"
    key = {
        "accountDay": account_day(audit.account_id, audit.at, shard),
        "sk": audit_position_text(AuditPosition(at=audit.at, key=unique_key)),
    }
    members: dict[str, str | int] = {
        "accountTarget": account_name(audit.account_id, audit.target),
        **expiry_of("audit", expiry(audit.at, kept)),
    }
    # Most commands come from no operation, and pay for one index entry only.
    if audit.operation is not None:
        members["accountOperation"] = account_name(audit.account_id, audit.operation)
    return item_of(audit.account_id, key, doc=to_text(AUDIT.write(audit)), **members)


def session_item(session: Session) -> Attributes:
    """Return the item of a session. DynamoDB deletes it ``SESSION_KEPT`` after the session's end."""
    return item_of(
        session.account_id,
        session_key(session.token_hash),
        doc=to_text(SESSION.write(session)),
        **expiry_of("access", session.idle_until + SESSION_KEPT),
    )


def session_of(item: Mapping[str, AttributeValue], token_hash: str) -> Session:
    """Return the session of an item."""
    found = read(item, "doc")
    return SESSION.read(from_text(found["doc"]), token_hash=token_hash, account_id=found["accountId"])


def release_job_item(release_job: ReleaseJob) -> Attributes:
    """Return the item of a release job."""
    return item_of(
        release_job.account_id,
        {"sid": release_job.sid},
        rev=release_job.rev,
        sweepPartition=OPERATIONS,
        sweepAt=sweep_instant(release_job.sweep_at),
        doc=to_text(RELEASE_JOB.write(release_job)),
    )


def bulk_item(bulk: BulkOperation) -> Attributes:
    """Return the item of a bulk operation.

    It is in the due index until it ends, and expires some time after its end.
    """
    members: dict[str, str | int] = {
        "kind": BULK_KIND,
        "rev": bulk.rev,
        "createdSid": place_text(PageKey(created_at=bulk.started_at, sid=bulk.sid)),
        "doc": to_text(BULK.write(bulk)),
    }
    if bulk.sweep_at is not None:
        at = sweep_instant(bulk.sweep_at)
        members |= {"sweepPartition": OPERATIONS, "sweepAt": at}
    if bulk.finished_at is not None:
        members |= expiry_of("operations", bulk.finished_at + KEPT)
    return item_of(bulk.account_id, {"sid": bulk.sid}, **members)


def operation_item(operation: Operation) -> Attributes:
    """Return the item of an operation of either kind."""
    return release_job_item(operation) if isinstance(operation, ReleaseJob) else bulk_item(operation)


def operation_of(item: Mapping[str, AttributeValue]) -> Operation:
    """Return the operation of an item."""
    found = read(item, "sid", "rev", "doc")
    if found.get("kind") == BULK_KIND:
        return bulk_of(item)
    outside = {"sid": found["sid"], "account_id": found["accountId"], "rev": found["rev"]}
    return RELEASE_JOB.read(from_text(found["doc"]), **outside)


def bulk_of(item: Mapping[str, AttributeValue]) -> BulkOperation:
    """Return the bulk operation of an item."""
    found = read(item, "sid", "rev", "doc")
    outside = {"sid": found["sid"], "account_id": found["accountId"], "rev": found["rev"]}
    return BULK.read(from_text(found["doc"]), **outside)


def audit_of(item: Mapping[str, AttributeValue]) -> AuditEntry:
    """Return the audit entry of an item."""
    found = read(item, "doc")
    return AUDIT.read(from_text(found["doc"]), account_id=found["accountId"])


def sealed_member(sealed: SealedSettings) -> dict[str, str | None]:
    """Return the attribute of something encrypted."""
    return {"iv": sealed.iv, "hash": sealed.hash, "encryptedText": sealed.encrypted_text, "key": sealed.key}


def sealed_of(stored: object) -> SealedSettings:
    """Return a stored encrypted value. Raises: StoredShapeError."""
    match stored:
        case {"iv": str(iv), "hash": str(hash_), "encryptedText": str(text), "key": str() | None as key}:
            return SealedSettings(iv=iv, hash=hash_, encrypted_text=text, key=key)
        case _:
            raise StoredShapeError("something encrypted is not stored in the sealed form")
