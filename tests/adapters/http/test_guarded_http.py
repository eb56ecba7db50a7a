import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from shared.adapters.http.egress import TimedSocket, system_resolver
from shared.adapters.http.service_caller import HttpServiceCaller
from shared.domain.steps.call import AddressRefused, Answered, CallOutcome, TimedOut, Unreachable
from tests.adapters.http.http_stub import Make, Stub, a_request, serving

EVERY_INTERFACE = "0.0.0.0"  # noqa: S104 - nothing is bound to it

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2", "127.0.0.3", EVERY_INTERFACE])

INTERNAL = AddressRefused(why="example.test is at an internal address")


@dataclass
class Names:
    """A resolver with prepared answers that counts its calls."""

    answers: list[list[str]]
    calls: int = 0

    def __call__(self, host: str) -> list[str]:
        assert host == "example.test"
        self.calls += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def call(caller: HttpServiceCaller, service: Stub, **changes: Any) -> CallOutcome:
    return caller.call(a_request(service.url(host="example.test"), **changes))


class TestInternalAddresses:
    """A name with an internal address is not called at all."""

    @pytest.mark.parametrize(
        "addresses",
        [
            ["127.0.0.1"],
            ["10.0.0.1"],
            ["169.254.169.254"],
            ["100.64.0.1"],
            [EVERY_INTERFACE],
            ["224.0.0.1"],
            ["::1"],
            ["fe80::1%1"],
            ["fd00:ec2::254"],
            ["::ffff:127.0.0.1"],
            ["64:ff9b::7f00:1"],
            ["2002:7f00:1::"],
            ["1.1.1.1", "127.0.0.1"],
        ],
    )
    def test_a_name_with_an_internal_address_is_not_called(self, make: Make, addresses: list[str]) -> None:
        with serving() as service:
            assert call(make(allowed=(), resolve=Names([addresses])), service) == INTERNAL
            assert service.connections == 0

    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "169.254.169.254",
        ],
    )
    def test_an_internal_address_written_as_a_number_is_not_called(self, make: Make, host: str) -> None:
        with serving() as service:
            outcome = make(allowed=()).call(a_request(service.url(host=host)))

            assert isinstance(
                outcome, AddressRefused | Unreachable
            )  # some spellings are no host to begin with
            assert service.connections == 0

    def test_a_name_is_resolved_once_per_connection(self, make: Make) -> None:
        """A later answer of the resolver (DNS rebinding) is never used."""
        names = Names([["127.0.0.1"], ["10.0.0.1"]])
        caller = make(resolve=names)
        with serving() as service:
            assert isinstance(call(caller, service), Answered)
            assert isinstance(call(caller, service), Answered)
            assert (names.calls, service.connections) == (1, 1)

            caller.close()
            assert call(caller, service) == INTERNAL
            assert (names.calls, service.connections) == (2, 1)

    def test_the_address_of_the_peer_is_checked_too(self, make: Make) -> None:
        """Linux connects 0.0.0.0 to 127.0.0.1, so allowing the first must not allow the second."""
        caller = make(allowed=(ip_network("0.0.0.0/32"),), resolve=Names([[EVERY_INTERFACE]]))
        with serving() as service:
            assert call(caller, service) == INTERNAL
            assert service.seen == []

    def test_only_the_allowed_network_is_let_through(self, make: Make) -> None:
        allowed = (ip_network("127.0.0.1/32"),)
        with serving() as service:
            assert isinstance(call(make(allowed=allowed, resolve=Names([["127.0.0.1"]])), service), Answered)
            assert call(make(allowed=allowed, resolve=Names([["127.0.0.2"]])), service) == INTERNAL


