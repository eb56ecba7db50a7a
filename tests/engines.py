"""The engines that the stores are tested on: memory, and DynamoDB as two emulators implement it."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
from moto import mock_aws
from msgspec import Struct
from msgspec.structs import fields, replace

from dev.aws import TIMING, database
from dev.memory.limits import MemoryLimits
from dev.memory.stores import MemoryAccess, MemoryAudit, MemoryInstances, MemoryStrategies, MemoryWebhooks
from shared.adapters.crypto import AesGcmSealer, LocalDataKey
from shared.adapters.dynamodb.access import DynamoDbAccess
from shared.adapters.dynamodb.audit import DynamoDbAudit
from shared.adapters.dynamodb.client import DynamoDbClient
from shared.adapters.dynamodb.instances import DynamoDbInstances
from shared.adapters.dynamodb.items import audit_of
from shared.adapters.dynamodb.limits import DynamoDbLimits
from shared.adapters.dynamodb.operations import DynamoDbOperations
from shared.adapters.dynamodb.strategies import DynamoDbStrategies
from shared.adapters.dynamodb.tables import Tables, table_definitions
from shared.adapters.dynamodb.webhooks import DynamoDbWebhooks
from shared.application.ports import (
    AccessStore,
    AuditStore,
    InstanceStore,
    LimitStore,
    OperationStore,
    StrategyStore,
    WebhookStore,
)
from shared.domain.instance.verdict import AuditEntry

ENVIRONMENT = "dev"
REGION = "eu-central-1"
PROMPT = replace(TIMING, sleep=lambda _: None)
"""The time of a client that repeats requests without waiting."""


class Stores(Struct, frozen=True, kw_only=True):
    """The empty stores of one engine. ``audits`` returns all audit entries, in any order."""

    instances: InstanceStore
    strategies: StrategyStore
    access: AccessStore
    operations: OperationStore
    webhooks: WebhookStore
    limits: LimitStore
    audit: AuditStore
    audits: Callable[[], list[AuditEntry]]


class DynamoDb(Struct, frozen=True, kw_only=True):
    """Empty tables with their own client, so that a test may change it, and boto3's for everything else."""

    client: DynamoDbClient
    admin: Any
    tables: Tables


def in_memory() -> Stores:
    """Return stores in memory."""
    access, instances, webhooks = MemoryAccess(), MemoryInstances(), MemoryWebhooks()
    strategies = MemoryStrategies(environment=ENVIRONMENT, access=access)
    return Stores(
        instances=instances,
        strategies=strategies,
        access=access,
        operations=access.operations,
        webhooks=webhooks,
        limits=MemoryLimits(),
        audit=MemoryAudit(
            lists=[instances.audit, strategies.audit, access.audit, access.operations.audit, webhooks.audit]
        ),
        audits=lambda: [
            *instances.audit,
            *strategies.audit,
            *access.audit,
            *access.operations.audit,
            *webhooks.audit,
        ],
    )


def on_dynamodb(dynamodb: DynamoDb) -> Stores:
    """Return stores on DynamoDB's tables."""
    client, tables, admin = dynamodb.client, dynamodb.tables, dynamodb.admin
    return Stores(
        instances=DynamoDbInstances(client=client, tables=tables),
        strategies=DynamoDbStrategies(
            client=client, sealer=a_sealer(), environment=ENVIRONMENT, tables=tables
        ),
        access=DynamoDbAccess(client=client, tables=tables),
        operations=DynamoDbOperations(client=client, tables=tables),
        webhooks=DynamoDbWebhooks(client=client, sealer=a_sealer(), tables=tables),
        limits=DynamoDbLimits(client=client, tables=tables, report=lambda *_: None),
        audit=DynamoDbAudit(client=client, tables=tables),
        audits=lambda: [audit_of(item) for item in admin.scan(TableName=tables.audit)["Items"]],
    )


@contextmanager
def moto_dynamodb(session: boto3.Session, number: int) -> Iterator[DynamoDb]:
    """Return tables in this process."""
    with mock_aws(), _tables(session, number) as dynamodb:
        yield dynamodb


@contextmanager
def roto_dynamodb(session: boto3.Session, address: str, number: int) -> Iterator[DynamoDb]:
    """Return tables in an emulator on this machine; ``number`` separates them from others there."""
    with _tables(session, number, address) as dynamodb:
        yield dynamodb


@contextmanager
def _tables(session: boto3.Session, number: int, address: str | None = None) -> Iterator[DynamoDb]:
    admin: Any = session.client("dynamodb", endpoint_url=address)
    client = database(session, url=address, timing=PROMPT)
    tables = Tables(**{field.name: f"t{number}-{field.name}" for field in fields(Tables)})
    try:
        for definition in table_definitions(tables):
            admin.create_table(**definition)
        yield DynamoDb(client=client, admin=admin, tables=tables)
    finally:
        client.close()
        admin.close()


def a_sealer() -> AesGcmSealer:
    """Return a sealer with a fixed key and counted nonces."""
    counted = iter(range(1 << 32))
    return AesGcmSealer(
        keys=LocalDataKey(bytes(range(32))), entropy=lambda count: next(counted).to_bytes(count, "big")
    )


def a_session() -> boto3.Session:
    """Return a session with credentials that open nothing."""
    return boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name=REGION)


@contextmanager
def roto_server(folder: Path) -> Iterator[str]:
    """Start an emulator on a free port of this machine and return its address and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "roto-server"
    with (folder / "roto.log").open("w") as log:
        command = [str(program), "--port", str(port), "--data-dir", str(folder / "data")]
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - the emulator of the lock file
    try:
        for _ in range(2000):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.005)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(10)
