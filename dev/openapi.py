"""Write the reference of the core dialect into a folder, as the core API's artifact has it.

``python -m dev.openapi FOLDER``: ``openapi.json`` and ``docs.html``.
"""

import sys
from pathlib import Path

from shared.api.core.pages import PAGES
from shared.api.core.reference import made


def main(folder: Path) -> int:
    """Every page of the reference."""
    for page in PAGES:
        (folder / page.file).write_text(made(page.file), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
