"""Instances, journals and records on DynamoDB.

An instance is one item, replaced as a whole if its ``rev`` is still the one the change was decided on. Records and
the audit entry of the change are written in the same transaction, after the instance.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from msgspec import Struct, field

from shared.adapters.aws.errors import AwsError
from shared.adapters.dynamodb.attributes import Attributes, to_attributes
from shared.adapters.dynamodb.client import DynamoDbClient, failed_conditions
from shared.adapters.dynamodb.due_index import due_entries, postpone_entry
from shared.adapters.dynamodb.items import (
    answer_item,
    audit_item,
    entries_of,
    entry_item,
    instance_item,
    instance_of,
    item_of,
    journal_of,
    read_each,
    record_item,
    record_of,
    records_in,
)
from shared.adapters.dynamodb.reading import MAX_KEYS, Item, count_all, query_all, read_batch
from shared.adapters.dynamodb.tables import (
    BY_ACCOUNT,
    BY_ATTRIBUTE,
    BY_OWNER,
    BY_PHASE,
    BY_PROBLEM,
    BY_REFERENCE,
    BY_STRATEGY,
    LAST_OF_ALL,
    LAYOUTS,
    OWNER_SHARDS,
    Tables,
    account_month,
    attribute_value_key,
    cause_prefix,
    closed_status,
    event_number,
    journal_prefix,
    owner_shard,
    phase_shard,
    place_of,
    place_text,
    reason_prefix,
    record_key,
    reference_key,
    reservation_key,
    strategy_phase,
    sweep_instant,
)
from shared.application.ports import (
    PageKey,
    PhaseEntry,
    PhaseWindow,
    Reservation,
    ReservedError,
    StaleRevError,
    Unreadable,
)
from shared.domain.calendar.dates import format_instant
from shared.domain.ids import AccountId, InstanceSid, StrategySid, event_sid
from shared.domain.instance.due import SHARDS
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import Answer, EventHistory, EventRecord, JournalEntry
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.phase import Phase, PhaseRange, list_labels
from shared.domain.instance.reason import StopReason
from shared.domain.instance.retention import Retention
from shared.domain.instance.verdict import AuditEntry

_UNLESS_FENCED_OFF = "attribute_not_exists(sk) OR fence <= :fence"


class DynamoDbInstances(Struct, frozen=True, kw_only=True):
    """An ``InstanceStore``.

    If a reply is lost, the client sends the write again, and it may find its own first write. That raises
    StaleRevError too, so the caller compares the stored instance with the one it meant to store.
    """

    client: DynamoDbClient
    tables: Tables = field(default_factory=Tables)
    retention: Retention = field(default_factory=Retention)

    def load(self, sid: InstanceSid) -> Instance | None:
        key = to_attributes({"sid": sid})
        item = self.client.get_item(TableName=self.tables.instances, Key=key, ConsistentRead=True).get("Item")
        return None if item is None else instance_of(item)

    def create(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
        reservation: Reservation | None = None,
    ) -> None:
        put = {
            "TableName": self.tables.instances,
            "Item": instance_item(instance),
            "ConditionExpression": "attribute_not_exists(sid)",
        }
        beside = self._beside(instance, records, audit)
        if reservation is None:
            self._write(put, beside)
            return
        reserve = self._reserving(instance, reservation)
        try:
            self._write(put, [reserve, *beside])
        except AwsError as error:
            if failed_conditions(error)[1:2] != [True]:
                raise
            key = reservation_key(instance)
            item = self.client.get_item(
                TableName=self.tables.strategies, Key=to_attributes(key), ConsistentRead=True
            )["Item"]
            raise ReservedError(InstanceSid(item["holder"]["S"])) from error

    def _reserving(self, instance: Instance, reservation: Reservation) -> dict[str, Any]:
        """Return the write that reserves the instance's reference."""
        put: dict[str, Any] = {
            "TableName": self.tables.strategies,
            "Item": item_of(instance.account_id, reservation_key(instance), holder=instance.sid),
            "ConditionExpression": "attribute_not_exists(sid)",
        }
        if reservation.instead_of is not None:
            put["ConditionExpression"] += " OR holder = :former"
            put["ExpressionAttributeValues"] = to_attributes({":former": reservation.instead_of})
        return {"Put": put}

    def commit(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
        reopened: EventRecord | None = None,
    ) -> None:
        put = {
            "TableName": self.tables.instances,
            "Item": instance_item(instance),
            "ConditionExpression": "rev = :before",
            "ExpressionAttributeValues": to_attributes({":before": instance.rev - 1}),
        }
        beside = self._beside(instance, records, audit)
        if reopened is None:
            self._write(put, beside)
        else:
            # The deletion is the second write: it may find that the record has expired.
            self._write(put, [*self._reopening(instance, reopened), *beside], expected=2)

    def append(self, instance: Instance, entry: JournalEntry) -> None:
        self._put_fenced(entry_item(instance, entry), entry.fence)

    def put_answer(self, instance: Instance, seq: int, answer: Answer) -> None:
        self.client.put_item(TableName=self.tables.events, Item=answer_item(instance, seq, answer))

    def put_record(self, instance: Instance, record: EventRecord) -> None:
        # DynamoDB reports the expiry to the record expirer, which stores the record again if the event is open.
        self._put_fenced(record_item(instance, record, kept=self.retention.records), record.fence)

    def event_history(self, sid: InstanceSid, seq: int) -> EventHistory:
        items = query_all(
            self.client,
            TableName=self.tables.events,
            KeyConditionExpression="instanceSid = :sid AND begins_with(sk, :prefix)",
            ExpressionAttributeValues=to_attributes({":sid": sid, ":prefix": journal_prefix(seq)}),
            ConsistentRead=True,
        )
        record = self.client.get_item(
            TableName=self.tables.events,
            Key=to_attributes({"instanceSid": sid, "sk": record_key(seq)}),
            ConsistentRead=True,
        ).get("Item")
        entries, answers = journal_of(items)
        return EventHistory(
            entries=tuple(entries),
            record=None if record is None else record_of(record),
            answers=tuple(answers),
        )

    def records_before(
        self, sid: InstanceSid, seq: int, *, limit: int
    ) -> list[EventRecord | Unreadable[int]]:
        values = {":sid": sid, ":first": record_key(0), ":last": record_key(seq - 1)}
        items = query_all(
            self.client,
            most=limit,
            TableName=self.tables.events,
            KeyConditionExpression="instanceSid = :sid AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues=to_attributes(values),
            ScanIndexForward=False,
            ConsistentRead=True,
        )
        return records_in(items)

    def journal_between(
        self, sid: InstanceSid, first: int, last: int
    ) -> list[JournalEntry | Unreadable[int]]:
        values = {":sid": sid, ":first": journal_prefix(first), ":last": journal_prefix(last + 1)}
        items = query_all(
            self.client,
            TableName=self.tables.events,
            KeyConditionExpression="instanceSid = :sid AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues=to_attributes(values),
            ConsistentRead=True,
        )
        return entries_of(items)

    def records_of_month(
        self, account: AccountId, month: date, *, since: datetime, until: datetime, limit: int
    ) -> Iterator[EventRecord | Unreadable[str]]:
        index_entries: list[Item] = []
        for shard in range(SHARDS):
            values = {
                ":month": account_month(account, month, shard),
                ":since": format_instant(since),
                ":until": sweep_instant(until),
            }
            index_entries += query_all(
                self.client,
                most=limit,
                TableName=self.tables.events,
                IndexName=BY_ACCOUNT,
                KeyConditionExpression="accountMonth = :month AND finishedAt BETWEEN :since AND :until",
                ExpressionAttributeValues=to_attributes(values),
                ScanIndexForward=False,
            )
            # Only the latest of all shards so far can be among the result.
            index_entries = sorted(index_entries, key=_closed, reverse=True)[:limit]
        table = self.tables.events
        for start in range(0, len(index_entries), MAX_KEYS):
            keys = [
                {name: item[name] for name in ("instanceSid", "sk")}
                for item in index_entries[start : start + MAX_KEYS]
            ]
            items = sorted(read_batch(self.client, {table: keys})[table], key=_closed, reverse=True)
            for record in read_each(items, record_of, _event_sid_of):
                if isinstance(record, Unreadable) or since <= record.finished_at < until:
                    yield record

    def due(self, partition: str, *, until: datetime, limit: int) -> list[DueEntry[InstanceSid]]:
        found = due_entries(self.client, self.tables.instances, partition, until=until, limit=limit)
        return [DueEntry(sid=InstanceSid(sid), partition=partition, at=at) for sid, at in found]

    def postpone(self, entry: DueEntry[InstanceSid], *, now: datetime) -> bool:
        return postpone_entry(self.client, self.tables.instances, entry, now=now)

    def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
        keys = [to_attributes({"sid": sid}) for sid in dict.fromkeys(sids)]
        found = read_batch(self.client, {self.tables.instances: keys})
        items = found[self.tables.instances]
        return read_each(items, instance_of, lambda item: InstanceSid(item["sid"]["S"]))

    def of_strategy(
        self,
        strategy: StrategySid,
        statuses: Sequence[InstanceStatus | Phase],
        *,
        before: PageKey | None,
        limit: int,
        since: datetime | None = None,
    ) -> list[PageKey]:
        partitions = _strategy_phases(strategy, statuses)
        return self._youngest(BY_STRATEGY, partitions, before, limit, since=since)

    def of_account(
        self,
        account: AccountId,
        *,
        before: PageKey | None,
        limit: int,
        since: datetime | None = None,
    ) -> list[PageKey]:
        return self._youngest(BY_OWNER, _owner_shards(account), before, limit, since=since)

    def with_reference(
        self, account: AccountId, reference: str, *, before: PageKey | None, limit: int
    ) -> list[PageKey]:
        return self._youngest(BY_REFERENCE, [reference_key(account, reference)], before, limit)

    def with_attribute(
        self, account: AccountId, name: str, text: str, *, before: PageKey | None, limit: int
    ) -> list[PageKey]:
        # Strategies may declare the same attribute at different positions.
        partition = attribute_value_key(account, name, text)
        found = {
            place for index in BY_ATTRIBUTE for place in self._youngest(index, [partition], before, limit)
        }
        return sorted(found, reverse=True)[:limit]

    def with_problems(self, account: AccountId, *, before: PageKey | None, limit: int) -> list[PageKey]:
        return self._youngest(BY_PROBLEM, _owner_shards(account), before, limit)

    def in_phases(
        self, account: AccountId, ranges: Sequence[PhaseRange], *, window: PhaseWindow, limit: int
    ) -> list[PhaseEntry]:
        found: set[PhaseEntry] = set()
        for phase_range in ranges:
            first = prefix_of(phase_range)
            last = f"{first}{LAST_OF_ALL}"
            if window.after is not None and window.is_ascending:
                first = max(first, window.after)
            elif window.after is not None:
                last = min(last, window.after)
            if first > last:
                continue
            for shard in range(OWNER_SHARDS):
                values = {
                    ":shard": phase_shard(account, phase_range.phase, shard),
                    ":first": first or "0",
                    ":last": last,
                }
                items = query_all(
                    self.client,
                    most=limit + 1,  # BETWEEN includes ``after`` itself
                    TableName=self.tables.instances,
                    IndexName=BY_PHASE,
                    KeyConditionExpression="phaseShard = :shard AND phaseOrder BETWEEN :first AND :last",
                    ExpressionAttributeValues=to_attributes(values),
                    ScanIndexForward=window.is_ascending,
                )
                found |= {
                    PhaseEntry(order=item["phaseOrder"]["S"], sid=InstanceSid(item["sid"]["S"]))
                    for item in items
                }
        entries = sorted(found, reverse=not window.is_ascending)
        return [entry for entry in entries if entry.order != window.after][:limit]

    def oldest_of_strategy(
        self,
        strategy: StrategySid,
        statuses: Sequence[InstanceStatus | Phase],
        *,
        after: PageKey | None,
        until: datetime,
        limit: int,
    ) -> list[PageKey]:
        first = "" if after is None else place_text(after)
        last = place_text(PageKey(created_at=until, sid=LAST_OF_ALL))
        if first > last:
            return []
        found: set[PageKey] = set()
        for partition in _strategy_phases(strategy, statuses):
            values = {":partition": partition, ":first": first or "0", ":last": last}
            items = query_all(
                self.client,
                most=limit + 1,  # BETWEEN includes ``after`` itself
                TableName=self.tables.instances,
                IndexName=BY_STRATEGY,
                KeyConditionExpression="strategyPhase = :partition AND createdSid BETWEEN :first AND :last",
                ExpressionAttributeValues=to_attributes(values),
            )
            found |= {place_of(item["createdSid"]["S"]) for item in items}
        return sorted(place for place in found if after is None or place > after)[:limit]

    def count_in_phase(self, account: AccountId, phase: Phase, *, most: int) -> int:
        partitions = [phase_shard(account, phase, shard) for shard in range(OWNER_SHARDS)]
        return self._count(BY_PHASE, partitions, most)

    def count_of_strategy(self, strategy: StrategySid, status: InstanceStatus | Phase, *, most: int) -> int:
        return self._count(BY_STRATEGY, _strategy_phases(strategy, [status]), most)

    def count_with_problems(self, account: AccountId, *, most: int) -> int:
        return self._count(BY_PROBLEM, _owner_shards(account), most)

    def count_closed(
        self, account: AccountId, month: date, *, since: datetime, until: datetime, most: int
    ) -> Mapping[EventStatus, int]:
        counts = Counter[EventStatus]()
        for shard in range(SHARDS):
            values = {
                ":month": account_month(account, month, shard),
                ":since": format_instant(since),
                ":until": sweep_instant(until),
            }
            items = query_all(
                self.client,
                most=most - counts.total(),
                TableName=self.tables.events,
                IndexName=BY_ACCOUNT,
                KeyConditionExpression="accountMonth = :month AND finishedAt BETWEEN :since AND :until",
                ExpressionAttributeValues=to_attributes(values),
            )
            counts.update(closed_status(item["finishedAt"]["S"]) for item in items)
        return counts

    def _count(self, index: str, partitions: Sequence[str], most: int) -> int:
        partition_key, _ = INDEX_KEYS[index]
        count = 0
        for partition in partitions:
            count += count_all(
                self.client,
                most=most - count,
                TableName=self.tables.instances,
                IndexName=index,
                KeyConditionExpression=f"{partition_key} = :partition",
                ExpressionAttributeValues=to_attributes({":partition": partition}),
            )
        return count

    def _youngest(
        self,
        index: str,
        partitions: Sequence[str],
        before: PageKey | None,
        limit: int,
        *,
        since: datetime | None = None,
    ) -> list[PageKey]:
        """Return the youngest entries of several partitions together. An entry that is in two of them counts once."""
        partition_key, sort_key = INDEX_KEYS[index]
        first = "" if since is None else sweep_instant(since)
        if before is not None and place_text(before) < first:
            return []
        found: set[PageKey] = set()
        for partition in partitions:
            values = {":partition": partition}
            condition = f"{partition_key} = :partition"
            if before is not None and since is not None:
                values |= {":since": first, ":before": place_text(before)}
                condition += f" AND {sort_key} BETWEEN :since AND :before"
            elif before is not None:
                values[":before"] = place_text(before)
                condition += f" AND {sort_key} < :before"
            elif since is not None:
                values[":since"] = first
                condition += f" AND {sort_key} >= :since"
            items = query_all(
                self.client,
                # BETWEEN includes ``before`` itself.
                most=limit + (before is not None and since is not None),
                TableName=self.tables.instances,
                IndexName=index,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=to_attributes(values),
                ScanIndexForward=False,
            )
            found |= {place_of(item[sort_key]["S"]) for item in items}
        return sorted(found - {before}, reverse=True)[:limit]

    def _beside(
        self, instance: Instance, records: Sequence[EventRecord], audit: AuditEntry | None
    ) -> list[dict[str, Any]]:
        """Return the writes that belong in one transaction with the instance.

        A change closes at most the 50 unfinished events that an instance can have, a range of skipped cycles, and the
        21 events of a cycle that it opens. With the audit entry, the instance and the two writes of a reopened event
        these are 76 items, and DynamoDB's limit is 100.
        """
        # The condition of a record cannot fail if that of the instance holds: every fence is stored on the instance
        # first, which never lowers it, so a record with a higher fence implies a higher rev of the instance. If it
        # failed all the same, another program would have written here, and the error is raised as it is.
        writes = [
            {
                "Put": _fenced(
                    self.tables.events,
                    record_item(instance, record, kept=self.retention.records),
                    record.fence,
                )
            }
            for record in records
        ]
        if audit is not None:
            item = audit_item(audit, shard=instance.shard, rev=instance.rev, kept=self.retention.audit)
            writes.append({"Put": {"TableName": self.tables.audit, "Item": item}})
        return writes

    def _reopening(self, instance: Instance, record: EventRecord) -> list[dict[str, Any]]:
        """Return the writes for a reopened event: its record is deleted, and the record's step joins the journal."""
        key = {"instanceSid": instance.sid, "sk": record_key(record.event.seq)}
        delete = {
            "TableName": self.tables.events,
            "Key": to_attributes(key),
            # A record that is gone has expired, and then the event's journal is being deleted.
            "ConditionExpression": "fence = :fence",
            "ExpressionAttributeValues": to_attributes({":fence": record.fence}),
        }
        writes: list[dict[str, Any]] = [{"Delete": delete}]
        if record.last is not None:
            item = entry_item(instance, record.last)
            writes.append({"Put": _fenced(self.tables.events, item, record.last.fence)})
        return writes

    def _write(self, put: dict[str, Any], beside: list[dict[str, Any]], *, expected: int = 1) -> None:
        """Write the instance, with the other writes if there are any.

        Raises: StaleRevError: the condition of one of the first ``expected`` writes failed.
        """
        # A transaction costs twice as much, so an instance without other writes is written without one.
        try:
            if beside:
                self.client.transact_write_items(TransactItems=[{"Put": put}, *beside])
            else:
                self.client.put_item(**put)
        except AwsError as error:
            # The first write is the instance's. A failed condition of one that is not expected to fail is an error.
            if any(failed_conditions(error)[:expected]):
                raise StaleRevError from error
            raise

    def _put_fenced(self, item: Attributes, fence: int) -> None:
        """Write the item, unless an item with a higher fence is stored there."""
        try:
            self.client.put_item(**_fenced(self.tables.events, item, fence))
        except AwsError as error:
            # A higher fence means that this runner has lost its claim: its write must not count.
            if not any(failed_conditions(error)):
                raise


