"""Functions whose snapshot is taken after their initialization, and restored in many containers (SnapStart).

A process is forked after its handler was imported: each child has the memory of the snapshot, and continues alone.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dev.template import Function, Template
from tests.functions.environments import PARAMETERS, ROOT

FUNCTIONS = {
    function.logical_id: function for function in Template(ROOT / "template.yaml", PARAMETERS).functions()
}
CONTAINERS = 2

# What a snapshot must not hold is looked for before the fork: threads, child processes, connections.
PROGRAM = """
import importlib, json, os, random, sys, threading
from pathlib import Path
module, _, name = sys.argv[1].rpartition(".")
handler = getattr(importlib.import_module(module), name)
from shared import bootstrap
clients = [made.cache_info().currsize for made in (bootstrap._database, bootstrap._made_client)]
held = [os.readlink(file) for file in Path("/proc/self/fd").iterdir() if file.exists()]
children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
frozen = {
    "clients": clients,
    "threads": threading.active_count(),
    "children": children,
    "sockets": [name for name in held if name.startswith("socket:")],
}

state = random.getstate()

def thaw():
    # A fork reseeds this generator, and a restored snapshot does not.
    random.setstate(state)
    ports = bootstrap.ports()
    return {
        "sid": ports.ids.instance_sid(),
        "token": ports.ids.token(),
        "entropy": bootstrap.entropy(8).hex(),
        "jitter": random.random(),
        "instance": ports.instances.load("i-1"),
        "now": ports.clock.now().isoformat(),
        "up": bootstrap.deployment().up_seconds,
    }

restored = []
for _ in range(int(sys.argv[2])):
    end, begin = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(begin, json.dumps(thaw()).encode())
        os._exit(0)
    os.close(begin)
    restored.append(json.loads(os.read(end, 65536)))
    os.waitpid(pid, 0)
print(json.dumps({"frozen": frozen, "restored": restored}))
"""


@dataclass
class Aws:
    """Lambda's source of credentials, and DynamoDB with an empty table.

    The credentials that the initialization fetches soon expire, as all have when a snapshot is restored.
    """

    port: int = 0
    fetched: int = 0
    signed_with: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def credentials(self) -> dict[str, str]:
        self.fetched += 1
        lasts = timedelta(minutes=1) if self.fetched == 1 else timedelta(hours=6)
        return {
            "AccessKeyId": f"KEY{self.fetched}",
            "SecretAccessKey": "s",
            "Token": "t",
            "Expiration": (datetime.now(UTC) + lasts).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


@pytest.fixture
def aws(socket_enabled: None) -> Iterator[Aws]:
    assert socket_enabled is None
    aws = Aws()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(aws.credentials())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            aws.signed_with.append(
                self.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
            )
            self.answer({})

        def answer(self, body: dict[str, str]) -> None:
            sent = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        aws.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield aws
        server.shutdown()
        thread.join()


def snapshot(function: Function, aws: Aws, *, kind: str = "snap-start") -> dict[str, Any]:
    """Return the state that the initialization has left, and the values that each restored container has."""
    environment = {
        **function.environment,
        "AWS_LAMBDA_INITIALIZATION_TYPE": kind,
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{aws.url}/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "token",
        "AWS_ENDPOINT_URL_DYNAMODB": aws.url,
        "HOME": "/nonexistent",
    }
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", PROGRAM, function.handler, str(CONTAINERS)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads what a process holds from /proc")
class TestASnapshot:
    """It holds the clients, and nothing that must not be in two containers, or that does not last."""

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_every_function_can_be_restored_twice(self, aws: Aws, name: str) -> None:
        began = datetime.now(UTC) - timedelta(seconds=1)

        found = snapshot(FUNCTIONS[name], aws)

        database, others = found["frozen"].pop("clients")
        # The expirer uses DynamoDB only, all others two more services at least.
        assert (database, others >= (0 if name == "Expirer" else 2)) == (1, True)
        assert found["frozen"] == {"threads": 1, "children": [], "sockets": []}
        for member in ("sid", "token", "entropy", "jitter"):
            seen = {json.dumps(one[member]) for one in found["restored"]}
            assert len(seen) == CONTAINERS, member
        for one in found["restored"]:
            assert one["instance"] is None
            assert began < datetime.fromisoformat(one["now"]) < datetime.now(UTC)
            assert one["up"] < 5, "a container is up since it was restored"

    def test_credentials_that_have_expired_since_are_fetched_again(self, aws: Aws) -> None:
        snapshot(FUNCTIONS["StepRunner"], aws)

        assert aws.signed_with == ["KEY2", "KEY3"]

    def test_without_snapshots_nothing_is_made_at_initialization(self, aws: Aws) -> None:
        found = snapshot(FUNCTIONS["StepRunner"], aws, kind="on-demand")

        assert found["frozen"]["clients"] == [0, 0]
