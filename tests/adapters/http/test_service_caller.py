import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from time import monotonic
from typing import Any

import pytest

from shared.adapters.http.service_caller import HttpServiceCaller
from shared.domain.steps.call import Answered, TimedOut, Unreachable
from tests.adapters.http.http_stub import (
    Make,
    Stub,
    a_credential,
    a_request,
    answer,
    called,
    reset,
    seen,
    sending,
    serving,
)

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

KB = 1024


class TestNothingWasSent:
    """Without a connection nothing reached the service: the call definitely failed."""

    def test_a_refused_connection_is_unreachable(self, caller: HttpServiceCaller) -> None:
        with serving() as service:
            url = service.url()

        assert caller.call(a_request(url)) == Unreachable(why="127.0.0.1: Connection refused")

    def test_the_name_does_not_resolve(self, make: Make) -> None:
        def nobody(_: str) -> list[str]:
            raise socket.gaierror(-2, "Name or service not known")

        assert make(resolve=nobody).call(a_request("http://example.test/")) == Unreachable(
            why="the name example.test does not resolve"
        )

    def test_the_name_has_no_address(self, make: Make) -> None:
        assert make(resolve=lambda _: []).call(a_request("http://example.test/")) == Unreachable(
            why="example.test has no address"
        )

    @pytest.mark.parametrize(
        "change",
        [
            {"headers": {"X-Name": "Ж"}},
            {"headers": {"X-Name": "a\nb"}},
            {"body": float("inf")},
            {"url": "ftp://example.test/"},
            {"url": "http://example.test:99999/"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_a_request_that_http_cannot_express_says_nothing_about_the_service(
        self, make: Make, change: dict[str, Any]
    ) -> None:
        def never(_: str) -> list[str]:
            pytest.fail("nothing is resolved")

        changes = {"url": "http://example.test/", **change}
        outcome = make(resolve=never).call(a_request(changes.pop("url"), **changes))

        assert isinstance(outcome, Unreachable)
        assert outcome.why.startswith("the request cannot be written: ")
        assert not outcome.tried

    def test_the_resolver_takes_too_long(self, make: Make) -> None:
        done = Event()

        def slow(_: str) -> list[str]:
            done.wait(20)
            return []

        started = monotonic()
        outcome = make(resolve=slow).call(a_request("http://example.test/", timeout_seconds=1))
        took = monotonic() - started
        done.set()

        assert outcome == Unreachable(why="the name example.test was not resolved in time")
        assert 0.9 < took < 5

    def test_a_connection_that_is_never_accepted_times_out(self, caller: HttpServiceCaller) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            waiting = [socket.socket() for _ in range(4)]
            for one in waiting:
                one.settimeout(0)
                one.connect_ex(full.getsockname())
            started = monotonic()
            outcome = caller.call(a_request(f"http://127.0.0.1:{full.getsockname()[1]}/", timeout_seconds=1))
            took = monotonic() - started
            for one in waiting:
                one.close()

        assert outcome == Unreachable(why="127.0.0.1: connecting timed out")
        assert 0.9 < took < 5


class TestNoWholeAnswer:
    """After sending began, the service may have received the call, unless the whole answer arrives."""

    def test_a_silent_service_times_out(self, caller: HttpServiceCaller) -> None:
        with serving(lambda connection: connection.recv(1)) as service:
            started = monotonic()
            outcome = caller.call(a_request(service.url(), timeout_seconds=1))

        assert outcome == TimedOut(why="no complete response within 1 s")
        assert 0.9 < monotonic() - started < 5

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\r\nX-Slow: ",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n",
            b"HTTP/1.0 200 OK\r\n\r\n",
        ],
        ids=["headers", "body", "chunk", "to the end"],
    )
    def test_a_drip_ends_at_the_deadline(self, caller: HttpServiceCaller, head: bytes) -> None:
        stubs: list[Stub] = []

        def drip(connection: socket.socket) -> None:
            connection.sendall(head)
            for _ in range(200):
                connection.sendall(b"x")
                stubs[0].wait(0.1)

        with serving(drip) as service:
            stubs.append(service)
            started = monotonic()
            outcome = caller.call(a_request(service.url(), timeout_seconds=1))
            took = monotonic() - started

        assert outcome == TimedOut(why="no complete response within 1 s")
        assert 0.9 < took < 5

    def test_a_service_that_does_not_read_on(self, caller: HttpServiceCaller) -> None:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
            started = monotonic()
            outcome = caller.call(a_request(url, body="x" * 20_000 * KB, timeout_seconds=1))

        assert outcome == TimedOut(why="no complete response within 1 s")
        assert 0.9 < monotonic() - started < 5

    def test_a_reset_connection_is_no_answer(self, caller: HttpServiceCaller) -> None:
        assert called(caller, reset) == TimedOut(
            why="the connection broke before the response was complete: ConnectionResetError"
        )

    def test_a_closed_connection_is_no_answer(self, caller: HttpServiceCaller) -> None:
        assert called(caller, sending(b"")) == TimedOut(
            why="no complete response: the connection ended after 0 bytes of it"
        )

    def test_an_invalid_answer_is_no_answer(self, caller: HttpServiceCaller) -> None:
        assert called(caller, sending(b"220 smtp.example.test ESMTP\r\n")) == TimedOut(
            why="no complete response: it is not HTTP (Expected HTTP/, RTSP/ or ICE/)"
        )

    def test_a_truncated_body_is_no_answer(self, caller: HttpServiceCaller) -> None:
        script = sending(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[1]")

        assert called(caller, script) == TimedOut(
            why="no complete response: the connection ended after 41 bytes of it"
        )

    def test_a_truncated_chunk_is_no_answer(self, caller: HttpServiceCaller) -> None:
        script = sending(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n[1]")

        assert isinstance(called(caller, script), TimedOut)

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[1]",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n[1]",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 30_000 + b"\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 140_000 + b"\r\n\r\n",
        ],
        ids=["chunk size", "two lengths", "too many headers", "too long a header"],
    )
    def test_an_answer_with_invalid_framing_is_no_answer(
        self, caller: HttpServiceCaller, head: bytes
    ) -> None:
        assert isinstance(called(caller, sending(head)), TimedOut)

    @pytest.mark.parametrize(
        "interim",
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"],
    )
    def test_an_interim_answer_is_not_an_answer(self, caller: HttpServiceCaller, interim: bytes) -> None:
        """The answer follows it, on the same connection. Source: RFC 9110 section 15.2."""
        with serving(interim * 2 + answer([1]), answer([2]), sending(interim)) as service:
            outcomes = [caller.call(a_request(service.url())) for _ in range(3)]

            assert outcomes[:2] == [Answered(status=200, body=[1]), Answered(status=200, body=[2])]
            assert isinstance(outcomes[2], TimedOut)
            assert service.connections == 1

    def test_another_protocol_is_no_answer(self, caller: HttpServiceCaller) -> None:
        upgrade = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"

        assert called(caller, upgrade) == TimedOut(
            why="no complete response: the server changes the protocol"
        )

    def test_nothing_is_sent_twice(self, caller: HttpServiceCaller) -> None:
        with serving(sending(b"")) as service:
            caller.call(a_request(service.url(), method="get"))

            assert len(service.seen) == 1


class TestConnections:
    """One connection is kept for each host, and used again while it is fresh and open."""

    def test_a_connection_is_used_for_several_calls(self, caller: HttpServiceCaller) -> None:
        with serving() as service:
            for _ in range(5):
                caller.call(a_request(service.url()))

            assert (service.connections, len(service.seen)) == (1, 5)

    def test_a_connection_closed_by_the_service_is_replaced(self, caller: HttpServiceCaller) -> None:
        with serving(sending(answer([1])), answer([2])) as service:
            caller.call(a_request(service.url()))
            service.threads[0].join(10)

            assert caller.call(a_request(service.url())) == Answered(status=200, body=[2])
            assert service.connections == 2

    @pytest.mark.parametrize(("idle", "connections"), [(3.0, 1), (4.2, 2)])
    def test_a_connection_idle_for_four_seconds_is_replaced(
        self, make: Make, idle: float, connections: int
    ) -> None:
        passed = [0.0]
        caller = make(seconds=lambda: passed[0])
        with serving() as service:
            caller.call(a_request(service.url()))
            passed[0] = idle
            caller.call(a_request(service.url()))

            assert service.connections == connections

    def test_every_call_has_its_whole_timeout(self, make: Make) -> None:
        passed = [0.0]
        caller = make(seconds=lambda: passed[0])
        with serving() as service:
            for _ in range(4):
                assert isinstance(caller.call(a_request(service.url(), timeout_seconds=5)), Answered)
                passed[0] += 3

            assert service.connections == 1

    def test_closed_connections_are_replaced(self, caller: HttpServiceCaller) -> None:
        with serving() as service:
            caller.call(a_request(service.url()))
            caller.close()
            caller.call(a_request(service.url()))

            assert service.connections == 2

    def test_a_connection_is_kept_for_the_latest_sixteen_hosts(self, make: Make) -> None:
        caller = make(resolve=lambda _: ["127.0.0.1"])
        with serving() as service:

            def connections_after(number: int) -> int:
                assert isinstance(caller.call(a_request(service.url(host=f"s{number}.test"))), Answered)
                return service.connections

            assert [connections_after(number) for number in range(17)] == list(range(1, 18))
            assert [connections_after(number) for number in (16, 1)] == [17, 17]
            assert connections_after(0) == 18
            # The host that was called least recently made room for it.
            assert [connections_after(number) for number in (1, 3, 2)] == [18, 18, 19]

    def test_hosts_that_differ_in_case_share_a_connection(self, make: Make) -> None:
        caller = make(resolve=lambda _: ["127.0.0.1"])
        with serving() as service:
            for host in ("s.test", "S.test"):
                assert isinstance(caller.call(a_request(service.url(host=host))), Answered)

            assert service.connections == 1

    def test_calls_at_the_same_time_have_connections_of_their_own(self, caller: HttpServiceCaller) -> None:
        both = Barrier(2, timeout=10)

        def answered_together(connection: socket.socket) -> None:
            both.wait()
            connection.sendall(answer([1]))

        with serving(answered_together) as service, ThreadPoolExecutor(2) as threads:
            requests = [a_request(service.url())] * 2
            assert list(threads.map(caller.call, requests)) == [Answered(status=200, body=[1])] * 2
            assert service.connections == 2


class TestIsolation:
    """The environment does not affect calls, and no call affects the next."""

    def test_no_proxy_from_the_environment(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        with serving() as proxy:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.url())

            assert called(make(), answer([1])) == Answered(status=200, body=[1])
            assert proxy.connections == 0

    def test_no_password_from_netrc(self, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        (tmp_path / "netrc").write_text("default login a password b\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

        assert "authorization" not in seen(make()).headers

    def test_the_password_of_a_url_is_its_own(self, make: Make) -> None:
        with serving() as service:
            url = service.url(host="user:p%40ss@127.0.0.1")
            make().call(a_request(url))

            assert service.seen[0].headers["authorization"] == "Basic dXNlcjpwQHNz"

    def test_no_cookie_is_kept(self, caller: HttpServiceCaller) -> None:
        with serving(answer(b"", Set_Cookie="a=b; Path=/")) as service:
            caller.call(a_request(service.url()))
            caller.call(a_request(service.url()))

            assert ["cookie" in request.headers for request in service.seen] == [False, False]


class TestSecrets:
    """No header, parameter, body or token appears in a message, a log or a repr."""

    def test_secrets_appear_in_no_outcome_log_or_repr(
        self, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        broken_headers = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n: odd\r\nno colon\r\n\r\n"
        scripts = [
            sending(b""),
            reset,
            sending(b"junk\r\n"),
            sending(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        ]
        messages: list[str] = []
        for script in (*scripts, sending(broken_headers), answer(b"", 500)):
            caller = make()
            with serving(script) as service, serving(answer({"access_token": "hush-token"})) as authority:
                credential = a_credential(
                    authority.url("/?k=hush"), headers={"X": "hush"}, params={"p": "hush"}
                )
                request = a_request(
                    service.url("/hush"),
                    headers={"X-Key": "hush-header"},
                    params={"key": "hush-param"},
                    body={"pin": "hush-body"},
                    credential=credential,
                )
                outcome = caller.call(request)
                messages += [str(outcome), repr(caller), repr(vars(caller)), repr(vars(caller._tokens))]
                messages += [repr(request).replace(service.url("/hush"), "")]
        gone = a_request(
            "http://127.0.0.1:1/hush?k=hush", credential=a_credential("http://127.0.0.1:1/?k=hush")
        )
        messages += [str(make().call(gone)), str(make(allowed=()).call(gone))]

        assert "hush" not in "".join(messages)
        assert "hush" not in caplog.text
