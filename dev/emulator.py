"""The emulator of DynamoDB and EventBridge Scheduler. It starts and ends with the stack.

It answers any client that reaches it: a request of a web page could delete all tables. So it listens at an address that
no page can guess. A server in front of it that checks requests would nearly double the CPU time of each call (ADR 48).
"""

import fcntl
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from dev.template import REGION
from dev.tethered import Tethered

_SETUP = """\
roto.set_region("{region}")
roto.lambda.fn("{runner}", {{timeout = 900, executor = {{url = "{url}/_local/wakeup"}}}})
roto.sqs.queue("{dead_letters}")
"""

START_SECONDS = 30.0
STABLE_SECONDS = 1.0
MAX_SHORT_LIVES = 3
"""An emulator that ends within ``STABLE_SECONDS`` of its start this often in a row is not started again."""


class EmulatorError(Exception):
    """The emulator cannot run."""


class Emulator:
    """An emulator with its own folder. It sends wakeups as POST requests to ``url``/_local/wakeup.

    It is started again if it ends, on the same port and state. If that fails, ``on_failure`` is called with the
    reason. Without an ``address``, which is host and port, ``hidden_address`` chooses it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        url: str,
        runner: str,
        dead_letters: str,
        address: tuple[str, int] | None = None,
        on_failure: Callable[[str], object] = lambda _: None,
        start_seconds: float = START_SECONDS,
        stable_seconds: float = STABLE_SECONDS,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.host, self.port = address or hidden_address()
        self.restarts = 0
        self._folder, self._on_failure = folder, on_failure
        self._start_seconds, self._stable_seconds = start_seconds, stable_seconds
        (folder / "setup.luau").write_text(
            _SETUP.format(region=REGION, runner=runner, url=url, dead_letters=dead_letters)
        )
        self._is_stopping = threading.Event()
        self._process = self._start()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    @property
    def endpoint(self) -> str:
        """The URL of the emulator."""
        return f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the emulator."""
        return self._process.pid

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 has no types of its own
        """Return a boto3 client for a service."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 - the emulator takes any
            # Enough for the time in which the emulator is started again.
            config=Config(
                connect_timeout=2,
                read_timeout=10,
                retries={"total_max_attempts": 6, "mode": "standard"},
                # A developer's NO_PROXY names 127.0.0.1, not the emulator's address.
                proxies={},
            ),
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
        return cpu_seconds_of(self.pid)

    def stop(self) -> None:
        """Stop the emulator."""
        self._is_stopping.set()
        # It may just be starting again.
        while self._watcher.is_alive():
            self._process.stop(10)
            self._watcher.join(0.1)

    def _start(self) -> Tethered:
        """Start the emulator and return when it serves. Raises: EmulatorError."""
        server = Path(sys.executable).with_name("roto-server")
        arguments = ["--host", self.host, "--port", str(self.port), "--data-dir", str(self._folder / "data")]
        log = self._folder / "emulator.log"
        # The process inherits the lock and thereby holds it until it ends, however this one ends.
        with self._locked() as lock:
            process = Tethered(
                [str(server), *arguments, "--setup", str(self._folder / "setup.luau")],
                log=log,
                pid_file=self._folder / "emulator.pid",
                keep_open=[lock.fileno()],
            )
        deadline = time.monotonic() + self._start_seconds
        while time.monotonic() < deadline and not process.has_ended():
            try:
                socket.create_connection((self.host, self.port), 1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return process
        process.stop(1)
        raise EmulatorError(f"the emulator did not start at {self.host}:{self.port}: see {log}")

    def _locked(self) -> IO[str]:
        """Return the locked file that says that an emulator uses this folder. Raises: EmulatorError."""
        # An emulator whose stack was killed needs a moment to end. Two of them on one folder would lose writes.
        deadline = time.monotonic() + self._start_seconds
        lock = (self._folder / "lock").open("w")
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if time.monotonic() > deadline:
                    lock.close()
                    raise EmulatorError(f"another local stack uses {self._folder}") from error
                time.sleep(0.02)
            else:
                return lock

    def _watch(self) -> None:
        """Start the emulator again whenever it ends, until it is stopped or does not stay up."""
        short_lives = 0
        while True:
            began = time.monotonic()
            status = self._process.wait()
            if self._is_stopping.is_set():
                return
            reason = f"the emulator has ended with status {status}"
            is_short = time.monotonic() - began < self._stable_seconds
            short_lives = short_lives + 1 if is_short else 0
            if short_lives == MAX_SHORT_LIVES:
                self._on_failure(f"{reason} right after its start: see {self._folder / 'emulator.log'}")
                return
            print(f"{reason}; it is started again on its state", file=sys.stderr, flush=True)  # noqa: T201 - the log of the stack
            try:
                self._process = self._start()
            except EmulatorError as error:
                self._on_failure(f"{reason}; {error}")
                return
            self.restarts += 1


def cpu_seconds_of(pid: int) -> float:
    """Return the CPU time that a process has used. Raises: FileNotFoundError: this machine has no ``/proc``."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def hidden_address() -> tuple[str, int]:
    """Return a host and a free port of the loopback interface that cannot be guessed.

    On Linux all of 127.0.0.0/8 leads to the machine itself. macOS has 127.0.0.1 alone, so that there only the port is
    hidden.
    """
    host = f"127.{secrets.randbelow(255) + 1}.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}"
    with socket.socket() as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            host = "127.0.0.1"
    return host, free_port(host)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is free.

    On Linux no other program is given it while this process runs. A server can still listen at it, if it sets
    SO_REUSEADDR.
    """
    probe = socket.socket()
    is_reserved = sys.platform == "linux"
    if is_reserved:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind((host, 0))
    port: int = probe.getsockname()[1]
    if is_reserved:
        # The socket stays bound, without listening, until this process ends.
        probe.detach()
    else:
        probe.close()
    return port
