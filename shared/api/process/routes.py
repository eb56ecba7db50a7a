"""The routes of the process dialect: one row for each operation and spelling of the path.

The gateway checks and reads every request by its row. The OpenAPI document and tests are derived from the rows too.
Source: docs/contracts/process.md C.1 and C.7.
"""

from shared.api.http.route import Route, Target
from shared.api.process import processes
from shared.domain.access import Role

BASE = "/scheduler/connector-api"
SPELLINGS = (BASE, "/scheduler/connector-API")
"""The spelling of the product, and the spelling of its documentation, which clients use."""


def _rows(base: str, suffix: str) -> tuple[Route, ...]:
    return (
        Route(
            Role.OPERATOR,
            f"POST {base}/process/start",
            processes.start_process,
            shape="StartProcess",
            read=processes.read_process,
            is_idempotent=True,
            suffix=suffix,
        ),
        Route(
            Role.VIEWER,
            f"GET {base}/process/status/<robustaSpid>",
            processes.get_status,
            Target.INSTANCE,
            suffix=suffix,
        ),
    )


ROUTES: tuple[Route, ...] = (*_rows(SPELLINGS[0], ""), *_rows(SPELLINGS[1], "_as_on_the_page"))
"""Every operation."""
