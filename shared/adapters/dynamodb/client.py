"""The part of DynamoDB's low-level client that the stores use, and how one is made.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from shared import __version__
from shared.adapters.dynamodb.attributes import Attributes
from shared.application.ports import OverloadedError

Answer = Mapping[str, Any]
"""A reply as botocore parsed it."""

MAX_ATTEMPTS = 4
"""How often a request is sent at most: after throttling, a server's fault, a lost connection, a conflict."""

USER_AGENT = f"ritornello/{__version__}"
"""What we are to AWS. Told, it costs nothing; else botocore makes its own anew twice for each request."""

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
_CONFLICT = "TransactionConflict"
_CONDITION = "ConditionalCheckFailed"
_FIRST_WAIT_SECONDS = 0.02


class DynamoDbClient(Protocol):
    """A client of one Region; thread-safe. Made with ``connect``."""

    def get_item(self, *, TableName: str, Key: Attributes, ConsistentRead: bool) -> Answer:
        """Read one item."""

    def batch_get_item(self, *, RequestItems: Mapping[str, Mapping[str, Any]]) -> Answer:
        """Read items of several tables; some may come back unread."""

    def query(self, **request: Any) -> Answer:  # noqa: ANN401 - which members there are depends on the query
        """Read one page of items of a partition."""

    def put_item(self, **request: Any) -> Answer:  # noqa: ANN401 - a condition is there or not
        """Write one item."""

    def delete_item(self, **request: Any) -> Answer:  # noqa: ANN401 - as above
        """Remove one item."""

    def transact_write_items(self, *, TransactItems: Sequence[Mapping[str, Any]]) -> Answer:
        """Write all of these items or none."""


def connect(session: boto3.Session, *, endpoint_url: str | None = None) -> DynamoDbClient:
    """A new client. It costs a tenth of a second: one for each process, made when it is first needed.

    Requests are repeated in botocore's standard mode; those that met a transaction under way, which that
    mode leaves to the caller, are repeated as well.
    """
    client: Any = session.client(
        "dynamodb",
        endpoint_url=endpoint_url,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
            parameter_validation=False,
            user_agent=USER_AGENT,
        ),
    )
    client.meta.events.register_last("needs-retry.dynamodb", _wait_after_conflict)
    client.meta.events.register_last("after-call.dynamodb", _raise_overload)
    found: DynamoDbClient = client
    return found


def failed_conditions(error: ClientError) -> list[bool]:
    """Which writes of a refused request failed by their condition; none where something else was wrong."""
    return [code == _CONDITION for code in _reasons(error.response)]


def _reasons(answer: Mapping[str, Any]) -> list[str]:
    code = answer.get("Error", {}).get("Code", "")
    if code == "TransactionCanceledException":
        return [reason.get("Code", "None") for reason in answer.get("CancellationReasons", [])]
    return [code.removesuffix("Exception")]


def _raise_overload(*, parsed: Answer, **_: object) -> None:
    """Raises: OverloadedError: the request was refused to the end because too much is asked of the table."""
    code = parsed.get("Error", {}).get("Code", "")
    if code in _OVERLOADED:
        raise OverloadedError(code)


def _wait_after_conflict(
    *, response: tuple[object, Answer] | None, attempts: int, **_: object
) -> float | None:
    """Seconds to wait before a request that met a transaction under way is sent again; None: it is not."""
    if response is None or attempts >= MAX_ATTEMPTS:
        return None
    reasons = _reasons(response[1])
    if _CONFLICT not in reasons or _CONDITION in reasons:
        return None
    return _FIRST_WAIT_SECONDS * (1 << (attempts - 1))