class TestNames:
    """Host header and certificate use the name, and the connection uses the address."""

    def test_the_host_header_is_the_name(self, make: Make) -> None:
        with serving() as service:
            call(make(resolve=Names([["127.0.0.1"]])), service)

            assert service.seen[0].headers["host"] == f"example.test:{service.port}"

    def test_the_next_address_is_tried_after_a_refusal(self, make: Make) -> None:
        with serving() as service:
            caller = make(resolve=Names([["127.0.0.2", "127.0.0.3", "127.0.0.1"]]))

            assert isinstance(call(caller, service), Answered)

    def test_without_time_left_none_is_tried(self, make: Make) -> None:
        passed = [0.0]

        def slow(_: str) -> list[str]:
            passed[0] = 60
            return ["127.0.0.1"]

        with serving() as service:
            outcome = call(make(resolve=slow, seconds=lambda: passed[0]), service)

            assert outcome == Unreachable(why="example.test: connecting timed out")
            assert service.connections == 0

    @pytest.mark.enable_socket
    def test_the_system_resolves_numbers(self) -> None:
        assert system_resolver("127.0.0.1") == ["127.0.0.1"]


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate and its key, in one file."""

    path: Path

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path)
        return context


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Certificate]:
    folder = tmp_path_factory.mktemp("certificates")

    def made(name: str) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.9"))]),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = folder / f"{name}.pem"
        path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        return Certificate(path)

    return made


class TestTimedSockets:
    """After its deadline, a socket neither sends nor receives."""

    @pytest.mark.parametrize("act", [lambda s: s.sendall(b"x"), lambda s: s.recv(1)])
    def test_a_socket_past_its_deadline_raises(self, act: Callable[[TimedSocket], Any]) -> None:
        with TimedSocket() as late:
            late.seconds = lambda: 1.0
            late.until = 1.0

            with pytest.raises(TimeoutError):
                act(late)


class TestTls:
    """The certificate must be trusted and name the host. Else nothing is sent."""

    def call(self, make: Make, service: Stub, trusted: Certificate | None, **changes: Any) -> CallOutcome:
        caller = make(resolve=Names([["127.0.0.1"]]), ca_file=trusted and str(trusted.path))
        request = a_request(service.url(host="example.test", scheme="https"), **changes)
        outcome = caller.call(request)
        return caller.call(request) if isinstance(outcome, Answered) else outcome

    def test_a_trusted_certificate_is_accepted(
        self, make: Make, certified: Callable[[str], Certificate]
    ) -> None:
        names: list[str] = []
        own = certified("example.test")
        context = own.server()
        context.sni_callback = lambda _socket, name, _context: names.append(name)
        with serving(tls=context) as service:
            assert self.call(make, service, own) == Answered(status=200, body={"ok": True})
            assert (service.connections, len(service.seen), names) == (1, 2, ["example.test"])

    def test_a_self_signed_certificate_is_refused(
        self, make: Make, certified: Callable[[str], Certificate]
    ) -> None:
        with serving(tls=certified("example.test").server()) as service:
            outcome = self.call(make, service, None)

            assert outcome == Unreachable(
                why="example.test: its certificate is not trusted: self-signed certificate"
            )
            assert service.seen == []

    def test_a_certificate_of_another_name_is_refused(
        self, make: Make, certified: Callable[[str], Certificate]
    ) -> None:
        other = certified("other.test")
        with serving(tls=other.server()) as service:
            outcome = self.call(make, service, other)

            assert isinstance(outcome, Unreachable)
            assert "Hostname mismatch" in outcome.why
            assert service.seen == []

    @pytest.mark.parametrize("scheme", ["http", "https"])
    @pytest.mark.parametrize("host", ["a..b", f"{'x' * 64}.test"])
    def test_a_name_that_no_host_can_have_is_not_called(self, make: Make, scheme: str, host: str) -> None:
        caller = make(resolve=lambda _: ["127.0.0.1"])
        with serving() as service:
            outcome = caller.call(a_request(service.url(host=host, scheme=scheme)))

            assert outcome == Unreachable(why=f"{host} cannot be the name of a host")
            assert service.connections == 0

    @pytest.mark.parametrize(("greeting", "why"), [(b"220 ESMTP\r\n", "WRONG_VERSION_NUMBER"), (b"", "EOF")])
    def test_no_tls_at_all(self, make: Make, greeting: bytes, why: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def greet() -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(greeting)

            service = Stub(listener, listener.getsockname()[1], [])
            thread = Thread(target=greet)
            thread.start()
            outcome = self.call(make, service, None)
            thread.join(10)

        assert isinstance(outcome, Unreachable)
        assert outcome.why.startswith("example.test: TLS failed: ")
        assert why in outcome.why

    def test_a_handshake_that_never_comes(self, make: Make) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and nobody is there to answer
            service = Stub(silent, silent.getsockname()[1], [])
            started = monotonic()
            outcome = self.call(make, service, None, timeout_seconds=1)

            assert outcome == Unreachable(why="example.test: connecting timed out")
            assert 0.9 < monotonic() - started < 5

    def test_a_drip_ends_at_the_deadline(self, make: Make, certified: Callable[[str], Certificate]) -> None:
        own = certified("example.test")
        stubs: list[Stub] = []

        def drip(connection: Any) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(200):
                connection.sendall(b"x")
                stubs[0].wait(0.1)

        with serving(drip, tls=own.server()) as service:
            stubs.append(service)
            started = monotonic()
            outcome = self.call(make, service, own, timeout_seconds=1)

            assert outcome == TimedOut(why="no complete response within 1 s")
            assert 0.9 < monotonic() - started < 5

    def test_a_service_that_reads_slowly_ends_at_the_deadline(
        self, make: Make, certified: Callable[[str], Certificate]
    ) -> None:
        """The time to send counts as well."""
        own, stop = certified("example.test"), Event()

        def read_slowly(listener: socket.socket) -> None:
            connection, _ = listener.accept()
            with suppress(OSError), own.server().wrap_socket(connection, server_side=True) as reader:
                while reader.recv(1 << 14) and not stop.wait(0.05):
                    pass

        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = Thread(target=read_slowly, args=(listener,))
            thread.start()
            started = monotonic()
            try:
                service = Stub(listener, listener.getsockname()[1], [])
                outcome = self.call(make, service, own, timeout_seconds=1, body="x" * (1 << 25))
                took = monotonic() - started
            finally:
                stop.set()
                thread.join(10)

        assert outcome == TimedOut(why="no complete response within 1 s")
        assert 0.9 < took < 5