INDEX_KEYS = dict(LAYOUTS["instances"].indexes)
"""The keys of each index of instances."""


def prefix_of(phase_range: PhaseRange) -> str:
    """Return how the sort keys of the instances in a range begin."""
    if phase_range.cause is None:
        return ""
    if phase_range.detail is None:
        return cause_prefix(phase_range.cause)
    reason = reason_prefix(StopReason(cause=phase_range.cause, detail=phase_range.detail))
    return reason if phase_range.strategy is None else f"{reason}{phase_range.strategy}#"


def _strategy_phases(strategy: StrategySid, statuses: Sequence[InstanceStatus | Phase]) -> list[str]:
    labels = dict.fromkeys(label for status in statuses for label in list_labels(status))
    return [strategy_phase(strategy, label) for label in labels]


def _owner_shards(account: AccountId) -> list[str]:
    return [owner_shard(account, shard) for shard in range(OWNER_SHARDS)]


def _closed(item: Item) -> tuple[str, str, str]:
    """Return the sort key of an index entry: when the record's event closed, with a tie-breaker."""
    return item["finishedAt"]["S"], item["instanceSid"]["S"], item["sk"]["S"]


def _event_sid_of(item: Item) -> str:
    return event_sid(InstanceSid(item["instanceSid"]["S"]), event_number(item["sk"]["S"]))


def _fenced(table: str, item: Attributes, fence: int) -> dict[str, Any]:
    return {
        "TableName": table,
        "Item": item,
        "ConditionExpression": _UNLESS_FENCED_OFF,
        "ExpressionAttributeValues": to_attributes({":fence": fence}),
    }
