"""The operations of other services than DynamoDB that are called often.

Source: https://docs.aws.amazon.com/kms/latest/APIReference; https://docs.aws.amazon.com/scheduler/latest/APIReference;
https://docs.aws.amazon.com/lambda/latest/api; https://docs.aws.amazon.com/secretsmanager/latest/apireference;
https://docs.aws.amazon.com/systems-manager/latest/APIReference;
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference;
https://docs.aws.amazon.com/eventbridge/latest/APIReference.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from shared.adapters.aws.client import Answer, AwsClient, Request, json_request

_GENERATE = json_request("TrentService.GenerateDataKey", "1.1")
_DECRYPT = json_request("TrentService.Decrypt", "1.1")
_GET_SECRET = json_request("secretsmanager.GetSecretValue", "1.1")
_GET_PARAMETER = json_request("AmazonSSM.GetParameter", "1.1")
_SEND = json_request("AmazonSQS.SendMessageBatch", "1.0")
_HIDE = json_request("AmazonSQS.ChangeMessageVisibility", "1.0")
_PUT_EVENTS = json_request("AWSEvents.PutEvents", "1.1")
_JSON = {"content-type": "application/json"}


class Kms(Struct, frozen=True):
    """Key Management Service. Binary members are bytes."""

    client: AwsClient

    def generate_data_key(self, *, key_id: str, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return a new data key of 256 bits, plain and encrypted."""
        request = {"KeyId": key_id, "KeySpec": "AES_256", "EncryptionContext": context}
        answer = self.client.call("GenerateDataKey", request, _GENERATE)
        return b64decode(answer["Plaintext"]), b64decode(answer["CiphertextBlob"])

    def decrypt(self, encrypted: bytes, *, key_id: str, context: Mapping[str, str]) -> bytes:
        """Decrypt an encrypted data key."""
        request = {
            "KeyId": key_id,
            "CiphertextBlob": b64encode(encrypted).decode(),
            "EncryptionContext": context,
        }
        return b64decode(self.client.call("Decrypt", request, _DECRYPT)["Plaintext"])


class Scheduler(Struct, frozen=True):
    """EventBridge Scheduler."""

    client: AwsClient

    def create_schedule(self, name: str, schedule: Mapping[str, Any]) -> None:
        """Create a schedule. It has no token: its name says whether a repeat finds the first one's."""
        self.client.call("CreateSchedule", {"Name": name, **schedule}, _create_schedule)


class Functions(Struct, frozen=True):
    """Lambda."""

    client: AwsClient

    def invoke_later(self, function: str, payload: Mapping[str, Any]) -> None:
        """Invoke a function asynchronously."""
        self.client.call("Invoke", {"FunctionName": function, "Payload": payload}, _invoke_later)


class SecretsManager(Struct, frozen=True):
    """Secrets Manager."""

    client: AwsClient

    def get_secret_value(self, secret_id: str) -> Answer:
        """Return the current version of a secret."""
        return self.client.call("GetSecretValue", {"SecretId": secret_id}, _GET_SECRET)


class Ssm(Struct, frozen=True):
    """Systems Manager, which has Parameter Store."""

    client: AwsClient

    def get_parameter(self, name: str) -> Answer:
        """Return the current version of a parameter, decrypted."""
        return self.client.call("GetParameter", {"Name": name, "WithDecryption": True}, _GET_PARAMETER)


class Sqs(Struct, frozen=True):
    """Simple Queue Service."""

    client: AwsClient

    def send_message_batch(self, url: str, entries: Sequence[Mapping[str, Any]]) -> Answer:
        """Send messages to a queue, each by itself."""
        return self.client.call("SendMessageBatch", {"QueueUrl": url, "Entries": entries}, _SEND)

    def change_message_visibility(self, url: str, receipt: str, *, seconds: int) -> None:
        """Hide a received message for some seconds."""
        request = {"QueueUrl": url, "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
        self.client.call("ChangeMessageVisibility", request, _HIDE)


class EventBridge(Struct, frozen=True):
    """EventBridge."""

    client: AwsClient

    def put_events(self, entries: Sequence[Mapping[str, Any]]) -> Answer:
        """Send events to buses, each by itself."""
        return self.client.call("PutEvents", {"Entries": entries}, _PUT_EVENTS)


def _create_schedule(request: Mapping[str, Any]) -> Request:
    members = {name: value for name, value in request.items() if name != "Name"}
    return Request(
        path=f"/schedules/{quote(request['Name'], safe='')}",
        body=json.dumps(members, separators=(",", ":")).encode(),
        headers=_JSON,
    )


def _invoke_later(request: Mapping[str, Any]) -> Request:
    return Request(
        path=f"/2015-03-31/functions/{quote(request['FunctionName'], safe='')}/invocations",
        body=json.dumps(request["Payload"]).encode(),
        headers={**_JSON, "x-amz-invocation-type": "Event"},
    )
