"""The table of docs/api/dialects.md, compared with the words in the answers of the dialects."""

import re
from pathlib import Path

from shared.api.automation.statuses import STATUS_OF
from shared.api.orders.states import SHOWN
from shared.api.process.render import SEEN
from shared.domain.instance.phase import Phase

PAGE = (Path(__file__).parents[2] / "docs" / "api" / "dialects.md").read_text()
ROWS = re.findall(r"^\| [^|`]+ \| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)


def documented_row(phase: Phase) -> tuple[str, str, str, str, str]:
    """Return the words for a phase: core's, 8x8's, JOC's with their reason, Robusta's."""
    shown, seen = SHOWN[phase], SEEN[phase]
    reason = "" if shown.reason is None else f" ({shown.reason})"
    return (
        phase.value,
        phase.status.value,
        STATUS_OF[phase].value,
        f"{shown.text.value}{reason}",
        "the last run" if seen is None else seen.value,
    )


def test_every_phase_is_called_as_the_page_says() -> None:
    assert [documented_row(phase) for phase in Phase] == ROWS
