"""Search the large configurations and print the result: ``make model``."""

import sys
import time
from multiprocessing import Pool

from tests.model.configurations import LARGE, SMALL
from tests.model.search import Found, search
from tests.model.world import Configuration

PROCESSES = 2


def timed(configuration: Configuration) -> tuple[Found, float]:
    """Search a configuration, and measure how long it takes."""
    started = time.perf_counter()
    return search(configuration), time.perf_counter() - started


def main() -> int:
    """Print a row for each search, and each counterexample. Return 1 if there is one."""
    searches, states, failed = (*LARGE, *SMALL), 0, False
    with Pool(PROCESSES, maxtasksperchild=1) as pool:
        for configuration, (found, seconds) in zip(searches, pool.imap(timed, searches), strict=True):
            states += found.states
            row = f"{found.states:10,} states {found.transitions:11,} steps {seconds:6.1f} s  {configuration.name}"
            sys.stdout.write(f"{row}\n")
            if found.counterexample is not None:
                failed = True
                sys.stdout.write(f"{found.counterexample}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{states:10,} states together\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
