"""Runs programs for tests, and shows what a failed one has printed."""

import subprocess
from collections.abc import Mapping, Sequence

from dev.workers import ROOT


def output_of(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, seconds: float | None = None
) -> str:
    """Return what a program printed to standard output. The test fails with all of its output if it failed."""
    ran = subprocess.run(  # noqa: S603 - the commands are our own
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert ran.returncode == 0, f"exit status {ran.returncode}: {ran.stderr or ran.stdout}"
    return ran.stdout
