"""A golden: a value of the domain, how a store writes it, and how a store reads it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from shared.adapters.crypto import AesGcmSealer, KmsDataKeys, LocalDataKey
from shared.adapters.dynamodb.access import DynamoDbAccess
from shared.adapters.dynamodb.instances import DynamoDbInstances
from shared.adapters.dynamodb.strategies import DynamoDbStrategies
from shared.adapters.dynamodb.webhooks import DynamoDbWebhooks
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.retention import Retention
from tests.engines import DynamoDb, Stores, on_dynamodb

ACCOUNT = AccountId("acme")
STRATEGY = StrategySid("01890a5d-ac96-774b-bcce-b302099a0001")
SID = InstanceSid("01890a5d-ac96-774b-bcce-b302099a8057")

DATA_KEY = bytes(range(32))
KMS_KEY = "arn:aws:kms:eu-central-1:123456789012:key/golden"


class Golden(Struct, frozen=True, kw_only=True):
    """A value under the name of its files, without their schema number.

    ``write`` stores it in empty tables, and ``read`` returns ``value`` from the stores.
    ``until`` is the last schema number under which it can be written, None for the current one: set it if that number's
    items are read as a value that is stored no more.
    """

    name: str
    value: object
    write: Callable[[Stores], None]
    read: Callable[[Stores], object]
    until: int | None = None


def at(day: int, hour: int = 9, *, microsecond: int = 0) -> datetime:
    """Return an instant in March 2026."""
    return datetime(2026, 3, day, hour, 30, 0, microsecond, tzinfo=UTC)


class FakeKms:
    """KMS with one data key, which it wraps in the same bytes every time."""

    _WRAPPED = b"the data key, wrapped"

    def generate_data_key(self, *, key_id: str, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        assert (key_id, list(context)) == (KMS_KEY, ["settings"])
        return DATA_KEY, self._WRAPPED

    def decrypt(self, encrypted: bytes, *, key_id: str, context: Mapping[str, str]) -> bytes:
        assert (encrypted, key_id, list(context)) == (self._WRAPPED, KMS_KEY, ["settings"])
        return DATA_KEY


def under_local_key(dynamodb: DynamoDb) -> Stores:
    """Return stores that encrypt with one local key."""
    return _stores(dynamodb, AesGcmSealer(keys=LocalDataKey(DATA_KEY), entropy=bytes))


def under_kms(stores: Stores) -> Stores:
    """Return the stores with strategies that encrypt with data keys of KMS."""
    sealer = AesGcmSealer(keys=KmsDataKeys(client=FakeKms(), key_id=KMS_KEY), entropy=bytes)
    assert isinstance(stores.strategies, DynamoDbStrategies)
    return replace(stores, strategies=replace(stores.strategies, sealer=sealer))


def expiring(golden: Golden) -> Golden:
    """Return the golden as a deployment writes it in which records and audit entries expire."""
    return replace(golden, write=lambda stores: golden.write(_with_expiry(stores)))


def _with_expiry(stores: Stores) -> Stores:
    kept = Retention(records=timedelta(days=90), audit=timedelta(days=365))
    assert isinstance(stores.instances, DynamoDbInstances)
    assert isinstance(stores.access, DynamoDbAccess)
    return replace(
        stores,
        instances=replace(stores.instances, retention=kept),
        access=replace(stores.access, retention=kept),
    )


def _stores(dynamodb: DynamoDb, sealer: AesGcmSealer) -> Stores:
    client, tables = dynamodb.client, dynamodb.tables
    return replace(
        on_dynamodb(dynamodb),
        # The sealer is not that of the other tests: what it encrypted must be readable as long as its file is.
        strategies=DynamoDbStrategies(client=client, sealer=sealer, environment="dev", tables=tables),
        webhooks=DynamoDbWebhooks(client=client, sealer=sealer, tables=tables),
    )
