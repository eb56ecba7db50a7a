"""One HTTP request and its outcome.

Source: docs/design.md sections 3.7 and 9; docs/service-calls.md.
"""

import codecs
import json
from collections.abc import Mapping
from datetime import UTC, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import lru_cache
from io import BytesIO
from typing import NoReturn
from urllib.parse import urlencode

import requests
from msgspec import Struct
from msgspec.structs import replace
from urllib3 import HTTPResponse
from urllib3.exceptions import DecodeError, HTTPError

from shared.adapters.connection import BrokenAnswerError, HttpReply
from shared.adapters.http.egress import NotSentError, RefusedAddressError
from shared.adapters.http.guarded_http import GuardedConnections, message_of
from shared.domain.redacted import Redacted
from shared.domain.steps.call import AddressRefused, RetryAfter, TimedOut, Unreachable
from shared.domain.strategy.model import Json

MAX_BODY_BYTES = 128 * 1024
"""The longest body of a response, as sent and as decompressed."""

_OURS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "Ritornello"}
"""The headers of each request, unless it has its own."""

_FORM = "application/x-www-form-urlencoded"
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
_CHARSETS = ("ascii", "cp1252", "iso8859-1", "iso8859-15", "utf-16", "utf-16-be", "utf-16-le", "utf-8")
_ENCODINGS = ("identity", "gzip", "x-gzip", "deflate")
_MAX_RETRY_AFTER = timedelta(days=365)
_MAX_DIGITS = 9
# How much of a header is quoted in a message.
_SHOWN = 40


class Sending(Redacted, Struct, frozen=True, kw_only=True):
    """A request to send. ``body`` is a JSON value, or None for no body. ``seconds`` is for the whole exchange."""

    HIDDEN = ("headers", "params", "body")

    method: str
    url: str
    headers: Mapping[str, str]
    params: Mapping[str, str]
    body: Json
    seconds: float


class Reply(Redacted, Struct, frozen=True, kw_only=True):
    """A complete response.

    ``text`` is its body, and ``media_type`` the type of that in lower case, empty if it has none. ``unusable`` says why
    the body was not read, or is None. ``retry_after`` is the value of ``Retry-After``, None if it is not valid.
    """

    HIDDEN = ("text",)

    status: int
    text: str = ""
    media_type: str = ""
    unusable: str | None = None
    retry_after: RetryAfter | None = None

    @property
    def must_be_json(self) -> bool:
        """Return whether the response says that its body is JSON."""
        is_json = self.media_type in ("application/json", "text/json")
        return is_json or self.media_type.endswith("+json")

    @property
    def may_be_json(self) -> bool:
        """Return whether the body is JSON if it can be read as JSON. A text stays a text, even if it is ``1E5``."""
        return self.must_be_json or not self.media_type.startswith("text/")


def exchange(
    connections: GuardedConnections, sending: Sending
) -> Reply | TimedOut | Unreachable | AddressRefused:
    """Send a request once and return its outcome. Messages contain nothing of the request except its host."""
    try:
        message = message_of(_prepared(sending))
    except (requests.RequestException, HTTPError, ValueError) as error:
        return Unreachable(why=f"the request cannot be written: {type(error).__name__}", tried=False)
    try:
        return _read(connections.send(message, seconds=sending.seconds))
    except RefusedAddressError as error:
        return AddressRefused(why=str(error))
    except NotSentError as error:
        return Unreachable(why=str(error))
    except (BrokenAnswerError, OSError) as error:
        return TimedOut(why=_message(error, sending.seconds))


def json_content(body: Json) -> bytes:
    """Return a body as it is sent if it is sent as JSON. Raises: ValueError: a number is not finite."""
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def read_json(text: str) -> Json:
    """Return the value of a JSON text. Raises: ValueError: if it is not JSON; RecursionError: if it nests too deep."""
    return json.loads(text, parse_constant=_refuse)


def _prepared(sending: Sending) -> requests.PreparedRequest:
    """Return the request in its HTTP form. Raises: RequestException, HTTPError, ValueError: if it has none."""
    # Part by part, because a session would also merge its settings, hooks and cookies into each request.
    prepared = requests.PreparedRequest()
    prepared.prepare_method(sending.method)
    prepared.prepare_url(sending.url, urlencode(sending.params) or None)
    theirs = {
        name: value.strip(" \t") for name, value in sending.headers.items() if name.lower() not in _NOT_THEIRS
    }
    prepared.prepare_headers({**_OURS, **theirs})  # the last one counts, in whatever case
    content: bytes | None = None
    if sending.body is not None:
        content = _encoded(sending.body, prepared.headers.setdefault("Content-Type", "application/json"))
    prepared.prepare_body(content, None)
    prepared.prepare_auth(None)  # a URL may have a user and a password
    return prepared


