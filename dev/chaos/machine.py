"""The processes of a run: the stack, its proxies and the downstream services, and how they are killed and stopped."""

import contextlib
import os
import random
import signal
import subprocess
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dev.chaos.faults import Link, Target
from dev.chaos.proxy import Proxy
from dev.chaos.stops import Freeze
from dev.client import Processes, RefusedError
from dev.emulator import free_port, hidden_address

_ASK_SECONDS = 3
"""How long the stack may take to say which processes it has. It may be stopped just then."""


class Machine:
    """The local stack of a run, with fixed ports, so that all of it can be killed and started again."""

    def __init__(self, folder: Path, *, seed: int) -> None:
        self.folder = folder
        self.invocations = folder / "invocations.jsonl"
        self.killed: Counter[Target] = Counter()
        self.stopped: Counter[Target] = Counter()
        self._random = random.Random(seed)
        self._emulator, stack_port = "{}:{}".format(*hidden_address()), free_port()
        self.processes = Processes(folder, downstream_port=free_port(), stack_port=stack_port)
        self.proxies = {
            Link.DATABASE: Proxy(f"http://{self._emulator}", port=0, seed=seed),
            Link.SERVICES: Proxy(self.processes.stack.url, port=0, seed=seed + 1),
        }
        self.freezes: list[Freeze] = []
        # The start time tells a process from a later one with the same id.
        self._seen: dict[int, str] = {}
        self._timers: dict[int, threading.Timer] = {}
        self._frozen: dict[int, datetime] = {}

    def start(self) -> None:
        """Start everything."""
        self.processes.start_downstream()
        self.start_stack()

    def start_stack(self) -> None:
        """Start the stack on its state."""
        self.processes.start_stack(
            *("--emulator-address", self._emulator),
            *("--database-url", self.proxies[Link.DATABASE].url),
            *("--services-url", self.proxies[Link.SERVICES].url),
            *("--invocations", str(self.invocations)),
        )
        self._pids()

    def kill(self, target: Target) -> bool:
        """Kill processes with SIGKILL, and restart the stack if it was killed. Return False if none of them ran."""
        pids = self._chosen(target)
        if not pids:
            return False
        if target is Target.EVERYTHING:
            self.processes.kill_stack()
        # The emulator has a session of its own, and would otherwise end by SIGTERM.
        self._signal(pids, signal.SIGKILL)
        self.killed[target] += 1
        if target in (Target.EVERYTHING, Target.FRONT):
            self.processes.await_stack_end()
            self.start_stack()
        return True

    def stop(self, target: Target, seconds: float) -> bool:
        """Stop something with SIGSTOP, and let it continue after some seconds. Return False if it did not run."""
        pids = self._chosen(target)
        if not pids:
            return False
        began_at = datetime.now(UTC)
        self._signal(pids, signal.SIGSTOP)
        self.stopped[target] += 1
        for pid in pids:
            if target in (Target.RUNNER, Target.WORKER):
                self._frozen.setdefault(pid, began_at)
            timer = threading.Timer(seconds, self._let_continue, ([pid],))
            timer.daemon = True
            self._timers[pid] = timer
            timer.start()
        return True

    def heal(self) -> None:
        """End all faults. Start the stack if it does not run."""
        for proxy in self.proxies.values():
            proxy.heal()
        for timer in self._timers.values():
            timer.cancel()
        self._let_continue(list(self._timers))
        self.processes.downstream.call("POST", "/_heal")
        if not self.processes.is_stack_running():
            self.start_stack()

    def end(self) -> list[str]:
        """End all processes. Return those that had to be killed, of all that were ever seen."""
        for timer in self._timers.values():
            timer.cancel()
        self._let_continue(list(self._timers))
        try:
            self.processes.stop()
        except subprocess.TimeoutExpired:
            self.processes.kill_stack()
        for proxy in self.proxies.values():
            proxy.stop()
        left = [pid for pid in self._seen if self._is_running(pid)]
        names = [f"process {pid}: {_command_of(pid)}" for pid in left]
        self._signal(left, signal.SIGKILL)
        return names

    def _chosen(self, target: Target) -> list[int]:
        """Return the process ids of a target, or none if the stack cannot say."""
        stack = self.processes.stack_pid
        if target is Target.FRONT:
            return [stack]
        found = self._pids()
        if found is None:
            return [stack] if target is Target.EVERYTHING else []
        workers: dict[str, list[int]] = found["workers"]
        match target:
            case Target.EVERYTHING | Target.EMULATOR:
                return [found["emulator"]]
            case Target.RUNNER:
                candidates = workers["StepRunner"]
            case Target.WORKER:
                candidates = [pid for pids in workers.values() for pid in pids]
        return [self._random.choice(candidates)] if candidates else []

    def _pids(self) -> dict[str, Any] | None:
        """Return the processes of the stack, or None if it does not answer in time."""
        try:
            found: dict[str, Any] = self.processes.stack.call(
                "GET", "/_local/processes", seconds=_ASK_SECONDS
            )
        except (OSError, RefusedError):
            return None
        workers = [pid for pids in found["workers"].values() for pid in pids]
        for pid in (self.processes.stack_pid, found["emulator"], *workers):
            self._seen.setdefault(pid, _start_of(pid))
        return found

    def _let_continue(self, pids: list[int]) -> None:
        self._signal(pids, signal.SIGCONT)
        ended_at = datetime.now(UTC)
        for pid in pids:
            began_at = self._frozen.pop(pid, None)
            if began_at is not None:
                self.freezes.append(Freeze(began_at=began_at, ended_at=ended_at))

    def _signal(self, pids: list[int], number: signal.Signals) -> None:
        for pid in pids:
            if self._is_running(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def _is_running(self, pid: int) -> bool:
        """Return whether the process runs that had this id when it was seen."""
        return pid in self._seen and self._seen[pid] == _start_of(pid) != ""


def _start_of(pid: int) -> str:
    """Return when a process was started, in the kernel's unit, or an empty text if it does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if stat[0] == "Z" else stat[19]


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return "ended"
