import gzip
import json
import logging
import socket
import struct
import tracemalloc
from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl

import pytest

from shared.adapters.http_service_caller import HttpServiceCaller
from shared.domain.call import Answered, CallOutcome, TimedOut, Unreachable
from tests.adapters.http_stub import Make, Script, Stub, a_credential, a_request, answer, serving

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

KB = 1024


def called(caller: HttpServiceCaller, *scripts: Script, **changes: Any) -> CallOutcome:
    """What one call comes to at a service with these answers."""
    with serving(*scripts) as service:
        return caller.call(a_request(service.url(), **changes))


def seen(caller: HttpServiceCaller, path: str = "/", **changes: Any) -> Any:
    with serving() as service:
        assert caller.call(a_request(service.url(path), **changes)) == Answered(status=200, body={"ok": True})
        (request,) = service.seen
        return request


def reset(connection: socket.socket) -> None:
    """End the connection with a reset instead of an orderly end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def sending(content: bytes, then: Callable[[socket.socket], object] = lambda _: None) -> Script:
    def script(connection: socket.socket) -> None:
        connection.sendall(content)
        then(connection)

    return script


class TestWhatIsSent:
    """Method in capitals, URL with its parameters, the action's headers, the body as JSON."""

    def test_a_post(self, caller: HttpServiceCaller) -> None:
        request = seen(
            caller, "/v1/things?a=1", params={"q": "é &=", "r": "2"}, body={"name": "Zoë", "n": [1, None]}
        )

        assert request.method == "POST"
        assert request.target == "/v1/things?a=1&q=%C3%A9+%26%3D&r=2"
        assert request.body == '{"name":"Zoë","n":[1,null]}'.encode()
        assert request.headers["content-type"] == "application/json"
        assert request.headers["idempotency-key"] == "i-1-1-1"
        assert request.headers["host"].startswith("127.0.0.1:")
        assert request.headers["accept-encoding"] == "identity"
        assert request.headers["user-agent"] == "Ritornello"

    @pytest.mark.parametrize("method", ["get", "delete", "put", "patch"])
    def test_any_method_may_have_a_body(self, caller: HttpServiceCaller, method: str) -> None:
        request = seen(caller, method=method)

        assert (request.method, request.body) == (method.upper(), b'{"fee":39}')

    @pytest.mark.parametrize("method", ["get", "delete", "post", "put", "patch"])
    def test_none_is_no_body(self, caller: HttpServiceCaller, method: str) -> None:
        request = seen(caller, method=method, body=None)

        assert request.body == b""
        assert "content-type" not in request.headers
        assert request.headers.get("content-length", "0") == "0"

    @pytest.mark.parametrize("body", [{}, [], "", 0, False])
    def test_an_empty_value_is_a_body(self, caller: HttpServiceCaller, body: Any) -> None:
        assert json.loads(seen(caller, body=body).body) == body

    def test_the_action_may_name_another_content_type(self, caller: HttpServiceCaller) -> None:
        request = seen(caller, headers={"content-type": "application/vnd.api+json"})

        assert request.headers["content-type"] == "application/vnd.api+json"
        assert request.body == b'{"fee":39}'

    def test_a_form(self, caller: HttpServiceCaller) -> None:
        body = {"a": "é b", "yes": True, "n": 1.5, "none": None, "many": ["x", 2], "deep": {"k": [1]}}
        request = seen(
            caller, headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, body=body
        )

        assert parse_qsl(request.body.decode()) == [
            ("a", "é b"),
            ("yes", "true"),
            ("n", "1.5"),
            ("many", "x"),
            ("many", "2"),
            ("deep", '{"k":[1]}'),
        ]

    def test_headers_in_latin_1_without_outer_blanks(self, caller: HttpServiceCaller) -> None:
        assert seen(caller, headers={"X-Name": " Zoë "}).headers["x-name"] == "Zoë"

    def test_framing_and_compression_are_not_the_actions(self, caller: HttpServiceCaller) -> None:
        wanted = {
            "Content-Length": "999",
            "Transfer-Encoding": "chunked",
            "Accept-Encoding": "gzip",
            "Connection": "close",
        }
        request = seen(caller, headers=wanted)

        assert request.headers["content-length"] == "10"
        assert request.headers["accept-encoding"] == "identity"
        assert "transfer-encoding" not in request.headers
        assert "connection" not in request.headers

    @pytest.mark.parametrize(
        "changes",
        [
            {"url": "http://[::1/"},
            {"url": "http://.example/"},
            {"url": f"http://{'x' * 64}.example/"},
            {"url": "ftp://127.0.0.1/"},
            {"body": {"n": float("nan")}},
            {"body": {"n": "\ud83d"}},
            {"headers": {"X": "a\r\nY: b"}},
        ],
    )
    def test_what_has_no_form_in_http_is_not_sent(
        self, caller: HttpServiceCaller, changes: dict[str, Any]
    ) -> None:
        with serving() as service:
            outcome = caller.call(a_request(**{"url": service.url(), **changes}))

            assert isinstance(outcome, Unreachable)
            assert service.connections == 0


