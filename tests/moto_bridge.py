"""Lets moto answer our own AWS clients in this process, as it answers those of botocore."""

from collections.abc import Mapping
from threading import Lock
from typing import Any

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from moto.core.models import botocore_stubber

from shared.adapters.aws.http import HttpReply, HttpTransport

_send = HttpTransport.send
_one_at_a_time = Lock()


def bridge() -> None:
    """Send requests to moto while it mocks AWS, and else where they go."""
    HttpTransport.send = _answered  # type: ignore[method-assign]


def _answered(
    self: HttpTransport, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> HttpReply:
    found = _by_moto(self.url + path, method, headers, body) if botocore_stubber.enabled else None
    return _send(self, method, path, headers, body) if found is None else found


def _by_moto(url: str, method: str, headers: Mapping[str, str], body: bytes) -> HttpReply | None:
    """Return moto's answer, or None if it mocks nothing at this address."""
    sent: Any = HTTPHeaders()
    for name, value in headers.items():
        sent[name] = value
    # Moto copies its tables while it reads them, and is not made for threads.
    with _one_at_a_time:
        found = botocore_stubber.process_request(
            AWSPreparedRequest(method=method, url=url, headers=sent, body=body, stream_output=False)
        )
    if found is None:
        return None
    status, answered, content = found
    data = content.encode() if isinstance(content, str) else content
    return HttpReply(
        status=status, headers={name.lower(): str(value) for name, value in answered.items()}, body=data
    )
