"""The limits of an expression, and the cap on the memory one may take.

Fixed in the CEL library: 10,000 iterations of ``map``, ``filter``, ``exists``, ``all`` in one evaluation,
32 levels of nesting, regular expressions without backtracking (RE2). The others are ours.
Source: docs/expressions.md.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":  # pragma: no branch - Windows has no such limits, and no /proc either
    import resource

MAX_SOURCE_BYTES = 4096
MAX_CONTEXT_BYTES = 256 * 1024
MAX_RESULT_BYTES = 256 * 1024
MAX_TEXT_CHARACTERS = 64 * 1024
"""What a host function may return as text."""
MAX_GROWTH = 256
"""How many times over the macros of one expression may multiply their input: see ``growth``."""
MAX_TEXT_BYTES = 8 * 1024 * 1024
"""What any text inside an evaluation could come to, reckoned before it runs: see ``Program``."""
MEMORY_BYTES = 64 * 1024 * 1024

STATM = Path("/proc/self/statm")


def address_space(statm: Path = STATM) -> int | None:
    """The address space this process uses now, in bytes; None where the system does not tell."""
    try:
        with statm.open("rb", buffering=0) as file:
            pages = int(file.read(64).split(None, 1)[0])
    except FileNotFoundError:
        return None
    return pages * resource.getpagesize()


@contextmanager
def memory_cap(extra_bytes: int = MEMORY_BYTES, *, statm: Path = STATM) -> Iterator[None]:
    """Within the block the process may take ``extra_bytes`` more than it has; then the old limit is back.

    An allocation beyond the cap fails with ``MemoryError`` instead of growing the process. The cap holds for
    the whole process: other threads run under it too. Without ``/proc`` (macOS, Windows) there is no cap.
    """
    used = address_space(statm)
    if used is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_lowest(used + extra_bytes, *before), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _lowest(wanted: int, soft: int, hard: int) -> int:
    return min([wanted, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)])
