"""The permissions of every caller on every route of the process dialect. Source: docs/design.md section 9.

The test fails if a route has no row here, or a row no route.
"""

import re
from typing import Any

import pytest

from shared.api.http.pages import PAGES
from shared.api.process.routes import ROUTES, SPELLINGS
from tests.dialects.core.test_matrix import stored_items
from tests.dialects.process.client import ProcessClient

CALLERS = {
    "no key": None,
    "wrong key": "admin:wrong",
    "viewer": "viewer:secret",
    "operator": "operator:secret",
    "admin": "admin:secret",
    "foreign account": "stranger:secret",
}
STARTS = {"name": "OneStepNotepadRunner", "runOnce": "Y"}

# {one} stands for a robustaSpid.
MATRIX: dict[str, tuple[str, Any]] = {
    **{f"POST {base}/process/start": ("401 401 403 200 200 404", STARTS) for base in SPELLINGS},
    **{f"GET {base}/process/status/{{one}}": ("401 401 200 200 200 404", None) for base in SPELLINGS},
    "GET /process/openapi.json": ("200 200 200 200 200 200", None),
    "GET /process/docs": ("200 200 200 200 200 200", None),
}
CELLS = [
    pytest.param(target, key, int(status), body, id=f"{target} by {caller}")
    for target, (statuses, body) in MATRIX.items()
    for (caller, key), status in zip(CALLERS.items(), statuses.split(), strict=True)
]


@pytest.mark.parametrize(("target", "key", "status", "body"), CELLS)
def test_a_route_answers_each_caller_as_the_matrix_says(
    process: ProcessClient, target: str, key: str | None, status: int, body: Any
) -> None:
    """The status is that of the matrix, and a refused request stores nothing."""
    one = process.start(runOnce="Y").sid
    before = stored_items(process.core)
    method, path = target.format(one=one).split()

    found, _ = process(method, path, body, key=key)

    assert found == status
    if found >= 400:
        assert stored_items(process.core) == before


def test_every_route_has_its_row() -> None:
    """The matrix has the routes of the dialect."""
    operations = {f"{route.method} {re.sub('<[a-zA-Z]+>', '{one}', route.path)}" for route in ROUTES}

    assert set(MATRIX) == operations | {f"GET {page.path}" for page in PAGES["process"]}
