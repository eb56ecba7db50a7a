import gzip
import json
import socket
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from shared.adapters.http.service_caller import HttpServiceCaller
from shared.domain.steps.call import Answered, Unreachable
from tests.adapters.http.http_stub import Script, a_request, answer, called, seen, sending, serving

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

KB = 1024


class TestWhatIsSent:
    """The method is in capitals, the URL has its parameters, and the body is JSON."""

    def test_a_post_has_parameters_headers_and_body(self, caller: HttpServiceCaller) -> None:
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
    def test_every_method_may_have_a_body(self, caller: HttpServiceCaller, method: str) -> None:
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

    def test_a_form_is_urlencoded(self, caller: HttpServiceCaller) -> None:
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
    def test_a_request_that_http_cannot_express_is_not_sent(
        self, caller: HttpServiceCaller, changes: dict[str, Any]
    ) -> None:
        with serving() as service:
            outcome = caller.call(a_request(**{"url": service.url(), **changes}))

            assert isinstance(outcome, Unreachable)
            assert service.connections == 0


class TestWhatIsAnswered:
    """Any final status is an answer. "A text/plain answer stays text"; another body is JSON if possible, else text,
    else None.
    """

    @pytest.mark.parametrize("status", [200, 201, 299, 400, 404, 429, 500, 503])
    def test_every_final_status_is_an_answer(self, caller: HttpServiceCaller, status: int) -> None:
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
            (answer(b"1E5"), 100000.0),
            (answer(b"1E5", Content_Type="text/plain"), "1E5"),
            (answer(b"0012", Content_Type="TEXT/Plain; charset=utf-8"), "0012"),
            (answer(b"[1]", Content_Type="text/html"), "[1]"),
            (answer(b"null", Content_Type="text/csv"), "null"),
            (answer(b"[1]", Content_Type="text/json"), [1]),
            (answer(b"[1]", Content_Type="application/octet-stream"), [1]),
            (answer(b"<a/>", Content_Type="application/xml"), "<a/>"),
            (answer(b"[1]", Content_Type="application/problem+json"), [1]),
            (answer(b"", Content_Type="application/json"), None),
            (answer(b"", Content_Type="text/plain; charset=klingon"), None),
            (answer(b"", Content_Encoding="br"), None),
            (answer(b'{"a": NaN}'), '{"a": NaN}'),
            (answer(b"[-Infinity]"), "[-Infinity]"),
            (answer(b"Zo\xeb", Content_Type="text/plain; charset=latin-1"), "Zoë"),
            (answer(b'"Zo\xeb"', Content_Type="application/json; charset=ISO-8859-1"), "Zoë"),
            (answer("[1]".encode("utf-16"), Content_Type="application/json; charset=utf-16"), [1]),
            (answer(b"\xef\xbb\xbfa", Content_Type='text/plain; charset="UTF-8"'), "a"),
            (answer(b'{"a": "\\ud83d"}'), {"a": "\ud83d"}),
            (answer(b"1e999"), float("inf")),
        ],
    )
    def test_the_body_is_json_or_text(self, caller: HttpServiceCaller, script: Script, body: Any) -> None:
        assert called(caller, script) == Answered(status=200, body=body)

    def test_no_content_has_no_body(self, caller: HttpServiceCaller) -> None:
        assert called(caller, b"HTTP/1.1 204 No Content\r\n\r\n") == Answered(status=204)

    def test_a_chunked_body_is_read(self, caller: HttpServiceCaller) -> None:
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

    def test_the_location_of_a_redirect_is_ignored(self, caller: HttpServiceCaller) -> None:
        assert called(caller, answer(b"moved", 302, Location="gopher://[")) == Answered(
            status=302, body="moved"
        )

    def test_gzip_is_read_without_being_requested(self, caller: HttpServiceCaller) -> None:
        assert called(caller, answer(gzip.compress(b"[1]"), Content_Encoding="gzip")) == Answered(
            status=200, body=[1]
        )


