"""The emulator of DynamoDB and EventBridge Scheduler. It starts and ends with the stack."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from dev.template import REGION

_SETUP = """\
roto.set_region("{region}")
roto.lambda.fn("{runner}", {{timeout = 900, executor = {{url = "{url}/_local/wakeup"}}}})
roto.sqs.queue("{dead_letters}")
"""

# The shell ends the emulator when our end of its standard input closes, which kill -9 does too.
TETHER = '"$@" </dev/null & child=$!; read -r _; kill "$child"; wait "$child"'


class Emulator:
    """An emulator with its own folder. It sends wakeups as POST requests to ``url``/_local/wakeup."""

    def __init__(self, folder: Path, *, url: str, runner: str, dead_letters: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        setup = folder / "setup.luau"
        setup.write_text(_SETUP.format(region=REGION, runner=runner, url=url, dead_letters=dead_letters))
        server = Path(sys.executable).with_name("roto-server")
        arguments = ["--port", str(self.port), "--data-dir", str(folder / "data"), "--setup", str(setup)]
        read, self._tether = os.pipe()
        with (folder / "emulator.log").open("a") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", TETHER, "tether", str(server), *arguments],
                stdin=read,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        os.close(read)
        self._await_start()

    @property
    def endpoint(self) -> str:
        """The URL of the emulator."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 has no types of its own
        """Return a boto3 client for one of its services."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 - the emulator takes any
            config=Config(retries={"total_max_attempts": 3, "mode": "standard"}),
        )

    def create_tables(self, tables: Iterable[dict[str, Any]]) -> None:
        """Create the tables that do not exist yet."""
        client = self.client("dynamodb")
        for table in tables:
            try:
                client.create_table(**table)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceInUseException":
                    raise

    def cpu_seconds(self) -> float:
        """Return the CPU time it has used. Raises: FileNotFoundError: this machine has no ``/proc``."""
        shell = Path(f"/proc/{self._process.pid}")
        (child,) = (shell / f"task/{self._process.pid}/children").read_text().split()
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Stop the emulator."""
        os.close(self._tether)
        self._process.wait(10)

    def _await_start(self) -> None:
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        raise RuntimeError("the emulator did not start")


def free_port() -> int:
    """Return a port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
