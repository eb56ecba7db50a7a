"""Run the local stack under faults in real time, and compare ledger and history afterwards: ``make chaos``.

It reads MINUTES (10), KILLS (three a minute) and SEED, prints a report, and writes it to .state/chaos/report.json.
The exit status is 1 if anything was lost, doubled without a mark, or contradicts, or if a run of two minutes or more
had no fault of a kind.
"""

import json
import os
import random
import shutil
import sys
import time
from dataclasses import replace

from dev.chaos.faults import plan_faults
from dev.chaos.machine import Machine
from dev.chaos.run import Run
from dev.workers import ROOT

START_SECONDS = 15
"""About how long the start takes, which MINUTES include. Healing and settling come on top: about half a minute."""


def main() -> int:
    """Run. Return the exit status."""
    minutes = float(os.environ.get("MINUTES") or 10)
    seconds, kills = minutes * 60 - START_SECONDS, int(os.environ.get("KILLS") or round(3 * minutes))
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
    deadline = time.monotonic() + minutes * 60
    folder = ROOT / ".state" / "chaos"
    shutil.rmtree(folder, ignore_errors=True)
    machine = Machine(folder, seed=seed)
    try:
        run = Run(machine, seed=seed, seconds=seconds)
        run.begin()
        run.play(plan_faults(seed, seconds=seconds, kills=kills), deadline=deadline)
        report = run.end()
    finally:
        left = machine.end()
    report = replace(report, leftovers=left, planned_seconds=minutes * 60)
    (folder / "report.json").write_text(json.dumps(report.as_json(), indent=1, default=str))
    _say("\n".join(report.lines()))
    return report.exit_status


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the report


if __name__ == "__main__":
    sys.exit(main())
