"""The demo's services, as a process over real sockets."""

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dev.client import Processes
from dev.emulator import free_port

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    running = Processes(tmp_path, downstream_port=free_port(), stack_port=free_port())
    try:
        running.start_downstream()
        yield running
    finally:
        running.stop()


def post(processes: Processes, path: str, key: str) -> tuple[bytes, bytes]:
    """Send a POST. Return the bytes that arrive first, and all later bytes until the connection is closed."""
    here = urlsplit(processes.downstream.url)
    with socket.create_connection(("127.0.0.1", here.port or 0), 10) as client:
        lines = [f"POST {path} HTTP/1.1", f"host: {here.netloc}", f"idempotency-key: {key}"]
        head = "\r\n".join([*lines, "connection: close", "content-length: 2", "", ""])
        client.sendall(head.encode() + b"{}")
        first = client.recv(65536)
        return first, b"".join(iter(lambda: client.recv(65536), b""))


def test_a_response_is_one_segment(processes: Processes) -> None:
    first, rest = post(processes, "/4020/charges", "k-1")

    assert first.startswith(b"HTTP/1.1 201")
    assert json.loads(first.partition(b"\r\n\r\n")[2])["status"] == "CONFIRMED"
    assert rest == b""


class TestOtherSites:
    """A request that a web page has caused gets 403 and takes no effect."""

    @pytest.mark.parametrize(
        "headers", [{"Host": "evil.example:8081"}, {"Origin": "http://evil.example"}, {"Host": "127.0.0.1:1"}]
    )
    @pytest.mark.parametrize("path", ["/4020/charges", "/_heal"])
    def test_it_is_refused(self, processes: Processes, path: str, headers: dict[str, str]) -> None:
        client = http.client.HTTPConnection(urlsplit(processes.downstream.url).netloc, timeout=10)
        client.request("POST", path, body=b"{}", headers=headers)
        response = client.getresponse()

        assert response.status == 403
        assert "this server" in json.loads(response.read())["message"]
        assert processes.downstream.call("GET", "/_ledger") == []
        client.close()


class TestEffects:
    """The ledger says of each call whether it took effect, whatever was answered."""

    @pytest.mark.parametrize(
        ("failure", "status", "effect"),
        [
            ({}, b"201", True),
            ({"status": 503}, b"503", False),
            ({"status": 500}, b"500", False),
            ({"status": 500, "lie": True}, b"500", True),
            ({"drop": True}, b"", True),
        ],
    )
    def test_effect_and_answer(
        self, processes: Processes, failure: dict[str, object], status: bytes, effect: object
    ) -> None:
        if failure:
            processes.downstream.call("POST", "/_fail", {"path": "/4020/charges", "times": 1, **failure})

        answered, _ = post(processes, "/4020/charges", "k-1")

        assert answered[9:12] == status
        (line,) = processes.downstream.call("GET", "/_ledger")
        assert (line["key"], line["effect"], line["failure"]) == ("k-1", effect, failure)

    def test_a_repeat_has_the_effect_of_the_first_call_only(self, processes: Processes) -> None:
        processes.downstream.call(
            "POST", "/_fail", {"path": "/4020/charges", "times": 1, "status": 500, "lie": True}
        )

        answers = [post(processes, "/4020/charges", "k-1")[0][9:12] for _ in range(3)]

        assert answers == [b"500", b"201", b"201"]
        effects = [line["effect"] for line in processes.downstream.call("GET", "/_ledger")]
        assert effects == [True, False, False]

    def test_a_repeat_meets_no_failure_of_its_status(self, processes: Processes) -> None:
        """It gets the answer of the first call."""
        post(processes, "/4020/charges", "k-1")
        for failure in ({"status": 402}, {"drop": True}):
            processes.downstream.call("POST", "/_fail", {"path": "/4020/charges", "times": 1, **failure})
            post(processes, "/4020/charges", "k-1")

        lines = processes.downstream.call("GET", "/_ledger")
        assert [line["failure"] for line in lines] == [{}, {}, {"drop": True}]
