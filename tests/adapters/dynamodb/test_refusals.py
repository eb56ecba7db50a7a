"""Requests that DynamoDB refuses."""

import json

import boto3
import pytest

from shared.adapters.aws.client import MAX_ATTEMPTS
from shared.adapters.aws.credentials import NoCredentialsError
from shared.adapters.aws.errors import AwsError, UnansweredError
from shared.adapters.dynamodb.access import DynamoDbAccess
from shared.adapters.dynamodb.instances import DynamoDbInstances
from shared.adapters.dynamodb.limits import DynamoDbLimits
from shared.adapters.dynamodb.operations import DynamoDbOperations
from shared.adapters.dynamodb.reading import MAX_READS
from shared.adapters.dynamodb.strategies import DynamoDbStrategies
from shared.adapters.dynamodb.tables import Tables, flags_key, head_key
from shared.application.ports import ConnectionLostError, OverloadedError, StaleRevError
from shared.domain.errors import StoredShapeError
from shared.domain.instance.model import BlockedBy
from shared.domain.limits.state import LimitState
from tests import full
from tests.adapters.http.replies import Reply, answering, canceled, fails, refused
from tests.engines import a_sealer

DONE: Reply = (200, {})


def commit(session: boto3.Session, *replies: Reply, audited: bool = False) -> int:
    """Commit an instance and return the number of requests that were sent."""
    client, sent = answering(session, *replies)
    audit = full.AUDIT if audited else None
    try:
        DynamoDbInstances(client=client).commit(full.INSTANCE, audit=audit)
    finally:
        assert len({str(request) for request in sent}) == 1
    return len(sent)


class TestConflicts:
    """Another transaction on the item is in progress, so the request is sent again."""

    def test_a_single_write_is_sent_again(self, session: boto3.Session) -> None:
        assert commit(session, refused("TransactionConflictException"), DONE) == 2

    def test_a_transaction_is_sent_again(self, session: boto3.Session) -> None:
        assert commit(session, canceled("None", "TransactionConflict"), DONE, audited=True) == 2

    def test_a_lasting_conflict_is_an_overload(self, session: boto3.Session) -> None:
        client, sent = answering(session, refused("TransactionConflictException"))
        with pytest.raises(OverloadedError, match="TransactionConflictException"):
            DynamoDbInstances(client=client).commit(full.INSTANCE)
        assert len(sent) == MAX_ATTEMPTS

    def test_a_lasting_conflict_of_a_transaction_is_an_overload(self, session: boto3.Session) -> None:
        client, sent = answering(session, canceled("TransactionConflict", "None"))
        with pytest.raises(OverloadedError):
            DynamoDbInstances(client=client).commit(full.INSTANCE, audit=full.AUDIT)
        assert len(sent) == MAX_ATTEMPTS

    def test_a_journal_entry_refused_by_a_conflict_is_not_stored(self, session: boto3.Session) -> None:
        client, _ = answering(session, refused("TransactionConflictException"))
        with pytest.raises(OverloadedError, match="TransactionConflictException"):
            DynamoDbInstances(client=client).append(full.INSTANCE, full.ENTRY)

    def test_a_failed_condition_counts_despite_a_conflict(self, session: boto3.Session) -> None:
        with pytest.raises(StaleRevError):
            commit(session, canceled("ConditionalCheckFailed", "TransactionConflict"), audited=True)


