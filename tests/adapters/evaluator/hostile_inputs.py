"""The hostile inputs of ``hostile.json``, written out.

A text is a list of parts: a text, ``[text, times]``, or ``{"numbers": [first, end]}``, a list of numbers written out.
A value of the context is such a list, a text, ``{"range": n}`` (a list of numbers) or ``{"digits": n}`` (a number).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.domain.strategy.variables import VARIABLES
from shared.expressions import JsonValue, ResultType, as_data, check, evaluate, render, template_problems

FILE = Path(__file__).with_name("hostile.json")


@dataclass(frozen=True)
class Hostile:
    """An input that a client could send to do harm."""

    group: str
    name: str
    is_template: bool
    source: str
    attributes: dict[str, JsonValue]
    outcome: str
    """``value``, ``error``, the rule that it breaks when it is saved, or ``any``."""

    def check(self) -> list[str]:
        """Return the rules that it breaks when it is saved."""
        if self.is_template:
            return [problem.rule for _, problem in template_problems(self.source, variables=VARIABLES)]
        found = check(self.source, variables=VARIABLES, returns=ResultType.ANY)
        return [] if found is None else [found.rule]

    def evaluate(self) -> object:
        """Return its value. Raises: EvaluationError."""
        attributes = as_data(self.attributes)
        now = datetime(2026, 3, 1, tzinfo=UTC)
        context = {"attributes": attributes, "cycle": 3, "now": now, "response": None}
        if self.is_template:
            return render(self.source, context, variables=VARIABLES)
        return evaluate(self.source, context, variables=VARIABLES, returns=ResultType.ANY)


def hostile_inputs() -> Iterator[Hostile]:
    """Yield every input."""
    for entry in json.loads(FILE.read_text(encoding="utf-8")):
        yield Hostile(
            group=entry["group"],
            name=entry["name"],
            is_template=entry["kind"] == "template",
            source=_text(entry["source"]),
            attributes={name: _value(value) for name, value in entry["context"].items()},
            outcome=entry["outcome"],
        )


def _text(parts: list[Any]) -> str:
    return "".join(map(_part, parts))


def _part(part: Any) -> str:
    if isinstance(part, dict):
        return "[" + ",".join(map(str, range(*part["numbers"]))) + "]"
    return part if isinstance(part, str) else part[0] * part[1]


def _value(value: Any) -> JsonValue:
    if isinstance(value, dict):
        return int("7" * value["digits"]) if "digits" in value else list(range(value["range"]))
    return _text(value) if isinstance(value, list) else value
