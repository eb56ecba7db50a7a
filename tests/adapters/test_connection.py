"""Answers as they arrive, byte by byte or at once. Source: RFC 9112; docs/decisions/0071."""

import socket
import struct
from collections.abc import Iterator, Sequence
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.connection import (
    MAX_FRAMING_BYTES,
    MAX_HEAD_BYTES,
    BrokenAnswerError,
    Connection,
    ConnectionEndedError,
    HttpReply,
    InvalidAnswerError,
    read_answer,
    written,
)

HEAD = b"HTTP/1.1 200 OK\r\n"
OK = HEAD + b"content-length: 2\r\n\r\n{}"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def received(*parts: bytes, max_body: int | None = None) -> tuple[HttpReply, bool]:
    """Return the answer that arrives in these parts, after which the connection ends."""
    left = [part for part in parts if part]
    return read_answer(lambda _: left.pop(0) if left else b"", max_body=max_body)


def body_of(*parts: bytes) -> bytes:
    return received(*parts)[0].body


class TestAnswers:
    """An answer is the same however its bytes arrive."""

    @pytest.mark.parametrize(
        ("answer", "reply"),
        [
            (OK, (200, b"{}")),
            (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
            (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", (304, b"")),
            (CHUNKED + b"3\r\nabc\r\n00A;x=y\r\n0123456789\r\n0\r\nlast: 1\r\n\r\n", (200, b"abc0123456789")),
            (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, (200, b"{}")),
            (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 3 + OK, (200, b"{}")),
        ],
        ids=["length", "no content", "not modified", "chunks", "continue", "early hints"],
    )
    @given(data=st.data())
    def test_it_may_arrive_in_any_parts(
        self, answer: bytes, reply: tuple[int, bytes], data: st.DataObject
    ) -> None:
        cuts = sorted(data.draw(st.sets(st.integers(1, len(answer) - 1))))
        parts = [answer[start:end] for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True)]

        whole, may_be_kept = received(*parts)

        assert (whole.status, whole.body) == reply
        assert whole.is_whole
        assert may_be_kept

    @pytest.mark.parametrize("answer", [OK, CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"], ids=["length", "chunks"])
    def test_each_part_of_it_alone_is_none(self, answer: bytes) -> None:
        for end in range(len(answer)):
            with pytest.raises(ConnectionEndedError, match=f"after {end} bytes"):
                received(answer[:end])

    def test_without_a_length_it_ends_with_the_connection(self) -> None:
        reply, may_be_kept = received(HEAD + b"\r\nab", b"c")

        assert reply.body == b"abc"
        assert not may_be_kept

    @pytest.mark.parametrize(
        "interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"]
    )
    def test_an_interim_answer_alone_is_none(self, interim: bytes) -> None:
        with pytest.raises(ConnectionEndedError):
            received(interim)

    def test_another_protocol_is_none(self) -> None:
        with pytest.raises(InvalidAnswerError, match="changes the protocol"):
            received(b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n\x81")


class TestHeaders:
    """Names are in lower case, and values have no outer blanks."""

    def test_the_values_of_one_name_are_joined(self) -> None:
        reply, _ = received(HEAD + b"A: 1\r\nB:\t x y \r\na:2\r\nC: \r\ncontent-length: 0\r\n\r\n")

        assert reply.headers == {"a": "1, 2", "b": "x y", "c": "", "content-length": "0"}

    def test_those_of_interim_answers_and_behind_the_body_are_not_the_answers(self) -> None:
        interim = b"HTTP/1.1 103 Early Hints\r\na: 1\r\n\r\n"
        reply, _ = received(interim + CHUNKED + b"1\r\nx\r\n0\r\nb: 2\r\n\r\n")

        assert reply.headers == {"transfer-encoding": "chunked"}

    def test_bytes_are_latin_1(self) -> None:
        assert received(HEAD + b"a: Zo\xeb\r\ncontent-length: 0\r\n\r\n")[0].headers["a"] == "Zoë"


class TestKeeping:
    """A connection is kept if the answer was whole, did not say otherwise, and nothing followed it."""

    @pytest.mark.parametrize(
        "answer",
        [
            HEAD + b"content-length: 2\r\nconnection: close\r\n\r\n{}",
            HEAD + b"content-length: 2\r\nConnection: x, Close\r\n\r\n{}",
            b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            HEAD + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            OK + b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n",
            OK + b"HTTP/1.1 100 Continue\r\n\r\n",
            OK + b"x",
            OK + b"\0",
        ],
        ids=[
            "close",
            "close among others",
            "HTTP/1.0",
            "two lengths",
            "another",
            "interim",
            "a letter",
            "a null",
        ],
    )
    def test_it_is_not_kept(self, answer: bytes) -> None:
        reply, may_be_kept = received(answer)

        assert (reply.status, reply.body) == (200, b"{}")
        assert not may_be_kept

    def test_http_1_0_may_say_that_it_is(self) -> None:
        assert received(b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n")[1]


class TestLeniency:
    """Answers of careless servers are read as most clients read them, because a broken one leaves a call in doubt."""

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200\r\ncontent-length:2 \r\n\r\n{}",
            b"HTTP/1.1 200 OK\ncontent-length: 2\n\n{}",
            HEAD + b"a: \x01\x7f\r\ncontent-length: 2\r\n\r\n{}",
            CHUNKED + b"2  \r\n{}\r\n0\r\n\r\n",
            HEAD + b"content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            b"\r\n" + OK,
        ],
        ids=["no reason", "line feeds", "control characters", "blanks", "two lengths", "an empty line"],
    )
    def test_it_is_read(self, answer: bytes) -> None:
        assert body_of(answer) == b"{}"

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/2 200 OK\r\n\r\n",
            b"nonsense\r\n\r\n",
            b"HTTP/1.1 2x0 OK\r\n\r\n",
            HEAD + b"no colon\r\n\r\n",
            HEAD + b"content-length: 3\r\ncontent-length: 4\r\n\r\n[1]",
            HEAD + b"content-length: -1\r\n\r\n",
            HEAD + b"content-length: 99999999999999999999\r\n\r\n",
            CHUNKED + b"zz\r\n",
            CHUNKED + b"-1\r\n",
            CHUNKED + b"1\r\nabc",
        ],
    )
    def test_what_cannot_be_read_with_certainty_is_none(self, answer: bytes) -> None:
        with pytest.raises(InvalidAnswerError, match="not HTTP"):
            received(answer)


