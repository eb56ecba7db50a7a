"""Requests over real sockets to a server on this machine."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from unittest.mock import Mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from shared.adapters.aws.errors import UnansweredError
from shared.adapters.aws.http import HttpTransport, Patience

pytestmark = pytest.mark.enable_socket

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-Amzn-RequestId: r-1\r\n\r\n{}"
CHUNKS = b"3\r\nabc\r\n00A;x=y\r\n0123456789\r\n0\r\nchecksum: 1\r\n\r\n"


@dataclass
class Server:
    """A server that answers each request with the next of these bytes; empty ones close the connection.

    ``requests`` are those that arrived, and ``connections`` how many were opened.
    """

    replies: list[bytes]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    before: Callable[[], object] = lambda: None
    after: Callable[[socket.socket], object] = lambda _: None

    def serve(self, listener: socket.socket) -> None:
        while self.replies:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:  # the client may close at any time
            connection.settimeout(5)
            while self.replies and (request := self._request(connection)):
                self.before()
                self.requests.append(request)
                reply = self.replies.pop(0)
                if not reply:
                    break
                connection.sendall(reply)
                self.after(connection)
                if b"connection: close" in reply:
                    break

    @staticmethod
    def _request(connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            got = connection.recv(65536)
            if not got:
                return b""
            data += got
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            ),
            0,
        )
        while len(body) < length:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body


@pytest.fixture
def server() -> Iterator[Server]:
    listener = socket.create_server(("127.0.0.1", 0))
    found = Server(replies=[OK])
    found.port = listener.getsockname()[1]
    thread = threading.Thread(target=found.serve, args=(listener,), daemon=True)
    thread.start()
    yield found
    found.replies.clear()
    listener.close()


def transport(port: int, environment: Mapping[str, str] | None = None, scheme: str = "http") -> HttpTransport:
    return HttpTransport(
        f"{scheme}://127.0.0.1:{port}",
        patience=Patience(connect=1, read=0.3),
        connections=2,
        environment=environment or {},
    )


class TestConnections:
    """They are kept, and a request is sent once."""

    def test_requests_share_a_connection(self, server: Server) -> None:
        server.replies += [OK]
        sender = transport(server.port)

        first = sender.send("POST", "/schedules/a%20b", {"host": "h", "x-amz-target": "T"}, b'{"a": 1}')
        sender.send("POST", "/", {"host": "h"}, b"{}")
        sender.close()

        assert (first.status, first.headers["x-amzn-requestid"], first.body) == (200, "r-1", b"{}")
        assert (len(server.requests), server.connections) == (2, 1)
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /schedules/a%20b HTTP/1.1")
        assert b"x-amz-target: T" in head
        assert body == b'{"a": 1}'

    def test_a_connection_that_the_server_has_closed_is_opened_again(self, server: Server) -> None:
        server.replies[:] = [OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1), OK]
        sender = transport(server.port)

        for _ in range(2):
            assert sender.send("POST", "/", {"host": "h"}, b"{}").status == 200
        assert server.connections == 2

    @pytest.mark.parametrize("status", [b"307", b"500"])
    def test_no_answer_is_followed_or_repeated(self, server: Server, status: bytes) -> None:
        moved = b"HTTP/1.1 " + status + b" X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
        server.replies[:] = [moved]

        assert transport(server.port).send("POST", "/", {"host": "h"}, b"{}").status == int(status)
        assert len(server.requests) == 1


class TestAnswers:
    """An answer ends as its head says, and only then the connection may take another request."""

    def sent_twice(self, server: Server, *replies: bytes) -> tuple[list[bytes], int]:
        """Return the bodies of two answers and how many connections were opened."""
        server.replies[:] = replies
        sender = transport(server.port)
        bodies = [sender.send("POST", "/", {"host": "h"}, b"{}").body for _ in range(2)]
        sender.close()
        return bodies, server.connections

    @pytest.mark.parametrize(
        ("reply", "body"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
            (b"HTTP/1.1 200\r\ncontent-length:3 \r\n\r\nabc", b"abc"),
            (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", b""),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", b""),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n" + CHUNKS,
                b"abc0123456789",
            ),
        ],
        ids=["length", "sparse", "no content", "interim", "no chunk", "chunks"],
    )
    def test_its_connection_takes_the_next_request(self, server: Server, reply: bytes, body: bytes) -> None:
        assert self.sent_twice(server, reply, OK) == ([body, b"{}"], 1)

    @pytest.mark.parametrize(
        "reply",
        [
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: Close\r\n\r\n{}",
            b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        ],
        ids=["closes", "HTTP/1.0"],
    )
    def test_its_connection_is_not_used_again(self, server: Server, reply: bytes) -> None:
        assert self.sent_twice(server, reply, OK) == ([b"{}", b"{}"], 2)

    def test_without_a_length_it_ends_with_its_connection(self, server: Server) -> None:
        reply = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + b"x" * 100_000

        assert self.sent_twice(server, reply, OK) == ([b"x" * 100_000, b"{}"], 2)

    @pytest.mark.parametrize("more", [b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n", b""])
    def test_a_connection_on_which_more_or_its_end_has_arrived_is_not_used(
        self, server: Server, more: bytes
    ) -> None:
        server.replies[:] = [OK, OK]
        has_more = threading.Event()

        def send_more(connection: socket.socket) -> None:
            if not has_more.is_set():
                try:
                    connection.sendall(more)
                    connection.shutdown(socket.SHUT_WR)
                finally:
                    has_more.set()

        sender = transport(server.port)
        server.after = send_more
        assert sender.send("POST", "/", {"host": "h"}, b"{}").status == 200
        assert has_more.wait(5)

        assert sender.send("POST", "/", {"host": "h"}, b"{}").status == 200
        assert server.connections == 2
        sender.close()

    def test_the_number_of_kept_connections_is_limited(self, server: Server) -> None:
        """They are as many as threads need, but no more of them stay open."""
        both = threading.Barrier(3, timeout=5)
        server.replies[:] = [OK] * 6
        server.before = both.wait
        sender = transport(server.port)
        with ThreadPoolExecutor(3) as threads:
            for _ in range(2):
                sent = [threads.submit(sender.send, "POST", "/", {"host": "h"}, b"{}") for _ in range(3)]
                assert [one.result().status for one in sent] == [200] * 3
        sender.close()

        assert server.connections == 4


class TestRequests:
    """Each header is one line, and the path is one word."""

    @pytest.mark.parametrize("value", ["a\r\nx: y", "a\n", "\ra"])
    def test_a_header_with_a_line_break_is_refused(self, server: Server, value: str) -> None:
        with pytest.raises(ValueError, match="the header a has a line break"):
            transport(server.port).send("POST", "/", {"host": "h", "a": value}, b"{}")
        assert server.requests == []

    def test_a_path_with_a_line_break_is_refused(self, server: Server) -> None:
        with pytest.raises(ValueError, match="control characters"):
            transport(server.port).send("POST", "/ HTTP/1.1\r\nx: y", {"host": "h"}, b"{}")
        assert server.requests == []


class TestNoAnswer:
    """A request that is not answered whole may have taken effect, and is not repeated here."""

    @pytest.mark.parametrize(
        "reply",
        [
            b"",
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{",
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{",
            b"nonsense\r\n\r\n",
            b"HTTP/2 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\nab\r\n",
            b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000,
        ],
        ids=[
            "closed",
            "cut off",
            "too late",
            "no HTTP",
            "another HTTP",
            "length and chunks",
            "no chunk size",
            "longer chunk",
            "no last chunk",
            "endless head",
        ],
    )
    def test_a_broken_answer_is_none(self, server: Server, reply: bytes) -> None:
        server.replies[:] = [reply]

        with pytest.raises(UnansweredError):
            transport(server.port).send("POST", "/", {"host": "h"}, b"{}")
        assert len(server.requests) == 1

    def test_nobody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]

        with pytest.raises(UnansweredError, match="ConnectionRefusedError"):
            transport(port).send("POST", "/", {"host": "h"}, b"{}")


class TestCertificates:
    """A server must have a certificate that is signed by a known authority."""

    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        """Return a file with a certificate that is signed by itself, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dynamodb.test")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        file = tmp_path / "server.pem"
        file.write_bytes(
            made.public_bytes(Encoding.PEM)
            + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return file

    @pytest.fixture
    def secure(self, certificate: Path) -> Iterator[Server]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with (
            socket.create_server(("127.0.0.1", 0)) as plain,
            context.wrap_socket(plain, server_side=True) as listener,
        ):
            found = Server(replies=[OK], port=listener.getsockname()[1])
            threading.Thread(target=found.serve, args=(listener,), daemon=True).start()
            yield found
            found.replies.clear()

    def test_an_unknown_one_is_refused_and_nothing_is_sent(self, secure: Server) -> None:
        with pytest.raises(UnansweredError, match="CERTIFICATE_VERIFY_FAILED"):
            transport(secure.port, scheme="https").send("POST", "/", {"host": "h"}, b"secret")
        assert secure.requests == []

    def test_the_authorities_of_the_bundle_are_known(self, secure: Server, certificate: Path) -> None:
        sender = transport(secure.port, {"AWS_CA_BUNDLE": str(certificate)}, "https")

        assert sender.send("POST", "/", {"host": "h"}, b"{}").status == 200
        sender.close()

    def test_they_are_read_once_for_all_connections(
        self, secure: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reading = Mock(side_effect=ssl.create_default_context)
        monkeypatch.setattr(ssl, "create_default_context", reading)
        secure.replies += [OK]

        for _ in range(2):
            sender = transport(secure.port, {"AWS_CA_BUNDLE": str(certificate)}, "https")
            assert sender.send("POST", "/", {"host": "h"}, b"{}").status == 200
            sender.close()

        assert (reading.call_count, secure.connections) == (1, 2)


class TestProxies:
    """A proxy of the environment is used, except for the hosts in NO_PROXY."""

    def test_a_request_goes_through_the_proxy(self, server: Server) -> None:
        sender = HttpTransport(
            "http://dynamodb.test:8000",
            patience=Patience(connect=1, read=1),
            connections=1,
            environment={"HTTP_PROXY": f"http://127.0.0.1:{server.port}"},
        )

        assert sender.send("POST", "/", {"host": "dynamodb.test:8000"}, b"{}").status == 200
        assert server.requests[0].startswith(b"POST http://dynamodb.test:8000/ HTTP/1.1")

    def test_an_exception_goes_straight(self, server: Server) -> None:
        environment = {"http_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.1"}

        assert transport(server.port, environment).send("POST", "/", {"host": "h"}, b"{}").status == 200


class TestUrls:
    """Only the URL of a server is taken."""

    @pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:9", "http://", ""])
    def test_another_url_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match="not the URL of a service"):
            HttpTransport(url, patience=Patience(connect=1, read=1), connections=1, environment={})

    def test_a_bundle_of_certificates_that_is_missing_is_an_error(self, server: Server) -> None:
        sender = transport(server.port, {"AWS_CA_BUNDLE": "/nonexistent/ca.pem"}, "https")

        with pytest.raises((UnansweredError, ssl.SSLError, OSError)):
            sender.send("POST", "/", {"host": "h"}, b"{}")
