import time
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from dev.memory.secrets import MemorySecrets
from shared.adapters.http.service_caller import HttpServiceCaller
from shared.adapters.secrets import CachedSecrets
from shared.adapters.system import SystemClock
from tests.adapters.http.http_stub import Make


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[HttpServiceCaller] = []

    def a_caller(**changes: Any) -> HttpServiceCaller:
        secrets = CachedSecrets(MemorySecrets(), SystemClock())
        given = {
            "seconds": time.monotonic,
            "secrets": secrets,
            "allowed": (ip_network("127.0.0.0/8"),),
            **changes,
        }
        made.append(HttpServiceCaller(**given))
        return made[-1]

    yield a_caller
    for caller in made:
        caller.close()


@pytest.fixture
def caller(make: Make) -> HttpServiceCaller:
    return make()
