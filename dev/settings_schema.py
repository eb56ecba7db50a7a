"""Writes the JSON Schema of a strategy into a file, for editors.

``python -m dev.settings_schema FILE``. The schema describes the body of ``POST /execution-strategy``, as in the
example strategies in events/.
"""

import json
import sys
from pathlib import Path
from typing import Any

from shared.api.reference.core import document
from shared.api.reference.settings import settings_schemas

STRATEGY = "CreateStrategy"


def main(file: Path) -> int:
    """Write the schema."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(editor_schema(), indent=2) + "\n", encoding="utf-8")
    return 0


def editor_schema() -> dict[str, Any]:
    """Return the schema of a whole strategy. It refers to no other document."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A strategy of Ritornello",
        "$ref": f"#/components/schemas/{STRATEGY}",
        "$defs": {STRATEGY: document()["components"]["schemas"][STRATEGY], **settings_schemas()},
    }
    standalone: dict[str, Any] = json.loads(json.dumps(schema).replace("#/components/schemas/", "#/$defs/"))
    return standalone


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
