"""The emulator of the local stack, as a process that may be killed."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.emulator import MAX_SHORT_LIVES, Emulator, EmulatorError, free_port, hidden_address
from dev.tethered import Tethered

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(60)]
SECONDS = 20


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    ends = time.monotonic() + seconds
    while not holds() and time.monotonic() < ends:
        time.sleep(0.01)
    return holds()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def an_emulator(folder: Path, **members: Any) -> Emulator:
    return Emulator(folder, url="http://127.0.0.1:9", runner="none", dead_letters="none", **members)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Emulator]:
    made = an_emulator(tmp_path, stable_seconds=0)
    yield made
    made.stop()


class TestKilled:
    """An emulator that ends by itself is started again, on the same port and state."""

    def test_the_state_is_there_after_a_kill(self, running: Emulator) -> None:
        queues = running.client("scheduler")
        queues.create_schedule_group(Name="kept")
        first = running.pid

        os.kill(first, signal.SIGKILL)

        assert within(SECONDS, lambda: running.restarts == 1 and is_running(running.pid))
        assert "kept" in {group["Name"] for group in queues.list_schedule_groups()["ScheduleGroups"]}
        assert running.pid != first

    def test_an_emulator_that_does_not_stay_up_is_reported(self, tmp_path: Path) -> None:
        reasons: list[str] = []
        made = an_emulator(tmp_path, on_failure=reasons.append, stable_seconds=3600)

        for restarts in range(MAX_SHORT_LIVES):
            assert within(SECONDS, lambda: made.restarts == restarts)  # noqa: B023 - called at once
            os.kill(made.pid, signal.SIGKILL)

        assert within(SECONDS, lambda: bool(reasons))
        assert reasons == [
            f"the emulator has ended with status 137 right after its start: see {tmp_path}/emulator.log"
        ]
        made.stop()


class TestOneAtATime:
    """Two emulators never use the same folder."""

    def test_a_second_one_is_refused(self, running: Emulator, tmp_path: Path) -> None:
        with pytest.raises(EmulatorError, match="another local stack uses"):
            an_emulator(tmp_path, start_seconds=0.1)

        assert is_running(running.pid)

    def test_the_next_one_starts_after_the_first_has_ended(self, tmp_path: Path) -> None:
        an_emulator(tmp_path).stop()

        an_emulator(tmp_path).stop()


class TestItsAddress:
    """The emulator answers every program that reaches it, so that its address must not be guessed."""

    def test_it_is_on_the_loopback_interface_and_new_each_time(self) -> None:
        hosts = {hidden_address()[0] for _ in range(20)}

        assert all(host.startswith("127.") for host in hosts)
        if sys.platform == "linux":
            assert len(hosts) > 15

    def test_it_does_not_answer_at_127_0_0_1(self, running: Emulator) -> None:
        if running.host == "127.0.0.1":
            pytest.skip("this machine has one loopback address")

        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.port), 5).close()

    def test_a_given_one_is_used(self, tmp_path: Path) -> None:
        port = free_port()
        made = an_emulator(tmp_path, address=("127.0.0.1", port))
        try:
            assert made.endpoint == f"http://127.0.0.1:{port}"
            assert made.client("scheduler").list_schedule_groups()["ScheduleGroups"]
        finally:
            made.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a bound port cannot be listened at")
class TestAFreePort:
    """It is kept for the program that is told of it."""

    def test_no_other_program_is_given_it(self) -> None:
        port = free_port()

        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))

    def test_a_server_can_listen_at_it(self) -> None:
        port = free_port()

        with (
            socket.create_server(("127.0.0.1", port)),
            socket.create_connection(("127.0.0.1", port), 5) as sent,
        ):
            assert sent.getpeername() == ("127.0.0.1", port)

    def test_nothing_listens_at_it_before(self) -> None:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", free_port()), 5)


class TestTether:
    """A tethered process ends with the process that started it, and its shells with it."""

    def test_the_emulator_ends_when_its_tether_is_closed(self, tmp_path: Path) -> None:
        process = Tethered(["sleep", "60"], log=tmp_path / "log", pid_file=tmp_path / "pid")
        assert is_running(process.pid)

        process.stop(SECONDS)

        assert not is_running(process.pid)

    def test_the_exit_status_is_known(self, tmp_path: Path) -> None:
        process = Tethered(["sh", "-c", "exit 3"], log=tmp_path / "log", pid_file=tmp_path / "pid")

        assert process.wait() == 3
        assert process.has_ended()
