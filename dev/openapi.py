"""Write the OpenAPI document of the core dialect. ``python -m dev.openapi > openapi.json``."""

import json
import sys

from shared.api.core.openapi import document


def main() -> int:
    """The document on standard output."""
    sys.stdout.write(json.dumps(document(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