class TestThrottling:
    """DynamoDB throttles requests."""

    def test_a_write_is_sent_again(self, session: boto3.Session) -> None:
        assert commit(session, refused("ThrottlingException"), DONE) == 2

    @pytest.mark.parametrize("code", ["ThrottlingException", "ProvisionedThroughputExceededException"])
    def test_lasting_throttling_is_an_overload(self, session: boto3.Session, code: str) -> None:
        client, sent = answering(session, refused(code))
        with pytest.raises(OverloadedError, match=code):
            DynamoDbInstances(client=client).commit(full.INSTANCE)
        assert len(sent) == MAX_ATTEMPTS

    def test_throttling_is_an_overload_in_every_store(self, session: boto3.Session) -> None:
        client, _ = answering(session, refused("ThrottlingException"))
        strategies = DynamoDbStrategies(client=client, sealer=a_sealer(), environment="dev")
        with pytest.raises(OverloadedError):
            strategies.head(full.STRATEGY)
        with pytest.raises(OverloadedError):
            DynamoDbAccess(client=client).put_key(full.KEY)
        with pytest.raises(OverloadedError):
            DynamoDbOperations(client=client).commit(full.DRAIN)

    @pytest.mark.parametrize("reason", ["ThrottlingError", "ProvisionedThroughputExceeded"])
    def test_a_throttled_write_of_a_transaction_is_sent_again(
        self, session: boto3.Session, reason: str
    ) -> None:
        assert commit(session, canceled("None", reason), DONE, audited=True) == 2

    def test_lasting_throttling_of_a_transaction_is_an_overload(self, session: boto3.Session) -> None:
        client, sent = answering(session, canceled("ThrottlingError", "None"))
        with pytest.raises(OverloadedError):
            DynamoDbInstances(client=client).commit(full.INSTANCE, audit=full.AUDIT)
        assert len(sent) == MAX_ATTEMPTS

    def test_a_failed_condition_counts_despite_throttling(self, session: boto3.Session) -> None:
        with pytest.raises(StaleRevError):
            commit(session, canceled("ConditionalCheckFailed", "ThrottlingError"), audited=True)


class TestLostConnections:
    """DynamoDB fails, or cannot be reached."""

    def test_a_lasting_failure_is_a_lost_connection(self, session: boto3.Session) -> None:
        client, sent = answering(session, (500, {"__type": "InternalServerError"}))
        with pytest.raises(ConnectionLostError, match="HTTP 500"):
            DynamoDbInstances(client=client).commit(full.INSTANCE)
        assert len(sent) == MAX_ATTEMPTS

    def test_a_request_without_an_answer_is_a_lost_connection(self, session: boto3.Session) -> None:
        client, _ = answering(session, DONE)
        sent = fails(client.api, UnansweredError("ReadTimeoutError: too late"))

        with pytest.raises(ConnectionLostError, match="too late"):
            DynamoDbInstances(client=client).load(full.INSTANCE.sid)
        assert len(sent) == MAX_ATTEMPTS

    def test_another_error_is_raised_as_it_is(self, session: boto3.Session) -> None:
        client, _ = answering(session, DONE)
        fails(client.api, NoCredentialsError("none"))

        with pytest.raises(NoCredentialsError):
            DynamoDbInstances(client=client).load(full.INSTANCE.sid)


class TestConditions:
    """Only the failed condition of the instance means that another writer was faster."""

    def test_a_failed_condition_of_the_instance_is_stale(self, session: boto3.Session) -> None:
        with pytest.raises(StaleRevError):
            commit(session, canceled("ConditionalCheckFailed", "None"), audited=True)

    def test_a_failed_condition_of_a_record_alone_is_raised(self, session: boto3.Session) -> None:
        with pytest.raises(AwsError, match="TransactionCanceledException"):
            commit(session, canceled("None", "ConditionalCheckFailed"), audited=True)

    def test_another_error_is_raised(self, session: boto3.Session) -> None:
        with pytest.raises(AwsError, match="ValidationException"):
            commit(session, refused("ValidationException"))

    def test_an_operation_that_cannot_be_stored_is_raised(self, session: boto3.Session) -> None:
        client, _ = answering(session, refused("ValidationException"))
        with pytest.raises(AwsError, match="ValidationException"):
            DynamoDbOperations(client=client).remove(full.DRAIN)

    def test_a_version_that_cannot_be_stored_is_raised(self, session: boto3.Session) -> None:
        client, _ = answering(session, canceled("None", "ValidationError", "None"))
        store = DynamoDbStrategies(client=client, sealer=a_sealer(), environment="dev")
        with pytest.raises(AwsError, match="TransactionCanceledException"):
            store.replace(full.HEAD, {}, before=full.HEAD, audit=full.AUDIT)

    def test_a_strategy_that_cannot_be_stored_is_raised(self, session: boto3.Session) -> None:
        client, _ = answering(session, canceled("None", "ValidationError", "None"))
        store = DynamoDbStrategies(client=client, sealer=a_sealer(), environment="dev")
        with pytest.raises(AwsError, match="TransactionCanceledException"):
            store.create(full.HEAD, {})


QUEUE = {k: {"S": v} for k, v in flags_key(full.ACCOUNT).items()}
HEAD = {k: {"S": v} for k, v in head_key(full.STRATEGY).items()}