class TestWhatIsAnswered:
    """Any final status is an answer. Its body is JSON if it can be, else text, else nothing."""

    @pytest.mark.parametrize("status", [200, 201, 299, 400, 404, 429, 500, 503])
    def test_each_status(self, caller: HttpServiceCaller, status: int) -> None:
        assert called(caller, answer({"a": [1, None]}, status)) == Answered(
            status=status, body={"a": [1, None]}
        )

    @pytest.mark.parametrize(
        ("script", "body"),
        [
            (answer(b""), None),
            (answer(b"null"), None),
            (answer(b'"text"'), "text"),
            (answer(b"\xef\xbb\xbf[1]"), [1]),
            (answer(b"OK"), "OK"),
            (answer(b" "), " "),
            (answer(b'{"a": NaN}'), '{"a": NaN}'),
            (answer(b"[-Infinity]"), "[-Infinity]"),
            (answer(b'"\xff"'), '"\ufffd"'),
            (answer(b"Zo\xeb", Content_Type="text/plain; charset=latin-1"), "Zoë"),
            (answer(b'"Zo\xeb"', Content_Type="application/json; charset=ISO-8859-1"), "Zoë"),
            (answer("[1]".encode("utf-16"), Content_Type="application/json; charset=utf-16"), [1]),
            (answer(b"Zo\xeb", Content_Type="text/plain; charset=klingon"), "Zo\ufffd"),
            (answer(b"\\ud83d", Content_Type="text/plain; charset=unicode_escape"), "\\ud83d"),
            (answer(b"a", Content_Type="text/plain; charset=\0"), "a"),
            (answer(b'{"a": "\\ud83d"}'), {"a": "\ud83d"}),
            (answer(b"1e999"), float("inf")),
        ],
    )
    def test_the_body(self, caller: HttpServiceCaller, script: Script, body: Any) -> None:
        assert called(caller, script) == Answered(status=200, body=body)

    def test_no_content(self, caller: HttpServiceCaller) -> None:
        assert called(caller, b"HTTP/1.1 204 No Content\r\n\r\n") == Answered(status=204)

    def test_chunked(self, caller: HttpServiceCaller) -> None:
        chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n"

        assert called(caller, chunks) == Answered(status=200, body=[1, 2])

    def test_until_the_connection_ends(self, caller: HttpServiceCaller) -> None:
        assert called(caller, sending(b"HTTP/1.0 200 OK\r\n\r\n[1]")) == Answered(status=200, body=[1])

    def test_an_early_answer_to_a_body_nobody_reads(self, caller: HttpServiceCaller) -> None:
        assert called(caller, answer({"code": "too much"}, 413), body="x" * 500 * KB) == Answered(
            status=413, body={"code": "too much"}
        )

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_an_answer_like_any_other(self, caller: HttpServiceCaller, status: int) -> None:
        with serving() as elsewhere:
            to = elsewhere.url("/secret")

            assert called(caller, answer(b"moved", status, Location=to)) == Answered(
                status=status, body="moved"
            )
            assert elsewhere.connections == 0

    def test_where_a_redirect_would_lead_is_not_even_read(self, caller: HttpServiceCaller) -> None:
        assert called(caller, answer(b"moved", 302, Location="gopher://[")) == Answered(
            status=302, body="moved"
        )

    def test_gzip_is_read_although_it_was_not_asked_for(self, caller: HttpServiceCaller) -> None:
        assert called(caller, answer(gzip.compress(b"[1]"), Content_Encoding="gzip")) == Answered(
            status=200, body=[1]
        )


