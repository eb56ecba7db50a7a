"""The part of DynamoDB's low-level client that the stores use, and how a client is made.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnectedError

from shared import __version__
from shared.adapters.dynamodb.attributes import Attributes
from shared.adapters.threads import MAX_THREADS
from shared.application.ports import ConnectionLostError, OverloadedError

Answer = Mapping[str, Any]
"""A response as parsed by botocore."""

MAX_ATTEMPTS = 4
"""How often a request is sent at most: again after throttling, a server error, a lost connection or a conflict."""

USER_AGENT = f"ritornello/{__version__}"
"""The user agent of our requests."""

CONNECT_SECONDS = 2
READ_SECONDS = 5

_OVERLOADED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TransactionInProgressException",
    }
)
# DynamoDB says so of each write of a refused transaction, and of a write that meets a transaction. botocore does not
# know these and does not send again.
_TO_BE_REPEATED = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded", "TransactionConflict"})
_CONDITION = "ConditionalCheckFailed"
_FIRST_WAIT_SECONDS = 0.02


class DynamoDbClient(Protocol):
    """A thread-safe client for one Region, made by ``connect``."""

    def get_item(self, *, TableName: str, Key: Attributes, ConsistentRead: bool) -> Answer:
        """Read one item."""

    def batch_get_item(self, *, RequestItems: Mapping[str, Mapping[str, Any]]) -> Answer:
        """Read items of several tables. Some may be left unread."""

    def query(self, **request: Any) -> Answer:  # noqa: ANN401 - which members there are depends on the query
        """Read one page of the items of a partition."""

    def put_item(self, **request: Any) -> Answer:  # noqa: ANN401 - a condition is there or not
        """Write one item."""

    def update_item(self, **request: Any) -> Answer:  # noqa: ANN401 - as above
        """Change attributes of one item."""

    def delete_item(self, **request: Any) -> Answer:  # noqa: ANN401 - as above
        """Delete one item."""

    def batch_write_item(self, *, RequestItems: Mapping[str, Any]) -> Answer:
        """Write or delete up to 25 items, each by itself. Some may be left unwritten."""

    def transact_get_items(self, *, TransactItems: Sequence[Mapping[str, Any]]) -> Answer:
        """Read these items as they are at one instant."""

    def transact_write_items(self, *, TransactItems: Sequence[Mapping[str, Any]]) -> Answer:
        """Write all of these items or none."""


def connect(session: boto3.Session, *, endpoint_url: str | None = None) -> DynamoDbClient:
    """Return a new client. Making one takes a tenth of a second, so each process makes one at its first use."""
    client: Any = session.client(
        "dynamodb",
        endpoint_url=endpoint_url,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
            parameter_validation=False,
            max_pool_connections=MAX_THREADS,  # else each further thread opens a connection for each request
            user_agent=USER_AGENT,  # else botocore computes its own twice for each request
        ),
    )
    # botocore's standard mode repeats throttled requests, but leaves transaction conflicts to the caller.
    client.meta.events.register_last("needs-retry.dynamodb", _wait_after_cancellation)
    client.meta.events.register_last("after-call.dynamodb", _raise_unavailable)
    client.meta.events.register_last("after-call-error.dynamodb", _raise_lost_connection)
    typed: DynamoDbClient = client
    return typed


def failed_conditions(error: ClientError) -> list[bool]:
    """Return which writes of a refused request failed by their condition.

    The list is empty for any other error.
    """
    return [code == _CONDITION for code in _reasons(error.response)]


def _reasons(answer: Mapping[str, Any]) -> list[str]:
    code = answer.get("Error", {}).get("Code", "")
    if code == "TransactionCanceledException":
        return [reason.get("Code", "None") for reason in answer.get("CancellationReasons", [])]
    return [code.removesuffix("Exception")]


def _raise_unavailable(*, parsed: Answer, **_: object) -> None:
    """Raise OverloadedError after throttling or a conflict, ConnectionLostError if DynamoDB failed."""
    code = parsed.get("Error", {}).get("Code", "")
    if code in _OVERLOADED or _may_be_repeated(_reasons(parsed)):
        raise OverloadedError(code)
    status = parsed.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ConnectionLostError(f"DynamoDB returned HTTP {status} ({code})")


def _raise_lost_connection(*, exception: Exception, **_: object) -> None:
    """Raise ConnectionLostError if the last attempt of a request could not be sent, or got no answer."""
    if isinstance(exception, HTTPClientError | NotConnectedError):
        raise ConnectionLostError(str(exception)) from exception


def _may_be_repeated(reasons: Sequence[str]) -> bool:
    """Return whether writes were throttled or met other transactions, and no condition failed."""
    return not _TO_BE_REPEATED.isdisjoint(reasons) and _CONDITION not in reasons


def _wait_after_cancellation(
    *, response: tuple[object, Answer] | None, attempts: int, **_: object
) -> float | None:
    """Return the seconds until a transaction that met a conflict or was throttled is sent again, or None."""
    if response is None or attempts >= MAX_ATTEMPTS:
        return None
    if not _may_be_repeated(_reasons(response[1])):
        return None
    return _FIRST_WAIT_SECONDS * (1 << (attempts - 1))
