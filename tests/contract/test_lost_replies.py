"""Writes whose reply was lost: the errors that the caller of the store sees."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from shared.adapters.dynamodb.instances import DynamoDbInstances
from shared.application.ports import StaleRevError
from shared.domain.ids import AccountId
from shared.domain.strategy.flag import Flag
from tests import full
from tests.engines import DynamoDb, on_dynamodb


def asks_again(client: Any, operation: str) -> None:
    """Lose the first reply, so that botocore sends the request again."""
    client.meta.events.register_first(
        f"needs-retry.dynamodb.{operation}", lambda attempts, **_: 0 if attempts == 1 else None
    )


def gives_up(client: Any, operation: str) -> None:
    """Lose every reply."""

    def fail(**_: object) -> None:
        raise ReadTimeoutError(endpoint_url="dynamodb")

    client.meta.events.register_first(f"after-call.dynamodb.{operation}", fail)


def a_store(dynamodb: DynamoDb) -> DynamoDbInstances:
    return DynamoDbInstances(client=dynamodb.client, tables=dynamodb.tables)


AFTER = replace(full.INSTANCE, rev=full.INSTANCE.rev + 1, description="after")


class TestTheClientSendsAgain:
    """The second request finds the write of the first."""

    def test_a_commit_is_refused_and_stored(self, dynamodb: DynamoDb) -> None:
        store = a_store(dynamodb)
        store.create(full.INSTANCE)
        asks_again(dynamodb.client, "PutItem")
        with pytest.raises(StaleRevError):
            store.commit(AFTER)
        assert store.load(full.SID) == AFTER

    def test_a_creation_is_refused_and_stored(self, dynamodb: DynamoDb) -> None:
        store = a_store(dynamodb)
        asks_again(dynamodb.client, "PutItem")
        with pytest.raises(StaleRevError):
            store.create(full.INSTANCE)
        assert store.load(full.SID) == full.INSTANCE

    def test_a_transaction_succeeds_or_is_refused_but_is_stored_once(self, dynamodb: DynamoDb) -> None:
        """DynamoDB recognizes it by its token and reports success; the emulators do not."""
        store = a_store(dynamodb)
        store.create(full.INSTANCE)
        asks_again(dynamodb.client, "TransactWriteItems")
        with pytest.raises(StaleRevError):
            store.commit(AFTER, records=[full.RECORD], audit=full.AUDIT)
        assert store.load(full.SID) == AFTER
        assert store.event_history(full.SID, full.RECORD.event.seq).record == full.RECORD
        assert on_dynamodb(dynamodb).audits() == [full.AUDIT]

    def test_both_sendings_of_a_transaction_carry_the_same_token(self, dynamodb: DynamoDb) -> None:
        tokens = []
        dynamodb.client.meta.events.register_first(
            "before-send.dynamodb.TransactWriteItems",
            lambda request, **_: tokens.append(token_of(request.body)),
        )
        asks_again(dynamodb.client, "TransactWriteItems")
        store = a_store(dynamodb)
        with pytest.raises(StaleRevError):
            store.create(full.INSTANCE, records=[full.RECORD])
        first, second = tokens
        assert first == second

    def test_journal_and_record_are_stored_as_if_nothing_had_been_lost(self, dynamodb: DynamoDb) -> None:
        store = a_store(dynamodb)
        asks_again(dynamodb.client, "PutItem")
        store.append(full.INSTANCE, full.ENTRY)
        store.put_record(full.INSTANCE, full.RECORD)
        event_history = store.event_history(full.SID, full.ENTRY.seq)
        assert (event_history.entries, event_history.record) == ((full.ENTRY,), full.RECORD)

    def test_a_new_strategy_is_stored_as_if_nothing_had_been_lost(self, dynamodb: DynamoDb) -> None:
        strategies = on_dynamodb(dynamodb).strategies
        asks_again(dynamodb.client, "TransactWriteItems")
        strategies.create(full.HEAD, {"any": "settings"})
        assert strategies.head(full.HEAD.sid) == full.HEAD


class TestTheClientGivesUp:
    """The caller sees the error, and may find the write stored."""

    def test_a_commit_raises_and_is_stored(self, dynamodb: DynamoDb) -> None:
        store = a_store(dynamodb)
        store.create(full.INSTANCE)
        gives_up(dynamodb.client, "PutItem")
        with pytest.raises(ReadTimeoutError):
            store.commit(AFTER)
        assert store.load(full.SID) == AFTER

    def test_a_flag_raises_and_is_stored(self, dynamodb: DynamoDb) -> None:
        stores = on_dynamodb(dynamodb)
        gives_up(dynamodb.client, "TransactWriteItems")
        with pytest.raises(ReadTimeoutError):
            stores.access.set_queue_flag(AccountId("acme"), Flag(is_paused=True))
        assert stores.strategies.flags(AccountId("acme"), full.STRATEGY).blocked_by is not None


def token_of(body: Any) -> str:
    text = body.decode() if isinstance(body, bytes) else str(body)
    return text.split('"ClientRequestToken":')[1].split('"')[1]