class TestLimits:
    """No answer takes more memory than its limits allow."""

    @pytest.mark.parametrize(
        ("answer", "is_whole"),
        [
            (HEAD + b"content-length: 3\r\n\r\nabc", True),
            (HEAD + b"content-length: 4\r\n\r\n", False),
            (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", True),
            (CHUNKED + b"3\r\nabc\r\n1\r\nd", False),
            (HEAD + b"\r\nabc", True),
            (HEAD + b"\r\nabcd", False),
        ],
    )
    def test_a_longer_body_is_not_read(self, answer: bytes, *, is_whole: bool) -> None:
        reply, may_be_kept = received(answer, max_body=3)

        assert (reply.status, reply.is_whole) == (200, is_whole)
        assert is_whole or not may_be_kept

    def test_a_head_may_be_long(self) -> None:
        start, end = HEAD + b"a:", b"\r\ncontent-length: 0\r\n\r\n"
        value = b"b" * (MAX_HEAD_BYTES - len(start + end))

        assert received(start + value + end)[0].headers["a"] == value.decode()

    @pytest.mark.parametrize(("missing", "error"), [(1, ConnectionEndedError), (0, InvalidAnswerError)])
    def test_a_head_without_an_end_is_broken_after_so_many_bytes(
        self, missing: int, error: type[BrokenAnswerError]
    ) -> None:
        start = HEAD + b"a:"
        with pytest.raises(error):
            received(start + b"b" * (MAX_HEAD_BYTES + 1 - missing - len(start)))

    @pytest.mark.parametrize(
        ("start", "more", "most"),
        [
            (HEAD + b"a: ", b"b" * 1000, MAX_HEAD_BYTES),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n", MAX_HEAD_BYTES),
            (CHUNKED + b"1;", b"x" * 1000, MAX_FRAMING_BYTES),
            (CHUNKED, b"1\r\nx\r\n", MAX_FRAMING_BYTES),
            (CHUNKED + b"0\r\na: ", b"b" * 1000, MAX_FRAMING_BYTES),
        ],
        ids=["head", "interim answers", "chunk", "chunks", "trailer"],
    )
    def test_what_never_ends_is_not_read_on(self, start: bytes, more: bytes, most: int) -> None:
        taken = 0

        def receive(_: int) -> bytes:
            nonlocal taken
            data = more * 100 if taken else start + more
            taken += len(data)
            return data

        with pytest.raises(InvalidAnswerError, match="too long a head"):
            read_answer(receive)
        assert most < taken < 2 * most


class TestRequests:
    """A request is one piece of bytes."""

    def test_the_body_follows_the_headers(self) -> None:
        assert written("POST", "/a?b=c", {"host": "h", "x-a": "Zoë"}, b"\xff") == (
            b"POST /a?b=c HTTP/1.1\r\nhost: h\r\nx-a: Zo\xeb\r\n\r\n\xff"
        )

    @pytest.mark.parametrize("value", ["a\r\nx: y", "a\n", "\ra", "a\0", "☃"])
    def test_a_value_that_http_cannot_express_is_refused(self, value: str) -> None:
        with pytest.raises(ValueError, match=r"the header a has|latin-1"):
            written("POST", "/", {"a": value}, b"")

    @pytest.mark.parametrize("target", ["/ HTTP/1.1\r\nx: y", "/a b", "/\t", "/\x7f", "/\0"])
    def test_a_target_with_blanks_is_refused(self, target: str) -> None:
        with pytest.raises(ValueError, match="blanks or control characters"):
            written("GET", target, {}, b"")


@pytest.mark.enable_socket
class TestEarlyAnswers:
    """A server may answer, and close, before it has read the whole request."""

    @pytest.fixture
    def pair(self) -> Iterator[Sequence[socket.socket]]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            mine = socket.create_connection(listener.getsockname())
            its, _ = listener.accept()
        with mine, its:
            mine.settimeout(5)
            yield mine, its

    def test_the_answer_counts_and_the_connection_is_not_kept(self, pair: Sequence[socket.socket]) -> None:
        mine, its = pair
        its.sendall(OK)
        its.shutdown(socket.SHUT_RDWR)
        connection = Connection(mine)

        assert connection.exchange(b"x" * 5_000_000).body == b"{}"
        assert not connection.may_be_kept

    def test_without_an_answer_it_is_an_error(self, pair: Sequence[socket.socket]) -> None:
        mine, its = pair
        its.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        its.close()
        connection = Connection(mine)

        with pytest.raises((BrokenAnswerError, OSError)):
            connection.exchange(b"x" * 5_000_000)
        assert not connection.may_be_kept

    def test_a_whole_request_with_a_whole_answer_may_be_followed(self, pair: Sequence[socket.socket]) -> None:
        mine, its = pair
        connection = Connection(mine)

        def answer() -> None:
            its.recv(10)
            its.sendall(OK)

        server = Thread(target=answer)
        server.start()

        assert connection.exchange(b"GET").status == 200
        server.join(5)
        assert connection.may_be_kept
        assert connection.is_quiet
