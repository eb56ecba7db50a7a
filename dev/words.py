"""Refuse retired words in names: ``python -m dev.words``, part of ``make check``.

The glossary (docs/glossary.md) has one word for each idea. A name that uses the word it replaced would bring back two
words for one idea.
"""

import ast
import re
import sys
from collections.abc import Iterator

from dev.workers import ROOT

FOLDERS = ("shared", "functions", "dev")

RETIRED = {
    "asked": "the noun it is",
    "attention": "sweep_at, due index",
    "bell": "wakeup",
    "books": "history_reader",
    "came": "outcome",
    "companions": "offset_dates",
    "doorbell": "wakeup",
    "doubted": "with_doubt",
    "drain": "release",
    "filed": "folder entry",
    "hold": "blocked",
    "held": "blocked",
    "heard": "the verb it means",
    "hurried": "delay_skipped",
    "listed": "page key",
    "look": "next_action",
    "noted": "audit position",
    "nudge": "record_sweep",
    "nudged": "record_sweep",
    "outset": "first_action",
    "park": "block",
    "parked": "blocked",
    "ring": "wakeup",
    "rung": "wakeup",
    "rhythm": "interval",
    "sieve": "filter",
    "slice": "batch",
    "standstill": "downtime",
    "stood": "downtime",
    "told": "the noun it is",
    "trail": "event_history",
    "turn": "batch progress",
    "unpark": "unblock",
    "unsure": "call_in_doubt",
    "walk": "cursor, scan",
    "wanted": "criteria",
    "way": "cursor, path",
    "whoever": "the noun it is",
}
"""Each retired word with the word to use."""

PREFIXES = {"MOST": "MAX", "LONGEST": "MAX", "DEEPEST": "MAX", "LARGEST": "MAX"}
"""Prefixes of limits; there is one."""


WIRE = "answers.py"
"""Modules of this name declare answers. Their members are named by a contract."""


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Return the names that a module defines: classes, functions, arguments, variables, each with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name, lineno=line) | ast.FunctionDef(name=name, lineno=line):
                yield line, name
            case ast.arg(arg=name, lineno=line):
                yield line, name
            case ast.AnnAssign(target=ast.Name(id=name), lineno=line):
                yield line, name
            case ast.Assign(targets=[ast.Name(id=name)], lineno=line):
                yield line, name
            case _:
                pass


def complaints(source: str) -> list[tuple[int, str]]:
    """Return the complaints about the names in a module's source, each with its line."""
    return [
        (line, f"{name}: {text}") for line, name in names(ast.parse(source)) for text in _complaints(name)
    ]


def _complaints(name: str) -> Iterator[str]:
    parts = re.split(r"_|(?<=[a-z])(?=[A-Z])", name.strip("_"))
    for word in (part.lower() for part in parts if part.lower() in RETIRED):
        yield f"{word!r} is retired, use {RETIRED[word]}"
    if parts[0] in PREFIXES and name.isupper():
        yield f"limits begin with {PREFIXES[parts[0]]}"


def main() -> int:
    """Print each retired name with its place; return 1 if there is one."""
    problems = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != WIRE
        for line, text in complaints(path.read_text(encoding="utf-8"))
    ]
    sys.stdout.write("".join(f"{problem}\n" for problem in problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
