"""One HTTP request and its outcome.

Source: docs/design.md sections 3.7 and 9; docs/service-calls.md.
"""

import codecs
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException
from typing import NoReturn
from urllib.parse import urlencode

import requests
from requests.structures import CaseInsensitiveDict
from urllib3 import Timeout
from urllib3.exceptions import DecodeError, HTTPError

from shared.adapters.http.egress import NotSentError, RefusedAddressError
from shared.domain.steps.call import AddressRefused, TimedOut, Unreachable
from shared.domain.strategy.model import Json

MAX_BODY_BYTES = 128 * 1024
"""The longest body of a response, as sent and as decompressed."""

_FORM = "application/x-www-form-urlencoded"
_FIRST_FINAL_STATUS = 200
# The framing of a message is decided here, and an action may not ask for compression.
_NOT_THEIRS = frozenset(
    (
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
# Not every codec of Python: some are slow, and some accept bytes that are not text.
_CHARSETS = ("ascii", "cp1252", "iso8859-1", "iso8859-15", "utf-16", "utf-16-be", "utf-16-le")
_BROKEN = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A request to send. ``body`` is a JSON value, or None for no body. ``seconds`` is for the whole exchange."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    params: Mapping[str, str] = field(repr=False)
    body: Json = field(repr=False)
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A complete response. ``unusable`` says why its body was not read, or is None."""

    status: int
    content: bytes = field(default=b"", repr=False)
    charset: str = "utf-8-sig"
    unusable: str | None = None

    @property
    def text(self) -> str:
        """Return the body as text, with U+FFFD for bytes that do not decode."""
        return self.content.decode(self.charset, errors="replace")


def exchange(session: requests.Session, sending: Sending) -> Reply | TimedOut | Unreachable | AddressRefused:
    """Send a request once and return its outcome. Messages contain nothing of the request except its host."""
    try:
        prepared = _prepared(session, sending)
    except (requests.RequestException, HTTPError, ValueError) as error:
        return Unreachable(why=f"the request cannot be written: {type(error).__name__}")
    try:
        return _exchanged(session, prepared, sending.seconds)
    except RefusedAddressError as error:
        return AddressRefused(why=str(error))
    except NotSentError as error:
        return Unreachable(why=str(error))
    except _BROKEN as error:
        return TimedOut(why=_message(error, sending.seconds))


def read_json(text: str) -> Json:
    """Return the value of a JSON text. Raises: ValueError: if it is not JSON; RecursionError: if it nests too deep."""
    return json.loads(text, parse_constant=_refuse)


def _prepared(session: requests.Session, sending: Sending) -> requests.PreparedRequest:
    """Return the request in its HTTP form. Raises: RequestException, HTTPError, ValueError: if it has none."""
    given = {
        name: value.strip(" \t") for name, value in sending.headers.items() if name.lower() not in _NOT_THEIRS
    }
    headers = CaseInsensitiveDict(given)
    content: bytes | None = None
    if sending.body is not None:
        content_type = headers.setdefault("Content-Type", "application/json")
        content = _encoded(sending.body, content_type)
    request = requests.Request(
        sending.method.upper(), sending.url, headers, params=sending.params, data=content
    )
    prepared = session.prepare_request(request)
    session.get_adapter(prepared.url or "")  # refuses a scheme that is not HTTP's
    return prepared


def _encoded(body: Json, content_type: str) -> bytes:
    """Return a body as JSON, or as a form if the content type says so."""
    if content_type.partition(";")[0].strip().lower() == _FORM and isinstance(body, Mapping):
        return urlencode([(name, _form_text(value)) for name, value in _fields(body)]).encode()
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _fields(body: Mapping[str, Json]) -> list[tuple[str, Json]]:
    """Return the fields of a form: one for each element of a list, none for null."""
    given = [(name, value if isinstance(value, list) else [value]) for name, value in body.items()]
    return [(name, one) for name, values in given for one in values if one is not None]


def _form_text(value: Json) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _exchanged(
    session: requests.Session, prepared: requests.PreparedRequest, seconds: float
) -> Reply | TimedOut:
    # As a urllib3 Timeout the seconds are for the whole exchange; a plain number would be for each part.
    timeout = Timeout(total=seconds)
    response = session.send(prepared, stream=True, allow_redirects=False, timeout=timeout)  # type: ignore[arg-type]
    with response:
        if response.status_code < _FIRST_FINAL_STATUS:
            response.raw.close()
            return TimedOut(
                why=f"only HTTP {response.status_code} was received, which announces another response"
            )
        return _read(response)


def _read(response: requests.Response) -> Reply:
    """Return the response with its body, or without it if the body is too large or cannot be decompressed."""
    status = response.status_code
    if (response.raw.length_remaining or 0) > MAX_BODY_BYTES:
        return Reply(status=status, unusable=f"larger than {MAX_BODY_BYTES // 1024} KB")
    try:
        content = response.raw.read(MAX_BODY_BYTES + 1, decode_content=True)
    except DecodeError:
        return Reply(status=status, unusable="not compressed as its Content-Encoding says")
    if len(content) > MAX_BODY_BYTES:
        return Reply(status=status, unusable=f"larger than {MAX_BODY_BYTES // 1024} KB")
    return Reply(status=status, content=content, charset=_charset(response.headers.get("Content-Type", "")))


def _charset(content_type: str) -> str:
    """Return the charset to read a text of this content type with: UTF-8 unless it names another usual one."""
    message = Message()
    message["Content-Type"] = content_type
    named = message.get_param("charset")
    try:
        name = codecs.lookup(named).name if isinstance(named, str) else ""
    except (LookupError, ValueError):
        name = ""
    return name if name in _CHARSETS else "utf-8-sig"


def _message(error: BaseException, seconds: float) -> str:
    """Return what failed after sending began, by the kind of the root cause."""
    # The kind only, because messages of the library may contain the URL and so a secret.
    while error.__context__ is not None:
        error = error.__context__
    if isinstance(error, TimeoutError):
        return f"no complete response within {seconds:g} s"
    return f"the connection broke before the response was complete: {type(error).__name__}"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
