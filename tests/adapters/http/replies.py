"""AWS clients that receive prepared replies instead of those of a service."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3

from dev.aws import database
from shared.adapters.aws.client import AwsClient
from shared.adapters.aws.http import HttpReply as RawReply
from shared.adapters.aws.http import Transport
from shared.adapters.dynamodb.client import DynamoDbClient
from tests.engines import PROMPT

Reply = tuple[int, Mapping[str, Any]]


def refused(code: str, **members: object) -> Reply:
    """Return DynamoDB's reply to a request that it refuses."""
    return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **members}


def throttling() -> RawReply:
    """Return the reply to a request that DynamoDB throttles."""
    return raw(refused("ThrottlingException"))


def canceled(*reasons: str) -> Reply:
    """Return DynamoDB's reply to a transaction that it refuses."""
    return refused("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in reasons])


def raw(reply: Reply) -> RawReply:
    """Return a reply as it arrives."""
    status, body = reply
    return RawReply(status=status, headers={}, body=json.dumps(body).encode())


@dataclass
class Prepared:
    """A transport that answers, or raises, as ``reply`` says: it gets the operation and the request."""

    reply: Callable[[str, dict[str, Any]], RawReply]
    sent: list[dict[str, Any]] = field(default_factory=list)

    def send(self, _method: str, _path: str, headers: Mapping[str, str], body: bytes) -> RawReply:
        request = json.loads(body or b"{}")
        self.sent.append(request)
        return self.reply(headers.get("x-amz-target", "").rpartition(".")[2], request)

    def close(self) -> None: ...


@dataclass
class Instead:
    """A transport that answers some requests itself: those for which ``reply`` returns a reply, or raises."""

    transport: Transport
    reply: Callable[[str, bytes], RawReply | None]

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> RawReply:
        found = self.reply(headers.get("x-amz-target", "").rpartition(".")[2], body)
        return self.transport.send(method, path, headers, body) if found is None else found

    def close(self) -> None:
        self.transport.close()


def answering(session: boto3.Session, *replies: Reply) -> tuple[DynamoDbClient, list[dict[str, Any]]]:
    """Return a client that receives these replies in order, the last one repeatedly, and the list of its requests."""
    client = database(session, timing=PROMPT)
    return client, answers(client.api, *replies)


def answers(client: AwsClient, *replies: Reply) -> list[dict[str, Any]]:
    """Let a client receive these replies from now on, the last one repeatedly.

    Return the list of its requests.
    """
    left = list(replies)

    def reply(_operation: str, _request: dict[str, Any]) -> RawReply:
        return raw(left.pop(0) if len(left) > 1 else left[0])

    transport = client.transport = Prepared(reply)
    return transport.sent


def fails(client: AwsClient, error: Exception) -> list[dict[str, Any]]:
    """Let a client fail from now on, and return the list of its requests."""

    def reply(_operation: str, _request: dict[str, Any]) -> RawReply:
        raise error

    transport = client.transport = Prepared(reply)
    return transport.sent
