"""The local HTTP server, over real sockets on 127.0.0.1."""

import http.client
import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from dev.gateway import HttpReply, HttpRequest
from dev.http_server import HttpServer, ListenError

pytestmark = pytest.mark.enable_socket


def echo(request: HttpRequest) -> HttpReply:
    if request.target == "/broken":
        raise ValueError("broken")
    seen = {
        "method": request.method,
        "target": request.target,
        "body": request.body.decode(),
        "x-sent": request.headers.get("x-sent"),
        "source": request.source,
    }
    return HttpReply(status=418, headers=[("x-back", "yes")], body=json.dumps(seen).encode())


@pytest.fixture
def server() -> Iterator[HttpServer]:
    serving = HttpServer(echo, 0)
    yield serving
    serving.close()


@pytest.fixture
def client(server: HttpServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port, timeout=10)
    yield connection
    connection.close()


class TestRequests:
    """A function receives a request as from API Gateway."""

    def test_method_target_headers_and_body(self, client: http.client.HTTPConnection) -> None:
        client.request("PATCH", "/a%2Fb?c=%20d", body=b"hello", headers={"X-Sent": "1"})
        response = client.getresponse()

        assert (response.status, response.headers["x-back"]) == (418, "yes")
        assert json.loads(response.read()) == {
            "method": "PATCH",
            "target": "/a%2Fb?c=%20d",
            "body": "hello",
            "x-sent": "1",
            "source": "127.0.0.1",
        }

    def test_a_chunked_body_is_joined(self, client: http.client.HTTPConnection) -> None:
        chunks = iter([b"in ", b"three ", b"pieces"])
        client.request("POST", "/", body=chunks, encode_chunked=True)

        assert json.loads(client.getresponse().read())["body"] == "in three pieces"

    def test_a_repeated_header_is_joined_by_a_comma(self, client: http.client.HTTPConnection) -> None:
        client.putrequest("GET", "/")
        client.putheader("X-Sent", "1")
        client.putheader("X-Sent", "2")
        client.endheaders()

        assert json.loads(client.getresponse().read())["x-sent"] == "1,2"

    @pytest.mark.parametrize("method", ["BREW", "OPTIONS"])
    def test_every_method_is_accepted(self, client: http.client.HTTPConnection, method: str) -> None:
        client.request(method, "/")

        assert json.loads(client.getresponse().read())["method"] == method

    def test_the_answer_to_head_has_no_body(self, client: http.client.HTTPConnection) -> None:
        client.request("HEAD", "/")
        response = client.getresponse()

        assert (response.status, response.read()) == (418, b"")
        assert int(response.headers["content-length"]) > 0

    def test_several_requests_on_one_connection(self, client: http.client.HTTPConnection) -> None:
        for number in range(3):
            client.request("GET", f"/{number}")
            assert json.loads(client.getresponse().read())["target"] == f"/{number}"

    def test_a_function_that_fails_answers_500(
        self, client: http.client.HTTPConnection, caplog: pytest.LogCaptureFixture
    ) -> None:
        client.request("GET", "/broken")

        assert client.getresponse().status == 500
        assert "ValueError: broken" in caplog.text


def test_a_closed_server_has_released_its_port(server: HttpServer) -> None:
    server.close()

    second = HttpServer(echo, urlsplit(server.url).port or 0)
    try:
        assert second.url == server.url
    finally:
        second.close()


def authority(server: HttpServer) -> bytes:
    return server.url.removeprefix("http://").encode()


class TestOtherSites:
    """A request that a web page has caused gets 403 over a real socket, and does not reach the function."""

    @pytest.mark.parametrize(
        ("headers", "why"),
        [
            ({"Host": "evil.example"}, "Host 'evil.example' is not this server"),
            ({"Host": "127.0.0.1:1"}, "Host '127.0.0.1:1' is not this server"),
            ({"Origin": "http://evil.example"}, "Origin 'http://evil.example' may not call"),
            ({"Sec-Fetch-Site": "cross-site"}, "Sec-Fetch-Site 'cross-site' may not call"),
        ],
    )
    def test_it_is_refused(
        self, client: http.client.HTTPConnection, headers: dict[str, str], why: str
    ) -> None:
        client.request("POST", "/broken", body=b"{}", headers=headers)
        response = client.getresponse()

        assert (response.status, response.headers["content-type"]) == (403, "application/json")
        assert json.loads(response.read())["message"].startswith(why)
        assert {
            name.lower() for name in response.headers if name.lower().startswith("access-control")
        } == set()

    def test_two_host_headers_are_refused(self, server: HttpServer) -> None:
        with socket.create_connection(("127.0.0.1", server.port), 10) as client:
            lines = [b"GET / HTTP/1.1", b"host: " + authority(server), b"host: evil.example", b"", b""]
            client.sendall(b"\r\n".join(lines))

            assert client.recv(65536).split(b" ")[1] in (b"400", b"403")

    def test_a_preflight_is_refused(self, client: http.client.HTTPConnection) -> None:
        client.request("OPTIONS", "/", headers={"Origin": "http://localhost:3000"})

        assert client.getresponse().status == 403

    def test_an_address_of_this_machine_is_served_if_it_is_named(self) -> None:
        serving = HttpServer(echo, 0, ["127.0.0.2", "host.docker.internal"])
        try:
            for name, status in (("127.0.0.2", 418), ("host.docker.internal", 418), ("127.0.0.3", 403)):
                client = http.client.HTTPConnection("127.0.0.2", serving.port, timeout=10)
                client.request("GET", "/", headers={"Host": f"{name}:{serving.port}"})
                assert client.getresponse().status == status
                client.close()
        finally:
            serving.close()


class TestABusyPort:
    """A port that cannot be used is a ListenError with one line."""

    def test_a_busy_port(self, server: HttpServer) -> None:
        with pytest.raises(ListenError) as refused:
            HttpServer(echo, server.port)

        assert str(refused.value) == f"cannot listen at 127.0.0.1:{server.port}: Address already in use"

    def test_a_port_that_does_not_exist(self) -> None:
        with pytest.raises(
            ListenError, match=r"cannot listen at 127\.0\.0\.1:65536: a port is at most 65535"
        ):
            HttpServer(echo, 65536)

    def test_an_address_of_another_machine_releases_the_port(self, server: HttpServer) -> None:
        server.close()

        with pytest.raises(ListenError, match=f"cannot listen at 192.0.2.1:{server.port}: "):
            HttpServer(echo, server.port, ["192.0.2.1"])

        HttpServer(echo, server.port).close()


class TestSegments:
    """A response is sent at once, because two segments would wait 40 ms for each other."""

    def test_head_and_body_arrive_together(self, server: HttpServer) -> None:
        with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), 10) as client:
            for _ in range(3):
                client.sendall(b"GET / HTTP/1.1\r\nhost: %b\r\n\r\n" % authority(server))
                response = client.recv(65536)

                assert response.startswith(b"HTTP/1.1 418")
                assert response.endswith(b'"source": "127.0.0.1"}')

    def test_a_closing_response_is_complete(self, server: HttpServer) -> None:
        with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), 10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: %b\r\nconnection: close\r\n\r\n" % authority(server))
            response = b"".join(iter(lambda: client.recv(65536), b""))

            assert response.endswith(b'"source": "127.0.0.1"}')
