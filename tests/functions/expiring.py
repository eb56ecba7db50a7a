"""Expired records as DynamoDB deletes them, for the expirer on emulated stores."""

from datetime import datetime, timedelta
from typing import Any

import boto3
from msgspec.structs import replace

from dev.stream_records import record_of
from functions.expirer.handler import lambda_handler
from shared import bootstrap
from shared.adapters.dynamodb.tables import EXPIRY, LAYOUTS
from shared.domain.instance.journal import EventHistory
from shared.domain.instance.model import Instance
from tests import full
from tests.contract.instances import a_record, an_entry, an_instance
from tests.functions.contexts import Context

KEPT = timedelta(days=90)


def closed(*seqs: int, **changes: Any) -> Instance:
    """Store an instance whose events have closed, each with two journal entries, an answer and a record."""
    instance = replace(an_instance(), **{"events": (), "next_seq": max(seqs) + 1, **changes})
    instances = bootstrap.ports().instances
    instances.create(instance, records=[a_record(instance, seq) for seq in seqs])
    for seq in seqs:
        for visit in (1, 2):
            instances.append(instance, an_entry(1, visit, seq=seq))
        instances.put_answer(instance, seq, full.ANSWER)
    return instance


def expired(*, until: datetime) -> list[dict[str, Any]]:
    """Delete the expired items, as DynamoDB does, and return the records of the stream."""
    client, table = boto3.client("dynamodb"), bootstrap.settings().tables.events
    found = client.scan(TableName=table, ConsistentRead=True)["Items"]
    due = [
        item
        for item in found
        if int(item.get(EXPIRY["events"], {"N": "1" + "0" * 12})["N"]) <= until.timestamp()
    ]
    keys = LAYOUTS["events"].key
    for item in due:
        client.delete_item(TableName=table, Key={name: item[name] for name in keys})
    return [
        record_of(table, keys, item, None, number=number, has_expired=True)
        for number, item in enumerate(due, 1)
    ]


def handled(records: list[dict[str, Any]]) -> dict[str, Any]:
    answer: dict[str, Any] = lambda_handler({"Records": records}, Context())  # type: ignore[arg-type]
    return answer


def history(instance: Instance, seq: int) -> EventHistory:
    return bootstrap.ports().instances.event_history(instance.sid, seq)


END = a_record(an_instance()).finished_at