class TestAnAnswerWhoseBodyIsOfNoUse:
    """It is a definite answer with its status, and says what is wrong with the body, which is not read on."""

    LARGE = "more than 128 KB"

    def test_128_kb_are_read(self, caller: HttpServiceCaller) -> None:
        assert called(caller, answer(b"x" * 128 * KB)) == Answered(status=200, body="x" * 128 * KB)

    def test_one_byte_more_is_not(self, caller: HttpServiceCaller) -> None:
        assert called(caller, answer(b"x" * (128 * KB + 1), 500)) == Answered(status=500, unusable=self.LARGE)

    def test_a_length_beyond_is_believed_at_once(self, caller: HttpServiceCaller) -> None:
        with serving(
            sending(b"HTTP/1.1 200 OK\r\nContent-Length: 131073\r\n\r\n", lambda c: c.recv(1))
        ) as service:
            assert caller.call(a_request(service.url())) == Answered(status=200, unusable=self.LARGE)

    def test_an_endless_one(self, caller: HttpServiceCaller) -> None:
        def endless(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")

        assert called(caller, endless) == Answered(status=200, unusable=self.LARGE)

    def test_a_decompression_bomb(self, caller: HttpServiceCaller) -> None:
        bomb = answer(gzip.compress(b"\0" * 50_000 * KB), Content_Encoding="gzip")
        tracemalloc.start()
        try:
            assert called(caller, bomb) == Answered(status=200, unusable=self.LARGE)
            assert tracemalloc.get_traced_memory()[1] < 4_000 * KB
        finally:
            tracemalloc.stop()

    def test_compressed_otherwise_than_it_says(self, caller: HttpServiceCaller) -> None:
        assert called(caller, answer(b"plain", Content_Encoding="gzip")) == Answered(
            status=200, unusable="not compressed as its Content-Encoding says"
        )

    def test_nested_beyond_reading(self, caller: HttpServiceCaller) -> None:
        assert called(caller, answer(b"[" * 60_000 + b"]" * 60_000)) == Answered(
            status=200, unusable="nested too deep"
        )

    def test_the_next_call_goes_over_a_new_connection(self, caller: HttpServiceCaller) -> None:
        with serving(answer(b"x" * 200 * KB), answer([1])) as service:
            caller.call(a_request(service.url()))

            assert caller.call(a_request(service.url())) == Answered(status=200, body=[1])
            assert service.connections == 2


class TestNothingWasSent:
    """Without a connection nothing reached the service: a definite failure."""

    def test_connection_refused(self, caller: HttpServiceCaller) -> None:
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

    def test_nobody_takes_the_connection(self, caller: HttpServiceCaller) -> None:
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

        assert outcome == Unreachable(why="127.0.0.1: no connection in time")
        assert 0.9 < took < 5


class TestNoWholeAnswer:
    """Once sending began, the call may have reached the service, until the whole answer is there."""

    def broken(self, kind: str) -> TimedOut:
        return TimedOut(why=f"the connection broke before the whole answer had come: {kind}")

    def test_silence(self, caller: HttpServiceCaller) -> None:
        with serving(lambda connection: connection.recv(1)) as service:
            started = monotonic()
            outcome = caller.call(a_request(service.url(), timeout_seconds=1))

        assert outcome == TimedOut(why="no whole answer within 1 s")
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
        held: list[Stub] = []

        def drip(connection: socket.socket) -> None:
            connection.sendall(head)
            for _ in range(200):
                connection.sendall(b"x")
                held[0].wait(0.1)

        with serving(drip) as service:
            held.append(service)
            started = monotonic()
            outcome = caller.call(a_request(service.url(), timeout_seconds=1))
            took = monotonic() - started

        assert outcome == TimedOut(why="no whole answer within 1 s")
        assert 0.9 < took < 5

    def test_a_service_that_does_not_read_on(self, caller: HttpServiceCaller) -> None:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
            started = monotonic()
            outcome = caller.call(a_request(url, body="x" * 20_000 * KB, timeout_seconds=1))

        assert outcome == TimedOut(why="no whole answer within 1 s")
        assert 0.9 < monotonic() - started < 5

    def test_reset(self, caller: HttpServiceCaller) -> None:
        assert called(caller, reset) == self.broken("ConnectionResetError")

    def test_closed(self, caller: HttpServiceCaller) -> None:
        assert called(caller, sending(b"")) == self.broken("RemoteDisconnected")

    def test_garbage(self, caller: HttpServiceCaller) -> None:
        assert called(caller, sending(b"220 smtp.example.test ESMTP\r\n")) == self.broken("BadStatusLine")

    def test_a_body_cut_short(self, caller: HttpServiceCaller) -> None:
        script = sending(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[1]")

        assert called(caller, script) == self.broken("IncompleteRead")

    def test_a_chunk_cut_short(self, caller: HttpServiceCaller) -> None:
        script = sending(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n[1]")

        assert isinstance(called(caller, script), TimedOut)

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[1]",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n[1]",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        ],
        ids=["chunk size", "two lengths", "too many headers", "too long a header"],
    )
    def test_an_answer_that_is_none(self, caller: HttpServiceCaller, head: bytes) -> None:
        assert isinstance(called(caller, sending(head)), TimedOut)

    def test_an_interim_answer_is_none(self, caller: HttpServiceCaller) -> None:
        hint = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
        with serving(hint + answer([1]), answer([2])) as service:
            assert caller.call(a_request(service.url())) == TimedOut(
                why="answered only 103, which announces another answer"
            )
            assert caller.call(a_request(service.url())) == Answered(status=200, body=[2])

    def test_continue_is_waited_through(self, caller: HttpServiceCaller) -> None:
        assert called(caller, b"HTTP/1.1 100 Continue\r\n\r\n" + answer([1])) == Answered(
            status=200, body=[1]
        )

    def test_nothing_is_sent_twice(self, caller: HttpServiceCaller) -> None:
        with serving(sending(b"")) as service:
            caller.call(a_request(service.url(), method="get"))

            assert len(service.seen) == 1


class TestConnections:
    """One is kept per host and used again while it is fresh and open."""

    def test_kept(self, caller: HttpServiceCaller) -> None:
        with serving() as service:
            for _ in range(5):
                caller.call(a_request(service.url()))

            assert (service.connections, len(service.seen)) == (1, 5)

    def test_one_the_service_closed_is_noticed(self, caller: HttpServiceCaller) -> None:
        with serving(sending(answer([1])), answer([2])) as service:
            caller.call(a_request(service.url()))
            service.threads[0].join(10)

            assert caller.call(a_request(service.url())) == Answered(status=200, body=[2])
            assert service.connections == 2

    @pytest.mark.parametrize(("idle", "connections"), [(3.9, 1), (4.2, 2)])
    def test_idle_for_more_than_four_seconds_it_is_not_used(
        self, make: Make, idle: float, connections: int
    ) -> None:
        passed = [0.0]
        caller = make(seconds=lambda: monotonic() + passed[0])
        with serving() as service:
            caller.call(a_request(service.url()))
            passed[0] = idle
            caller.call(a_request(service.url()))

            assert service.connections == connections

    def test_each_use_has_its_whole_time(self, make: Make) -> None:
        passed = [0.0]
        caller = make(seconds=lambda: monotonic() + passed[0])
        with serving() as service:
            for _ in range(4):
                assert isinstance(caller.call(a_request(service.url(), timeout_seconds=5)), Answered)
                passed[0] += 3

            assert service.connections == 1

    def test_closed_they_are_made_anew(self, caller: HttpServiceCaller) -> None:
        with serving() as service:
            caller.call(a_request(service.url()))
            caller.close()
            caller.call(a_request(service.url()))

            assert service.connections == 2


class TestNothingFromElsewhere:
    """The environment says nothing about calls; one call leaves nothing for the next."""

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

    def test_no_cookie_is_kept(self, caller: HttpServiceCaller) -> None:
        with serving(answer(b"", Set_Cookie="a=b; Path=/")) as service:
            caller.call(a_request(service.url()))
            caller.call(a_request(service.url()))

            assert ["cookie" in request.headers for request in service.seen] == [False, False]


class TestSecrets:
    """No header, parameter, body or token shows in a message, a log or a repr."""

    def test_in_no_outcome_log_or_repr(self, make: Make, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        broken_headers = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n: odd\r\nno colon\r\n\r\n"
        scripts = [
            sending(b""),
            reset,
            sending(b"junk\r\n"),
            sending(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        ]
        told: list[str] = []
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
                told += [str(outcome), repr(caller), repr(vars(caller)), repr(vars(caller._tokens))]
                told += [repr(request).replace(service.url("/hush"), "")]
        gone = a_request(
            "http://127.0.0.1:1/hush?k=hush", credential=a_credential("http://127.0.0.1:1/?k=hush")
        )
        told += [str(make().call(gone)), str(make(allowed=()).call(gone))]

        assert "hush" not in "".join(told)
        assert "hush" not in caplog.text
