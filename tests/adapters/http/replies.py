"""AWS clients that receive prepared replies through botocore's own path."""

import json
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse

from shared.adapters.dynamodb.client import DynamoDbClient, connect

Reply = tuple[int, Mapping[str, Any]]


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> list[bytes]:
        return [self._body]


def refused(code: str, **members: object) -> Reply:
    """Return DynamoDB's reply to a request that it refuses."""
    return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **members}


def throttling(request: Any) -> AWSResponse:
    """Return the response to a request that DynamoDB throttles."""
    status, body = refused("ThrottlingException")
    return AWSResponse(request.url, status, {}, _Raw(json.dumps(body).encode()))


def canceled(*reasons: str) -> Reply:
    """Return DynamoDB's reply to a transaction that it refuses."""
    return refused("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in reasons])


def answering(session: boto3.Session, *replies: Reply) -> tuple[DynamoDbClient, list[dict[str, Any]]]:
    """Return a client that receives these replies in order, the last one repeatedly, and the list of its requests."""
    client: Any = connect(session)
    return client, answers(client, *replies)


def answers(client: Any, *replies: Reply) -> list[dict[str, Any]]:
    """Let a client receive these replies from now on, the last one repeatedly.

    Return the list of its requests.
    """
    sent: list[dict[str, Any]] = []

    def reply(request: Any, **_: object) -> AWSResponse:
        status, body = replies[min(len(sent), len(replies) - 1)]
        sent.append(json.loads(request.body or b"{}"))
        return AWSResponse(request.url, status, {}, _Raw(json.dumps(body).encode()))

    client.meta.events.register_first(f"before-send.{client.meta.service_model.service_name}", reply)
    return sent