class TestFlagsLeftUnread:
    """A batch may leave items unread. A missing answer does not mean "not paused"."""

    def test_unread_flags_are_read_again(self, session: boto3.Session) -> None:
        names = Tables()
        flags = {
            **QUEUE,
            "accountId": {"S": "acme"},
            "schema": {"N": "1"},
            "queuePaused": {"BOOL": True},
        }
        left = {names.access: {"Keys": [QUEUE], "ConsistentRead": True}}
        client, sent = answering(
            session,
            (200, {"Responses": {names.strategies: []}, "UnprocessedKeys": left}),
            (200, {"Responses": {names.access: [flags]}, "UnprocessedKeys": {}}),
        )
        store = DynamoDbStrategies(client=client, sealer=a_sealer(), environment="dev")
        assert store.flags(full.ACCOUNT, full.STRATEGY).blocked_by is BlockedBy.QUEUE
        assert [request["RequestItems"] for request in sent] == [
            {
                names.access: {"Keys": [QUEUE], "ConsistentRead": True},
                names.strategies: {"Keys": [HEAD], "ConsistentRead": True},
            },
            left,
        ]

    def test_flags_that_stay_unread_are_an_overload(self, session: boto3.Session) -> None:
        left = {"access": {"Keys": [QUEUE], "ConsistentRead": True}}
        client, sent = answering(session, (200, {"Responses": {}, "UnprocessedKeys": left}))
        store = DynamoDbStrategies(client=client, sealer=a_sealer(), environment="dev")
        with pytest.raises(OverloadedError):
            store.flags(full.ACCOUNT, full.STRATEGY)
        assert len(sent) == MAX_READS

    def test_settings_that_are_not_an_object_are_refused(self, session: boto3.Session) -> None:
        sealed = a_sealer().seal(b"[]", context=json.dumps(["acme", full.STRATEGY, 1]))
        parts = {"iv": sealed.iv, "hash": sealed.hash, "encryptedText": sealed.encrypted_text}
        item = {
            "sid": {"S": full.STRATEGY},
            "accountId": {"S": "acme"},
            "schema": {"N": "1"},
            "sk": {"S": "v#00000001"},
            "name": {"S": "gym"},
            "settings": {"M": {**{n: {"S": v} for n, v in parts.items()}, "key": {"NULL": True}}},
        }
        client, _ = answering(session, (200, {"Item": item}))
        store = DynamoDbStrategies(client=client, sealer=a_sealer(), environment="dev")
        with pytest.raises(StoredShapeError, match="settings are not an object"):
            store.load(full.STRATEGY, 1)

    def test_settings_that_are_not_sealed_are_refused(self, session: boto3.Session) -> None:
        item = {
            "sid": {"S": full.STRATEGY},
            "accountId": {"S": "acme"},
            "schema": {"N": "1"},
            "sk": {"S": "v#00000001"},
            "name": {"S": "gym"},
            "settings": {"S": "{}"},
        }
        client, _ = answering(session, (200, {"Item": item}))
        store = DynamoDbStrategies(client=client, sealer=a_sealer(), environment="dev")
        with pytest.raises(StoredShapeError, match="not stored in the sealed form"):
            store.load(full.STRATEGY, 1)


class TestTheStateOfALimit:
    """A state that a newer version of the code wrote is refused, and left to that version."""

    @pytest.mark.parametrize("schema", ["0", "2", "99"])
    def test_another_schema_is_refused(self, session: boto3.Session, schema: str) -> None:
        client, _ = answering(session, (200, {"Item": {"schema": {"N": schema}}}))
        store = DynamoDbLimits(client=client, report=lambda _, error: pytest.fail(str(error)))

        with pytest.raises(StoredShapeError, match=f"schema '?{schema}'? instead of 1"):
            store.load(full.ACCOUNT, "https://shop.example.test")

    def test_the_known_schema_is_read(self, session: boto3.Session) -> None:
        client, _ = answering(
            session, (200, {"Item": {"schema": {"N": "1"}, "accountId": {"S": "acme"}, "future": {"N": "7"}}})
        )
        store = DynamoDbLimits(client=client, report=lambda _, error: pytest.fail(str(error)))

        assert store.load(full.ACCOUNT, "https://shop.example.test") == LimitState()
