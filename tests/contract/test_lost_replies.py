"""Writes whose reply was lost: the errors that the caller of the store sees."""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from shared.adapters.aws.client import MAX_ATTEMPTS
from shared.adapters.aws.errors import UnansweredError
from shared.adapters.aws.http import HttpReply
from shared.adapters.dynamodb.instances import DynamoDbInstances
from shared.application.ports import ConnectionLostError, StaleRevError
from shared.domain.ids import AccountId
from shared.domain.strategy.flag import Flag
from tests import full
from tests.engines import DynamoDb, on_dynamodb


def loses(dynamodb: DynamoDb, operation: str, *, replies: int) -> list[dict[str, Any]]:
    """Lose the first replies to an operation, and return its requests, which all arrive."""
    sent: list[dict[str, Any]] = []
    real = dynamodb.client.api.transport

    def send(method: str, path: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        reply = real.send(method, path, headers, body)
        if headers["x-amz-target"].endswith(f".{operation}"):
            sent.append(json.loads(body))
            if len(sent) <= replies:
                raise UnansweredError("the reply was lost")
        return reply

    dynamodb.client.api.transport = SimpleNamespace(send=send, close=real.close)
    return sent


def asks_again(dynamodb: DynamoDb, operation: str) -> list[dict[str, Any]]:
    """Lose the first reply, so that the client sends the request again."""
    return loses(dynamodb, operation, replies=1)


def gives_up(dynamodb: DynamoDb, operation: str) -> None:
    """Lose every reply, until the client sends no more."""
    loses(dynamodb, operation, replies=MAX_ATTEMPTS)


def a_store(dynamodb: DynamoDb) -> DynamoDbInstances:
    return DynamoDbInstances(client=dynamodb.client, tables=dynamodb.tables)


AFTER = replace(full.INSTANCE, rev=full.INSTANCE.rev + 1, description="after")


class TestTheClientSendsAgain:
    """The second request finds the write of the first."""

    def test_a_commit_is_refused_and_stored(self, dynamodb: DynamoDb) -> None:
        store = a_store(dynamodb)
        store.create(full.INSTANCE)
        asks_again(dynamodb, "PutItem")
        with pytest.raises(StaleRevError):
            store.commit(AFTER)
        assert store.load(full.SID) == AFTER

    def test_a_creation_is_refused_and_stored(self, dynamodb: DynamoDb) -> None:
        store = a_store(dynamodb)
        asks_again(dynamodb, "PutItem")
        with pytest.raises(StaleRevError):
            store.create(full.INSTANCE)
        assert store.load(full.SID) == full.INSTANCE

    def test_a_transaction_succeeds_or_is_refused_but_is_stored_once(self, dynamodb: DynamoDb) -> None:
        """DynamoDB recognizes it by its token and reports success; the emulators do not."""
        store = a_store(dynamodb)
        store.create(full.INSTANCE)
        asks_again(dynamodb, "TransactWriteItems")
        with pytest.raises(StaleRevError):
            store.commit(AFTER, records=[full.RECORD], audit=full.AUDIT)
        assert store.load(full.SID) == AFTER
        assert store.event_history(full.SID, full.RECORD.event.seq).record == full.RECORD
        assert on_dynamodb(dynamodb).audits() == [full.AUDIT]

    def test_both_sendings_of_a_transaction_carry_the_same_token(self, dynamodb: DynamoDb) -> None:
        sent = asks_again(dynamodb, "TransactWriteItems")
        store = a_store(dynamodb)
        with pytest.raises(StaleRevError):
            store.create(full.INSTANCE, records=[full.RECORD])
        first, second = (request["ClientRequestToken"] for request in sent)
        assert first == second

    def test_journal_and_record_are_stored_as_if_nothing_had_been_lost(self, dynamodb: DynamoDb) -> None:
        store = a_store(dynamodb)
        asks_again(dynamodb, "PutItem")
        store.append(full.INSTANCE, full.ENTRY)
        store.put_record(full.INSTANCE, full.RECORD)
        event_history = store.event_history(full.SID, full.ENTRY.seq)
        assert (event_history.entries, event_history.record) == ((full.ENTRY,), full.RECORD)

    def test_a_new_strategy_is_stored_as_if_nothing_had_been_lost(self, dynamodb: DynamoDb) -> None:
        strategies = on_dynamodb(dynamodb).strategies
        asks_again(dynamodb, "TransactWriteItems")
        strategies.create(full.HEAD, {"any": "settings"})
        assert strategies.head(full.HEAD.sid) == full.HEAD


class TestTheClientGivesUp:
    """The caller sees the error, and may find the write stored."""

    def test_a_commit_raises_and_is_stored(self, dynamodb: DynamoDb) -> None:
        store = a_store(dynamodb)
        store.create(full.INSTANCE)
        gives_up(dynamodb, "PutItem")
        with pytest.raises(ConnectionLostError):
            store.commit(AFTER)
        assert store.load(full.SID) == AFTER

    def test_a_flag_raises_and_is_stored(self, dynamodb: DynamoDb) -> None:
        stores = on_dynamodb(dynamodb)
        gives_up(dynamodb, "TransactWriteItems")
        with pytest.raises(ConnectionLostError):
            stores.access.set_queue_flag(AccountId("acme"), Flag(is_paused=True))
        assert stores.strategies.flags(AccountId("acme"), full.STRATEGY).blocked_by is not None
