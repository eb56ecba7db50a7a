"""The routes of the process dialect: one row an operation, each under both spellings of the path.

Everything that is true of all of them (who gets in, documents, tests) is derived from this table.
Source: contracts/process.md C.1 and C.7.
"""

from collections.abc import Callable
from dataclasses import dataclass

from shared.api.process import processes
from shared.api.process.call import Answer
from shared.domain.access import Role

BASE = "/scheduler/connector-api"
SPELLINGS = (BASE, "/scheduler/connector-API")
"""As the product has it, and as the page has it that clients are written after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation. answer: the name of its answer's shape in the OpenAPI document; body: that of what it takes."""

    method: str
    path: str
    operation: Callable[..., Answer]
    role: Role
    answer: str
    body: str | None = None

    @property
    def name(self) -> str:
        """Its name, unlike any other's."""
        name = self.operation.__name__
        return name if self.path.startswith(f"{BASE}/") else f"{name}_as_on_the_page"


ROUTES: tuple[Route, ...] = tuple(
    route
    for base in SPELLINGS
    for route in (
        Route(
            method="POST",
            path=f"{base}/process/start",
            operation=processes.start_process,
            role=Role.OPERATOR,
            answer="Started",
            body="StartProcess",
        ),
        Route(
            method="GET",
            path=f"{base}/process/status/<robustaSpid>",
            operation=processes.get_status,
            role=Role.VIEWER,
            answer="Status",
        ),
    )
)
"""Every operation."""
