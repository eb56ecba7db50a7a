"""Places in JSON values, written as pointers only when they are reported.

A pointer written for each part of a value would copy a long name once for each part below it.
Source: RFC 6901.
"""

from typing import TypeAlias

Path: TypeAlias = "tuple[Path, str | int] | None"
"""A place: the place above and the last token; None for the whole value."""


def escaped(name: str) -> str:
    """Return a member name as a token of a JSON pointer. Source: RFC 6901 section 3."""
    return name.replace("~", "~0").replace("/", "~1")


def path_text(path: Path) -> str:
    """Return the pointer of a place."""
    tokens: list[str] = []
    while path is not None:
        path, token = path
        tokens.append(escaped(str(token)))
    return "".join(f"/{token}" for token in reversed(tokens))
