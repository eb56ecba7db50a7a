"""`make up` says in one line why it cannot start, and never takes another program for its own stack."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.client import Processes, StartError
from dev.emulator import free_port
from dev.up import SLOW_SECONDS, Starting, StoppedError
from dev.workers import ROOT

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(120)]


@pytest.fixture
def busy() -> Iterator[int]:
    """Return a port that another program has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def up(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    ports = {"PORT": str(free_port()), "DOWNSTREAM_PORT": str(free_port())}
    return subprocess.run(
        [sys.executable, "-m", "dev.up"],
        env={**os.environ, "STATE_DIR": str(folder), **ports, **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestSettings:
    """A setting that cannot be used ends the program with one line that names it."""

    @pytest.mark.parametrize("name", ["PORT", "DOWNSTREAM_PORT"])
    def test_a_busy_port(self, tmp_path: Path, busy: int, name: str) -> None:
        ended = up(tmp_path, **{name: str(busy)})

        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr == (
            f"make up: port {busy} cannot be used (Address already in use): "
            f"end the program that has it, or set {name}\n"
        )
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "8080.0", "", "²"])
    def test_what_is_no_port(self, tmp_path: Path, port: str) -> None:
        ended = up(tmp_path, PORT=port)

        assert ended.returncode == 1
        assert ended.stderr == f"make up: PORT must be a whole number from 1 to 65535, not {port!r}\n"

    def test_all_problems_at_once(self, tmp_path: Path) -> None:
        ended = up(tmp_path, DOWNSTREAM_PORT="x", SWEEPER="no", WAKEUPS="ON", START_AT="2026-01-31")

        assert ended.returncode == 1
        assert ended.stderr.splitlines() == [
            "make up: DOWNSTREAM_PORT must be a whole number from 1 to 65535, not 'x'",
            "make up: WAKEUPS must be on or off, not 'ON'",
            "make up: SWEEPER must be on or off, not 'no'",
            "make up: START_AT '2026-01-31' is not a date and time with an offset such as 2026-01-31T10:00:00Z",
        ]

    def test_an_address_that_is_not_private(self, tmp_path: Path) -> None:
        ended = up(tmp_path, CONTAINERS_AT="0.0.0.0")  # noqa: S104 - what is refused

        assert ended.returncode == 1
        (line,) = ended.stderr.splitlines()
        assert "0.0.0.0 must be a private address" in line
        assert "Traceback" not in (tmp_path / "stack.log").read_text()


class TestStarting:
    """A program that ends or does not answer while it starts is named, with its log."""

    def test_a_stack_at_a_busy_port(self, tmp_path: Path, busy: int) -> None:
        processes = Processes(tmp_path, downstream_port=free_port(), stack_port=busy)
        try:
            with pytest.raises(StartError) as refused:
                processes.start_stack()
        finally:
            processes.stop()

        log = tmp_path / "stack.log"
        assert str(refused.value) == (
            f"stack: stopping: cannot listen at 127.0.0.1:{busy}: Address already in use (exit status 1, see {log})"
        )
        assert log.read_text().count("\n") == 1

    def test_a_downstream_at_a_busy_port(self, tmp_path: Path, busy: int) -> None:
        processes = Processes(tmp_path, downstream_port=busy, stack_port=free_port())
        try:
            with pytest.raises(
                StartError, match=f"downstream: stopping: cannot listen at 127.0.0.1:{busy}: "
            ):
                processes.start_downstream()
        finally:
            processes.stop()

    def test_a_stack_that_does_not_answer_in_time(self, tmp_path: Path) -> None:
        port = free_port()
        waited: list[float] = []
        processes = Processes(
            tmp_path, downstream_port=free_port(), stack_port=port, start_seconds=0.2, on_wait=waited.append
        )
        try:
            with pytest.raises(
                StartError, match=f"stack: no answer at http://127.0.0.1:{port} within 0.2 s, see "
            ):
                processes.start_stack()
        finally:
            processes.stop()

        assert waited
        assert waited == sorted(waited)


class TestASlowStop:
    """A program that does not stop is killed with all that it has started, and a line says so."""

    def test_it_is_killed_and_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        processes = Processes(tmp_path, downstream_port=free_port(), stack_port=free_port(), stop_seconds=0.5)
        processes.start_downstream()
        (pid,) = (process.pid for process in processes._started.values())
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED)

        processes.stop()

        assert capsys.readouterr().err == "downstream did not stop within 0.5 s and is killed\n"
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


class TestASlowStart:
    """A start that takes long says so once, and Ctrl-C ends it."""

    def test_it_says_so_once(self, capsys: pytest.CaptureFixture[str]) -> None:
        starting = Starting(threading.Event())

        for seconds in (0.0, SLOW_SECONDS, SLOW_SECONDS + 0.1, 60.0):
            starting.waited(seconds)

        assert capsys.readouterr().out == "still starting: the first start takes up to a minute or two\n"

    def test_a_fast_start_says_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        Starting(threading.Event()).waited(SLOW_SECONDS)

        assert capsys.readouterr().out == ""

    def test_it_can_be_ended(self) -> None:
        stopped = threading.Event()
        stopped.set()

        with pytest.raises(StoppedError):
            Starting(stopped).waited(0.0)


class TestStopping:
    """Ctrl-C ends the program while it starts, too."""

    def test_it_ends_while_it_starts(self, tmp_path: Path) -> None:
        settings = {"PORT": str(free_port()), "DOWNSTREAM_PORT": str(free_port()), "STATE_DIR": str(tmp_path)}
        running = subprocess.Popen(
            [sys.executable, "-m", "dev.up"],
            env={**os.environ, **settings},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not (tmp_path / "stack.log").exists():
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)

        assert running.communicate(timeout=60) == ("", "")
        assert running.returncode == 0
