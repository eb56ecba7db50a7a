"""Put each bug into a copy of the tree, run its tests, and print which one fails first: ``python -m dev.mutants``.

A bug that no test notices, or whose text is no longer in its file, is an error. Arguments choose bugs by name.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dev.mutants.bugs import BUGS, Bug
from dev.workers import ROOT

PROCESSES = 2

FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)

# No random order: the first failing test is to be the same each time.
PYTEST = ("-m", "pytest", "-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--tb=no")


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """The result for a bug. ``test`` is the first test that failed, None if every test passed."""

    bug: Bug
    test: str | None
    seconds: float


def apply(bug: Bug, root: Path) -> None:
    """Put a bug into a tree. Raises: ValueError: its text is not there exactly once."""
    path = root / bug.file
    source = path.read_text(encoding="utf-8")
    times = source.count(bug.old)
    if times != 1:
        raise ValueError(f"{bug.name!r}: its text must be in {bug.file} once, and is there {times} times")
    path.write_text(source.replace(bug.old, bug.new), encoding="utf-8")


def first_failure(output: str) -> str | None:
    """Return the first failed test that pytest names, or None."""
    found = FAILED.search(output)
    return None if found is None else found[1]


def copy_tree(target: Path) -> None:
    """Copy every file that git knows."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607 - the git on PATH
    for name in filter(None, listing.stdout.split("\0")):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)


def run(bug: Bug) -> Noticed:
    """Run the tests of a bug in a copy of the tree, layer after layer, until one fails."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy_tree(Path(folder))
        apply(bug, Path(folder))
        for layer in bug.layers:
            done = subprocess.run(
                [sys.executable, *PYTEST, layer], cwd=folder, capture_output=True, text=True, check=False
            )
            if done.returncode not in (0, 1):
                raise RuntimeError(
                    f"{bug.name!r}: pytest {layer} ended with {done.returncode}\n{done.stdout}"
                )
            if done.returncode == 1:
                return Noticed(bug=bug, test=first_failure(done.stdout), seconds=time.monotonic() - started)
    return Noticed(bug=bug, test=None, seconds=time.monotonic() - started)


def rows(results: Iterator[Noticed]) -> Iterator[tuple[str, bool]]:
    """Yield a row of the table for each bug, and whether it survived."""
    for noticed in results:
        test = noticed.test or "SURVIVED: no test failed"
        yield f"| {noticed.bug.name} | `{test}` | {noticed.seconds:.0f} s |", noticed.test is None


def main(names: list[str]) -> int:
    """Print the table. Return 1 if a bug has survived."""
    bugs = [bug for bug in BUGS if not names or bug.name in names]
    survived = 0
    sys.stdout.write("| bug | first failing test | time |\n|---|---|---|\n")
    with ThreadPoolExecutor(PROCESSES) as pool:
        for row, is_alive in rows(pool.map(run, bugs)):
            survived += is_alive
            sys.stdout.write(f"{row}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(bugs) - survived} of {len(bugs)} bugs were noticed\n")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