def _encoded(body: Json, content_type: str) -> bytes:
    """Return a body as JSON, or as a form if the content type says so."""
    if content_type.partition(";")[0].strip().lower() == _FORM and isinstance(body, Mapping):
        return urlencode([(name, _form_text(value)) for name, value in _fields(body)]).encode()
    return json_content(body)


def _fields(body: Mapping[str, Json]) -> list[tuple[str, Json]]:
    """Return the fields of a form: one for each element of a list, none for null."""
    given = [(name, value if isinstance(value, list) else [value]) for name, value in body.items()]
    return [(name, one) for name, values in given for one in values if one is not None]


def _form_text(value: Json) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _read(answer: HttpReply) -> Reply:
    """Return the answer with its body as text, or with the reason why the body cannot be used."""
    content_type = answer.headers.get("content-type", "")
    reply = Reply(
        status=answer.status,
        media_type=content_type.partition(";")[0].strip().lower(),
        retry_after=_retry_after(answer.headers.get("retry-after", "")),
    )
    content = _content(answer)
    if isinstance(content, _Unusable):
        return replace(reply, unusable=content.why)
    text = _decoded(content, content_type) if content else ""
    if isinstance(text, _Unusable):
        return replace(reply, unusable=text.why)
    return replace(reply, text=text)


class _Unusable(Struct, frozen=True):
    """A body that cannot be used, and why."""

    why: str


_TOO_LARGE = _Unusable(f"larger than {MAX_BODY_BYTES // 1024} KB")


def _content(answer: HttpReply) -> bytes | _Unusable:
    """Return the bytes of an answer's body, decompressed."""
    if not answer.is_whole:
        return _TOO_LARGE
    encoding = answer.headers.get("content-encoding", "")
    # An empty body is not in any encoding, whatever the header says.
    if not encoding or not answer.body:
        return answer.body
    # urllib3 passes on what it cannot decompress, as if it were the body itself.
    if any(name.strip().lower() not in _ENCODINGS for name in encoding.split(",") if name.strip()):
        return _Unusable(f"in an unsupported encoding: {encoding[:_SHOWN]!r}")
    compressed = HTTPResponse(BytesIO(answer.body), {"Content-Encoding": encoding}, preload_content=False)
    try:
        content = compressed.read(MAX_BODY_BYTES + 1, decode_content=True)
    except DecodeError:
        return _Unusable("not compressed as its Content-Encoding says")
    return _TOO_LARGE if len(content) > MAX_BODY_BYTES else content


def _decoded(content: bytes, content_type: str) -> str | _Unusable:
    """Return a body as text, in the charset that its content type names. Without one it is UTF-8."""
    name = _charset(content_type)
    if isinstance(name, _Unusable):
        return name
    try:
        # A byte order mark is not part of the text.
        return content.decode("utf-8-sig" if name == "utf-8" else name)
    except UnicodeDecodeError:
        return _Unusable(f"not text in its charset {name}")


# Parsing takes longer than decoding, and a service sends the same type again and again.
@lru_cache(maxsize=32)
def _charset(content_type: str) -> str | _Unusable:
    """Return the name of the charset that a content type names."""
    message = Message()
    message["Content-Type"] = content_type
    named = message.get_param("charset", "utf-8")
    try:
        name = codecs.lookup(named).name if isinstance(named, str) else ""
    except (LookupError, ValueError):
        name = ""
    return name if name in _CHARSETS else _Unusable(f"in an unsupported charset: {str(named)[:_SHOWN]!r}")


def _retry_after(value: str) -> RetryAfter | None:
    """Return the value of a ``Retry-After``: seconds, or a date in one of the three forms of HTTP.

    Source: RFC 9110 sections 5.6.7 and 10.2.3.
    """
    value = value.strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        digits = value.lstrip("0") or "0"
        # The engine limits the wait further.
        is_huge = len(digits) > _MAX_DIGITS
        return _MAX_RETRY_AFTER if is_huge else min(timedelta(seconds=int(digits)), _MAX_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(value)
        # The form of C's asctime() has no zone; it is UTC, too.
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _message(error: BaseException, seconds: float) -> str:
    """Return the reason of a failure after sending began, without anything that was sent or received."""
    if isinstance(error, TimeoutError):
        return f"no complete response within {seconds:g} s"
    if isinstance(error, BrokenAnswerError):
        return f"no complete response: {error}"
    return f"the connection broke before the response was complete: {type(error).__name__}"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
