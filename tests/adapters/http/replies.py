"""Services that give the answers they are told to, over botocore's own path."""

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
    """What DynamoDB answers to a request it does not carry out."""
    return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **members}


def canceled(*reasons: str) -> Reply:
    """What DynamoDB answers to a transaction it does not carry out."""
    return refused("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in reasons])


def answering(session: boto3.Session, *replies: Reply) -> tuple[DynamoDbClient, list[dict[str, Any]]]:
    """A client that gets these replies one after another, the last one for ever; and what it has sent."""
    client: Any = connect(session)
    return client, answers(client, *replies)


def answers(client: Any, *replies: Reply) -> list[dict[str, Any]]:
    """From now on a client gets these replies, the last one for ever; and what it has sent."""
    sent: list[dict[str, Any]] = []

    def reply(request: Any, **_: object) -> AWSResponse:
        status, body = replies[min(len(sent), len(replies) - 1)]
        sent.append(json.loads(request.body or b"{}"))
        return AWSResponse(request.url, status, {}, _Raw(json.dumps(body).encode()))

    client.meta.events.register_first(f"before-send.{client.meta.service_model.service_name}", reply)
    return sent
