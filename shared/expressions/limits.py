"""The limits of an expression, and the memory cap.

The CEL library itself limits an evaluation to 10,000 iterations of ``map``, ``filter``, ``exists`` and ``all`` and
to 32 levels of nesting, and its regular expressions do not backtrack (RE2). The other limits are ours.
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
"""The longest text a host function may return."""
MAX_GROWTH = 256
"""How often the macros of one expression may multiply their input; see ``growth``."""
MAX_TEXT_BYTES = 8 * 1024 * 1024
"""The largest text an evaluation could make, computed before it runs; see ``Program``."""
MEMORY_BYTES = 64 * 1024 * 1024

STATM = Path("/proc/self/statm")


def address_space(statm: Path = STATM) -> int | None:
    """Return the address space of this process in bytes, or None if the system does not report it."""
    try:
        with statm.open("rb", buffering=0) as file:
            pages = int(file.read(64).split(None, 1)[0])
    except FileNotFoundError:
        return None
    return pages * resource.getpagesize()


@contextmanager
def memory_cap(extra_bytes: int = MEMORY_BYTES, *, statm: Path = STATM) -> Iterator[None]:
    """Limit the process to ``extra_bytes`` more memory inside the block, and restore the old limit after it.

    An allocation beyond the cap fails with ``MemoryError``. The cap also applies to other threads. Without ``/proc``
    (macOS, Windows) there is no cap.
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


def _lowest(preferred: int, soft: int, hard: int) -> int:
    return min([preferred, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)])
