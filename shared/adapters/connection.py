"""Connections over which requests and answers of HTTP/1.1 alternate. Answers are read by llhttp (``httptools``).

Source: docs/decisions/0071; RFC 9112.
"""

import re
import socket
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from select import POLLIN, poll
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from msgspec import Struct

MAX_HEAD_BYTES: Final = 1 << 16
"""When so many bytes have arrived without the end of a head, an answer is broken."""

MAX_FRAMING_BYTES: Final = 1 << 20
"""How many bytes of an answer may be anything but its body, such as the sizes of chunks."""

_RECEIVED_AT_ONCE: Final = 1 << 16
_NO_TARGET = re.compile(r"[\x00-\x20\x7f]")
_NO_VALUE = re.compile(r"[\r\n\x00]")


class BrokenAnswerError(Exception):
    """No whole answer of HTTP/1.1 has arrived. The request may have taken effect."""


class ConnectionEndedError(BrokenAnswerError):
    """The server closed the connection before the end of its answer."""


class InvalidAnswerError(BrokenAnswerError):
    """The received bytes are not HTTP/1.1, or exceed a limit."""


class HttpReply(Struct, frozen=True, kw_only=True):
    """An answer. ``headers`` have lower-case names; the values of several fields with one name are joined by commas.

    If the body is longer than it may be, ``is_whole`` is false, and ``body`` is not of use.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool = True


class Connection:
    """An open connection. ``may_be_kept`` says whether it can take another request after the last one."""

    def __init__(self, connected: socket.socket) -> None:
        self.may_be_kept = True
        self.socket = connected
        self._poll = poll()
        self._poll.register(connected, POLLIN)

    @property
    def is_quiet(self) -> bool:
        """Return whether nothing has arrived since the last answer: neither bytes nor the server's end."""
        return not self._poll.poll(0)

    def exchange(self, request: bytes, *, max_body: int | None = None) -> HttpReply:
        """Send a request and return its answer, whose end must have arrived unless its body exceeds ``max_body``.

        Raises: BrokenAnswerError, OSError.
        """
        self.may_be_kept = False  # unless all goes well
        try:
            self.socket.sendall(request)
            is_sent = True
        except (BrokenPipeError, ConnectionResetError):
            # A server may answer early, and close its end without reading the whole request.
            is_sent = False
        reply, may_be_kept = read_answer(self.socket.recv, max_body=max_body)
        self.may_be_kept = may_be_kept and is_sent
        return reply

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()


def written(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a request as it is sent, in one piece: two writes would make two packets, and cost twice.

    ``headers`` say how long the body is. Raises: ValueError: it has a line break or another character that HTTP does
    not allow there.
    """
    if _NO_TARGET.search(target):
        raise ValueError("the target of a request has blanks or control characters")
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in headers.items():
        if _NO_VALUE.search(value):
            raise ValueError(f"the header {name} has a line break or a null character")
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def read_answer(receive: Callable[[int], bytes], *, max_body: int | None = None) -> tuple[HttpReply, bool]:
    """Receive an answer, without the interim ones before it, and return it with whether its connection may be kept.

    ``receive`` returns some bytes, or none at the end of the connection.
    Raises: BrokenAnswerError; the errors of ``receive``.
    """
    incoming = _Incoming(max_body)
    parser = incoming.parser = HttpResponseParser(incoming)
    # What servers that are a little careless send is read as most clients read it. Each of these is dangerous only to
    # a server or proxy that shares its connection with others.
    parser.set_dangerous_leniencies(
        lenient_headers=True,
        lenient_chunked_length=True,
        lenient_optional_cr_before_lf=True,
        lenient_spaces_after_chunk_size=True,
    )
    try:
        while not incoming.is_over:
            data = receive(_RECEIVED_AT_ONCE)
            if data:
                incoming.take(data)
            else:
                incoming.end()
        return incoming.reply(), incoming.may_be_kept
    finally:
        del incoming.parser  # they refer to each other


class _Incoming:
    """The received part of an answer. The parser calls the methods that begin with ``on_``."""

    parser: HttpResponseParser

    def __init__(self, max_body: int | None) -> None:
        self.is_over = self.may_be_kept = False
        self._max_body = max_body
        self._status = 0
        self._fields: list[tuple[bytes, bytes]] = []
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_length = self._received = 0
        self._is_head_over = self._is_too_long = False

    def take(self, data: bytes) -> None:
        """Parse received bytes. Raises: InvalidAnswerError."""
        self._received += len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade:
            raise InvalidAnswerError("the server changes the protocol") from None
        except HttpParserError as error:
            # What follows a whole answer is not part of it.
            if not self.is_over:
                raise InvalidAnswerError(f"it is not HTTP ({error.__context__ or error})") from None
            self.may_be_kept = False
        most = MAX_FRAMING_BYTES if self._is_head_over else MAX_HEAD_BYTES
        if self._received - self._body_length > most and not self.is_over:
            raise InvalidAnswerError("too long a head, or too much beside its body")

    def end(self) -> None:
        """End the answer with its connection. Raises: ConnectionEndedError: it was to be longer."""
        is_framed = "content-length" in self._headers or "transfer-encoding" in self._headers
        if not self._is_head_over or is_framed:
            raise ConnectionEndedError(f"the connection ended after {self._received} bytes of it")
        self.is_over = True

    def reply(self) -> HttpReply:
        """Return the answer."""
        return HttpReply(
            status=self._status,
            headers=self._headers,
            body=b"".join(self._body),
            is_whole=not self._is_too_long,
        )

    def on_message_begin(self) -> None:
        if self.is_over:
            # Nothing was requested to which this could be an answer.
            raise InvalidAnswerError("another one follows")
        self._fields = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_head_over:  # fields behind the body are not used
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        self._status = self.parser.get_status_code()
        self._is_head_over = True
        self._headers = _joined(self._fields)
        length = self._headers.get("content-length", "0")
        self._limit_body(int(length) if length.isdecimal() else 0)

    def on_body(self, part: bytes) -> None:
        self._body.append(part)
        self._body_length += len(part)
        self._limit_body(self._body_length)

    def on_message_complete(self) -> None:
        if self._status < HTTPStatus.OK:
            self._is_head_over = False  # the final answer follows
            return
        self.is_over = True
        has_two_lengths = "content-length" in self._headers and "transfer-encoding" in self._headers
        self.may_be_kept = self.parser.should_keep_alive() and not has_two_lengths and not self._is_too_long

    def _limit_body(self, length: int) -> None:
        if self._max_body is not None and length > self._max_body:
            self.is_over = self._is_too_long = True


def _joined(fields: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the values of header fields by their names in lower case."""
    headers: dict[str, str] = {}
    for name, value in fields:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers
