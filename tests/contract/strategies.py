"""Settings of the example strategies, for tests of the stores."""

import json
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).parents[2] / "events"


def settings(name: str = "gym-membership") -> dict[str, Any]:
    example: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())["settings"]
    return example
