"""Measures many charges that are due in one second, on the local stack: ``python -m dev.bench.burst --members 5000``.

It prints how late they began, how many ended in a second, and the processor time of each: ours, the emulator's and that
of the services.
"""

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from dev.client import Processes
from dev.emulator import free_port
from dev.gym import gym, join
from dev.history_reader import HistoryReader
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import EventRecord

JOINING: Final = 4
"""How many members join at the same time."""

MAX_DELAY: Final = timedelta(minutes=20)
"""How long after their date the charges may take."""

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_EMULATOR, _SERVICES, _OURS = "the emulator's", "the services'", "ours"


def cpu_seconds(root: int) -> dict[str, float]:
    """Return the processor time of all processes that a process has started, with those that have ended."""
    children: dict[int, list[int]] = {}
    used: dict[int, tuple[str, float]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes()
        except OSError:  # it has just ended
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.name))
        used[int(entry.name)] = (_owner_of(command), sum(map(int, fields[11:15])) / _TICKS)
    seconds = dict.fromkeys((_OURS, _EMULATOR, _SERVICES), 0.0)
    below = list(children.get(root, ()))
    while below:
        pid = below.pop()
        owner, time_used = used[pid]
        seconds[owner] += time_used
        below += children.get(pid, ())
    return seconds


def _owner_of(command: bytes) -> str:
    if b"roto-server" in command:
        return _EMULATOR
    return _SERVICES if b"dev.downstream" in command else _OURS


def await_all(history: HistoryReader, sids: list[str], *, ends: float, every: float) -> None:
    """Return when the first charge of each member has ended. Exits if that takes too long."""
    left = list(sids)
    while left:
        if time.monotonic() > ends:
            sys.exit(f"{len(left)} charges have not ended within {MAX_DELAY}")
        time.sleep(every)
        # One read each time, until the last of all has ended.
        while left and charge(history, left[-1]) is not None:
            left.pop()


def charge(history: HistoryReader, sid: str) -> EventRecord | None:
    """Return the record of a member's first charge, or None if it has not ended."""
    _, record, _ = next(iter(history.events(sid)))
    return record


def measure(processes: Processes, members: int, ahead: float, every: float) -> None:
    """Let members join and be charged, and print the figures."""
    api = gym(processes)
    at = (datetime.now(UTC) + timedelta(seconds=ahead)).replace(microsecond=0)
    with ThreadPoolExecutor(JOINING) as pool:
        sids = list(pool.map(lambda _: join(api, at), range(members)))
    early = (at - datetime.now(UTC)).total_seconds()
    if early < 0:
        sys.exit(f"the last member joined {-early:.0f} s after the date: let it be further --ahead")
    time.sleep(early)
    before, history = cpu_seconds(os.getpid()), HistoryReader.of(processes.stack)
    await_all(history, sids, ends=time.monotonic() + MAX_DELAY.total_seconds(), every=every)
    after = cpu_seconds(os.getpid())
    records = [record for sid in sids if (record := charge(history, sid)) is not None]
    failed = sum(record.event.status is not EventStatus.PROCESSED for record in records)
    if failed:
        sys.exit(f"{failed} charges were not processed")
    begun = sorted(
        (begun_at - at).total_seconds()
        for record in records
        if (begun_at := record.event.times.begun_at) is not None
    )
    last = max(record.finished_at for record in records)
    took = (last - at).total_seconds()
    each = {owner: (after[owner] - before[owner]) / members * 1000 for owner in after}
    print(  # noqa: T201 - the figures
        f"{members} charged: begun after {begun[members // 2]:.1f} s (median), {begun[-1]:.1f} s (last), "
        f"all ended after {took:.1f} s, {members / took:.1f} a second; of processor time each, "
        + ", ".join(f"{owner} {spent:.1f} ms" for owner, spent in each.items())
    )


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--members", type=int, default=50)
    parser.add_argument("--ahead", type=float, default=75, help="how many seconds ahead they are due")
    parser.add_argument(
        "--every", type=float, default=1, help="after how many seconds the end is checked again"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        processes = Processes(Path(name), downstream_port=free_port(), stack_port=free_port())
        try:
            processes.start_downstream()
            processes.start_stack()
            measure(processes, arguments.members, arguments.ahead, arguments.every)
        finally:
            processes.stop()


if __name__ == "__main__":
    main()
