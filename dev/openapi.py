"""Writes the reference of a dialect into a folder, as it is in the function's artifact.

``python -m dev.openapi DIALECT FOLDER`` writes ``openapi.json`` and ``docs.html``.
"""

import sys
from pathlib import Path

from shared.api.http.pages import PAGES
from shared.api.reference.build import page_text


def main(dialect: str, folder: Path) -> int:
    """Write every page of the reference."""
    for page in PAGES[dialect]:
        (folder / page.file).write_text(page_text(dialect, page.file), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
