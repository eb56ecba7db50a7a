"""Validate every hostile document, and write the cost of each: ``python -m tests.hostile.validate``.

Each runs in its own process, because memory is measured at its highest, and a native library could end the process.
Each line of the output is one case as JSON.
"""

import json
import os
import resource
import signal
import time

from shared.domain.validation.schema import check_schema, violations
from tests.hostile.documents import CASES

MAX_SECONDS = 30
"""A validation that takes longer is ended."""


def main() -> None:
    """Validate all cases."""
    # A validation before them loads the libraries, which cost the same in every case.
    violations({"type": "object", "properties": {"a": {"pattern": "a"}}}, {"a": "b"})
    for name in CASES:
        child = os.fork()
        if child == 0:
            signal.alarm(MAX_SECONDS)
            print(json.dumps(cost_of(name)), flush=True)  # noqa: T201 - read by the test
            os._exit(0)
        os.waitpid(child, 0)


def cost_of(name: str) -> dict[str, object]:
    """Return the CPU time, the memory beyond that of the document, and the problems of a case."""
    hostile = CASES[name]()
    before, begun = _peak_mb(), time.process_time()
    problems = check_schema(hostile.schema, pointer="/settings/instanceValidation")
    if not problems:
        problems = violations(hostile.schema, hostile.value, pointer="/attributes")
    return {
        "name": name,
        "seconds": round(time.process_time() - begun, 3),
        "megabytes": round(_peak_mb() - before, 1),
        "problems": len(problems),
        "bytes": sum(len(json.dumps([one.pointer, one.message])) for one in problems),
        "first": problems[0].message if problems else None,
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
