"""The operations of DynamoDB that the stores use.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from shared.adapters.aws.client import Answer, AwsClient, Refusal, json_request, refusal_of
from shared.adapters.aws.errors import AwsError
from shared.adapters.aws.http import Patience
from shared.adapters.aws.session import AwsSession
from shared.adapters.dynamodb.attributes import Attributes
from shared.adapters.threads import MAX_THREADS

PATIENCE: Final = Patience(connect=2, read=5)

_OPERATIONS = (
    "BatchGetItem",
    "BatchWriteItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateItem",
)
_REQUESTS = {name: json_request(f"DynamoDB_20120810.{name}", "1.0") for name in _OPERATIONS}
_CONDITION = "ConditionalCheckFailed"
_CONFLICT = "TransactionConflict"
# DynamoDB says so of each write of a refused transaction.
_THROTTLED = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded"})


class DynamoDbClient(Struct, frozen=True):
    """DynamoDB in one Region. Its operations have the API's own members, and raise the errors of ``AwsClient.call``.

    ``entropy`` returns a number of random bytes.
    """

    api: AwsClient
    entropy: Callable[[int], bytes]

    def get_item(self, *, TableName: str, Key: Attributes, ConsistentRead: bool) -> Answer:
        """Read one item."""
        return self._call("GetItem", {"TableName": TableName, "Key": Key, "ConsistentRead": ConsistentRead})

    def batch_get_item(self, *, RequestItems: Mapping[str, Mapping[str, Any]]) -> Answer:
        """Read items of several tables. Some may be left unread."""
        return self._call("BatchGetItem", {"RequestItems": RequestItems})

    def query(self, **request: Any) -> Answer:  # noqa: ANN401 - which members there are depends on the query
        """Read one page of the items of a partition."""
        return self._call("Query", request)

    def put_item(self, **request: Any) -> Answer:  # noqa: ANN401 - a condition is there or not
        """Write one item."""
        return self._call("PutItem", request)

    def update_item(self, **request: Any) -> Answer:  # noqa: ANN401 - as above
        """Change attributes of one item."""
        return self._call("UpdateItem", request)

    def delete_item(self, **request: Any) -> Answer:  # noqa: ANN401 - as above
        """Delete one item."""
        return self._call("DeleteItem", request)

    def batch_write_item(self, *, RequestItems: Mapping[str, Any]) -> Answer:
        """Write or delete up to 25 items, each by itself. Some may be left unwritten."""
        return self._call("BatchWriteItem", {"RequestItems": RequestItems})

    def transact_get_items(self, *, TransactItems: Sequence[Mapping[str, Any]]) -> Answer:
        """Read these items as they are at one instant."""
        return self._call("TransactGetItems", {"TransactItems": TransactItems})

    def transact_write_items(self, *, TransactItems: Sequence[Mapping[str, Any]]) -> Answer:
        """Write all of these items or none."""
        # By the token DynamoDB knows a repeat whose first answer was lost.
        token = self.entropy(16).hex()
        return self._call("TransactWriteItems", {"TransactItems": TransactItems, "ClientRequestToken": token})

    def close(self) -> None:
        """Close the connections."""
        self.api.close()

    def _call(self, operation: str, request: Mapping[str, Any]) -> Answer:
        return self.api.call(operation, request, _REQUESTS[operation])


def connect(
    session: AwsSession, *, entropy: Callable[[int], bytes], url: str | None = None
) -> DynamoDbClient:
    """Return a new client with a connection for each thread."""
    api = session.client(
        "dynamodb", patience=PATIENCE, connections=MAX_THREADS, refusal=refusal_by_dynamodb, url=url
    )
    return DynamoDbClient(api, entropy)


def failed_conditions(error: AwsError) -> list[bool]:
    """Return which writes of a refused request failed by their condition.

    The list is empty for any other error.
    """
    return [code == _CONDITION for code in _reasons(error)]


def refusal_by_dynamodb(error: AwsError) -> Refusal:
    """Return the kind of a refusal.

    A write that meets a transaction, or a transaction that does, is sent again, unless a condition has failed too.
    """
    reasons = _reasons(error)
    if _CONDITION in reasons:
        return Refusal.FINAL
    if not _THROTTLED.isdisjoint(reasons):
        return Refusal.THROTTLED
    return Refusal.CONFLICT if _CONFLICT in reasons else refusal_of(error)


def _reasons(error: AwsError) -> list[str]:
    if error.code == "TransactionCanceledException":
        return [reason.get("Code", "None") for reason in error.body.get("CancellationReasons", [])]
    return [error.code.removesuffix("Exception")]
