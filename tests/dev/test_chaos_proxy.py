"""The proxy that disturbs requests, over real sockets on 127.0.0.1."""

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from dev.chaos.faults import Disturb, Disturbance, Link
from dev.chaos.proxy import Proxy
from dev.gateway import HttpReply, HttpRequest, json_reply
from dev.http_server import HttpServer

pytestmark = pytest.mark.enable_socket
RECEIVED: list[str] = []


def answer(request: HttpRequest) -> HttpReply:
    RECEIVED.append(request.target)
    return json_reply(
        201, {"target": request.target, "body": request.body.decode(), "sent": request.headers.get("x-sent")}
    )


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    RECEIVED.clear()
    server = HttpServer(answer, 0)
    made = Proxy(server.url, port=0, seed=1)
    yield made
    made.stop()
    server.close()


def disturb(proxy: Proxy, how: Disturbance, *, share: float = 1.0) -> None:
    proxy.disturb(Disturb(Link.DATABASE, how, share, 60))


def post(proxy: Proxy, path: str = "/a?b=c", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(proxy.url).port, timeout=10)
    try:
        connection.request("POST", path, body=b"hello", headers={"X-Sent": "1", **headers})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


class TestForwarding:
    """An undisturbed request and its reply pass as they are."""

    def test_request_and_reply(self, proxy: Proxy) -> None:
        status, headers, body = post(proxy)

        assert status == 201
        assert headers["content-type"] == "application/json"
        assert json.loads(body) == {"target": "/a?b=c", "body": "hello", "sent": "1"}

    @pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
    def test_a_request_of_a_web_page_is_refused(self, proxy: Proxy, headers: dict[str, str]) -> None:
        """The server behind would take it for the proxy's own."""
        assert post(proxy, **headers)[0] == 403
        assert RECEIVED == []

    def test_several_requests_on_one_connection(self, proxy: Proxy) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(proxy.url).port, timeout=10)
        for number in range(3):
            connection.request("GET", f"/{number}")
            assert json.loads(connection.getresponse().read())["target"] == f"/{number}"
        connection.close()

    def test_without_a_server_behind_it_the_connection_breaks(self) -> None:
        alone = Proxy("http://127.0.0.1:9", port=0, seed=1)
        with pytest.raises(OSError):  # noqa: PT011 - which one depends on the moment
            post(alone)
        alone.stop()


class TestDisturbances:
    """A disturbed request is throttled, reset, delayed, or takes effect without a reply."""

    def test_dynamodb_is_throttled_as_on_aws(self, proxy: Proxy) -> None:
        disturb(proxy, Disturbance.THROTTLE)

        status, _, body = post(proxy, **{"X-Amz-Target": "DynamoDB_20120810.PutItem"})

        assert status == 400
        assert json.loads(body)["__type"].endswith("#ProvisionedThroughputExceededException")
        assert RECEIVED == []

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/2015-03-31/functions/runner/invocations", "TooManyRequestsException"),
            ("/schedules/a", "ThrottlingException"),
        ],
    )
    def test_lambda_and_scheduler_are_throttled_as_on_aws(self, proxy: Proxy, path: str, kind: str) -> None:
        disturb(proxy, Disturbance.THROTTLE)

        status, headers, _ = post(proxy, path)

        assert (status, headers["x-amzn-errortype"]) == (429, kind)
        assert RECEIVED == []

    @pytest.mark.parametrize(("how", "arrives"), [(Disturbance.RESET, False), (Disturbance.LOST_REPLY, True)])
    def test_no_reply_arrives(self, proxy: Proxy, how: Disturbance, arrives: object) -> None:
        disturb(proxy, how)

        with pytest.raises(OSError):  # noqa: PT011 - which one depends on the moment
            post(proxy)

        assert bool(RECEIVED) is arrives

    def test_a_slow_reply_arrives(self, proxy: Proxy) -> None:
        disturb(proxy, Disturbance.SLOW)

        assert post(proxy)[0] == 201

    def test_only_a_share_is_disturbed(self, proxy: Proxy) -> None:
        disturb(proxy, Disturbance.THROTTLE, share=0.5)

        statuses = [post(proxy, "/schedules/a")[0] for _ in range(40)]

        assert 5 < statuses.count(429) < 35
        assert proxy.disturbed == {Disturbance.THROTTLE: statuses.count(429)}

    def test_a_healed_proxy_forwards(self, proxy: Proxy) -> None:
        disturb(proxy, Disturbance.RESET)
        proxy.heal()

        assert post(proxy)[0] == 201
