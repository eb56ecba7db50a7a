"""Strategies on DynamoDB: the cache of versions, the encryption of settings, the reading of flags."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from dev.metering.meter import Meter
from shared.adapters.dynamodb.strategies import DynamoDbStrategies
from shared.application.ports import SealBrokenError
from shared.domain.ids import StrategySid
from tests import full
from tests.contract.strategies import settings
from tests.engines import DynamoDb, a_sealer


def a_store(dynamodb: DynamoDb, *, max_cached: int = 64) -> DynamoDbStrategies:
    return DynamoDbStrategies(
        client=dynamodb.client,
        sealer=a_sealer(),
        environment="dev",
        tables=dynamodb.tables,
        max_cached=max_cached,
    )


def version_item(dynamodb: DynamoDb) -> dict[str, Any]:
    key = {"sid": {"S": str(full.STRATEGY)}, "sk": {"S": "v#00000001"}}
    found: dict[str, Any] = dynamodb.admin.get_item(TableName=dynamodb.tables.strategies, Key=key)["Item"]
    return found


class TestSettings:
    """Settings are stored encrypted, and decrypt only under their own account, strategy and version."""

    def test_settings_are_stored_encrypted(self, moto: DynamoDb) -> None:
        a_store(moto).create(full.HEAD, settings())
        stored = json.dumps(version_item(moto))
        assert "charge-fee" in json.dumps(settings())
        assert "charge-fee" not in stored
        assert set(version_item(moto)["settings"]["M"]) == {"iv", "hash", "encryptedText", "key"}

    @pytest.mark.parametrize("other", [{"sk": {"S": "v#00000002"}}, {"sid": {"S": "other"}}])
    def test_settings_copied_to_another_version_or_strategy_do_not_decrypt(
        self, moto: DynamoDb, other: dict[str, Any]
    ) -> None:
        store = a_store(moto)
        store.create(full.HEAD, settings())
        copy = {**version_item(moto), **other}
        moto.client.put_item(TableName=moto.tables.strategies, Item=copy)
        with pytest.raises(SealBrokenError):
            store.load(StrategySid(copy["sid"]["S"]), int(copy["sk"]["S"][2:]))

    def test_settings_moved_to_another_account_do_not_decrypt(self, moto: DynamoDb) -> None:
        store = a_store(moto)
        store.create(full.HEAD, settings())
        stolen = {**version_item(moto), "accountId": {"S": "other"}}
        moto.client.put_item(TableName=moto.tables.strategies, Item=stolen)
        with pytest.raises(SealBrokenError):
            store.load(full.STRATEGY, 1)


class TestTheCache:
    """Versions never change, so each is read once and cached, up to a maximum number."""

    def test_a_version_is_read_once(self, moto: DynamoDb) -> None:
        store, meter = a_store(moto), Meter(moto.tables)
        store.create(full.HEAD, settings())
        meter.watch(moto.client.api)
        first = store.load(full.STRATEGY, 1)
        assert store.load(full.STRATEGY, 1) is first
        assert meter.total.calls == {"dynamodb.GetItem": 1}

    def test_the_least_recently_used_version_is_evicted(self, moto: DynamoDb) -> None:
        store, meter = a_store(moto, max_cached=2), Meter(moto.tables)
        sids = [StrategySid(f"s-{number}") for number in range(3)]
        for sid in sids:
            store.create(replace(full.HEAD, sid=sid, name=sid), settings())
        store.load(sids[0], 1)
        store.load(sids[1], 1)
        store.load(sids[0], 1)
        store.load(sids[2], 1)
        meter.watch(moto.client.api)
        store.load(sids[0], 1)
        assert meter.total.trips == {}
        store.load(sids[1], 1)
        assert meter.total.trips == {"dynamodb": 1}


class TestFlags:
    """The flags of the queue and of the strategy are read in one request."""

    def test_both_flags_cost_one_trip_and_two_read_units(self, moto: DynamoDb) -> None:
        store, meter = a_store(moto), Meter(moto.tables)
        store.create(full.HEAD, settings())
        meter.watch(moto.client.api)
        store.flags(full.ACCOUNT, full.STRATEGY)
        assert meter.total.calls == {"dynamodb.BatchGetItem": 1}
        assert meter.total.trips == {"dynamodb": 1}
        assert meter.total.read_units == 2