class TestRetryAfter:
    """``Retry-After`` is a number of seconds, or a date in any of HTTP's three forms. Anything else is ignored."""

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("0", timedelta()),
            ("120", timedelta(minutes=2)),
            (" 7200 ", timedelta(hours=2)),
            ("007", timedelta(seconds=7)),
            ("31536000", timedelta(days=365)),
            ("31536001", timedelta(days=365)),
            ("9" * 5000, timedelta(days=365)),
            ("Sun, 06 Nov 2050 08:49:37 GMT", datetime(2050, 11, 6, 8, 49, 37, tzinfo=UTC)),
            ("Sunday, 06-Nov-50 08:49:37 GMT", datetime(2050, 11, 6, 8, 49, 37, tzinfo=UTC)),
            ("Sun Nov  6 08:49:37 2050", datetime(2050, 11, 6, 8, 49, 37, tzinfo=UTC)),
            ("Sun, 06 Nov 2050 09:49:37 +0100", datetime(2050, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ],
    )
    @pytest.mark.parametrize("status", [429, 503])
    def test_seconds_and_dates_are_read(
        self, caller: HttpServiceCaller, status: int, value: str, expected: timedelta | datetime
    ) -> None:
        assert called(caller, answer(b"", status, Retry_After=value)) == Answered(
            status=status, retry_after=expected
        )

    @pytest.mark.parametrize(
        "value",
        ["", "-1", "1.5", "1e3", "soon", "5, 7", "\uff12", "Sun, 31 Feb 2050 08:49:37 GMT", "99999999T"],
    )
    def test_anything_else_is_ignored(self, caller: HttpServiceCaller, value: str) -> None:
        raw = f"HTTP/1.1 429 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n".encode()

        assert called(caller, raw) == Answered(status=429)

    def test_retry_after_is_kept_if_the_body_is_unusable(self, caller: HttpServiceCaller) -> None:
        script = answer(b"{", 503, Content_Type="application/json", Retry_After="5")

        assert called(caller, script) == Answered(
            status=503,
            unusable="not JSON, although its type says so: 'application/json'",
            retry_after=timedelta(seconds=5),
        )


class TestAnAnswerWhoseBodyIsOfNoUse:
    """An answer with an unusable body keeps its status, and the rest is not read."""

    LARGE = "larger than 128 KB"

    def test_128_kb_are_read(self, caller: HttpServiceCaller) -> None:
        assert called(caller, answer(b"x" * 128 * KB)) == Answered(status=200, body="x" * 128 * KB)

    def test_more_than_128_kb_are_not_read(self, caller: HttpServiceCaller) -> None:
        assert called(caller, answer(b"x" * (128 * KB + 1), 500)) == Answered(status=500, unusable=self.LARGE)

    def test_a_length_beyond_is_believed_at_once(self, caller: HttpServiceCaller) -> None:
        with serving(
            sending(b"HTTP/1.1 200 OK\r\nContent-Length: 131073\r\n\r\n", lambda c: c.recv(1))
        ) as service:
            assert caller.call(a_request(service.url())) == Answered(status=200, unusable=self.LARGE)

    def test_an_endless_body_is_not_read(self, caller: HttpServiceCaller) -> None:
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

    @pytest.mark.parametrize(
        ("script", "why"),
        [
            (answer(b"{}", Content_Encoding="br"), "in an unsupported encoding: 'br'"),
            (answer(b"{}", Content_Encoding="gzip, zstd"), "in an unsupported encoding: 'gzip, zstd'"),
            (
                answer(b"a", Content_Type="text/plain; charset=klingon"),
                "in an unsupported charset: 'klingon'",
            ),
            (
                answer(b"{}", Content_Type="application/json; charset=utf-7"),
                "in an unsupported charset: 'utf-7'",
            ),
            (
                answer(b"\\ud83d", Content_Type="text/plain; charset=unicode_escape"),
                "in an unsupported charset: 'unicode_escape'",
            ),
            (answer(b"a", Content_Type="text/plain; charset=\0"), "in an unsupported charset: '\\x00'"),
            (answer(b'"\xff"'), "not text in its charset utf-8"),
            (answer(b"Zo\xeb", Content_Type="text/plain; charset=utf-8"), "not text in its charset utf-8"),
            (answer(b"a", Content_Type="text/plain; charset=utf-16"), "not text in its charset utf-16"),
        ],
    )
    def test_a_body_that_cannot_be_decoded_is_unusable(
        self, caller: HttpServiceCaller, script: Script, why: str
    ) -> None:
        assert called(caller, script) == Answered(status=200, unusable=why)

    @pytest.mark.parametrize("body", [b"OK", b" ", b"{", b'{"a": NaN}', b"{'a': 1}", b"1E5 "[:-1] + b"x"])
    @pytest.mark.parametrize("media_type", ["application/json", "application/problem+json", "text/json"])
    def test_a_body_sent_as_json_must_be_json(
        self, caller: HttpServiceCaller, media_type: str, body: bytes
    ) -> None:
        assert called(caller, answer(body, 201, Content_Type=media_type)) == Answered(
            status=201, unusable=f"not JSON, although its type says so: {media_type!r}"
        )

    def test_an_encoding_that_changes_nothing_is_read(self, caller: HttpServiceCaller) -> None:
        assert called(caller, answer(b"[1]", Content_Encoding="Identity")) == Answered(status=200, body=[1])

    def test_a_body_nested_too_deep_is_unusable(self, caller: HttpServiceCaller) -> None:
        assert called(caller, answer(b"[" * 60_000 + b"]" * 60_000)) == Answered(
            status=200, unusable="nested too deep"
        )

    def test_the_next_call_goes_over_a_new_connection(self, caller: HttpServiceCaller) -> None:
        with serving(answer(b"x" * 200 * KB), answer([1])) as service:
            caller.call(a_request(service.url()))

            assert caller.call(a_request(service.url())) == Answered(status=200, body=[1])
            assert service.connections == 2
