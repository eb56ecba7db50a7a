"""Each test has its own stack and downstream, which are ended by process id in any case."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.client import Processes
from dev.emulator import free_port

LONGEST = ("test_openapi.py", "test_deployed.py", "test_real_time.py", "test_stack.py")
"""These are begun first, so that nothing long is left to one process alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first."""
    place = {name: index for index, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


@pytest.fixture
def processes(tmp_path: Path, socket_enabled: None) -> Iterator[Processes]:  # noqa: ARG001 - loopback is what this is about
    """Return the processes, with the downstream running."""
    running = Processes(tmp_path, downstream_port=free_port(), stack_port=free_port())
    try:
        running.start_downstream()
        yield running
    finally:
        running.stop()
