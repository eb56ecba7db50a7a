"""The bounds of regular expressions.

RE2 takes time in proportion to the text and to the size of its program, and ``{m,n}`` repeats a part of the program:
twenty characters can make a program of a thousand instructions. So both are limited, and their product.
Source: docs/expressions.md.
"""

import re
from functools import lru_cache

MAX_PATTERN_CHARACTERS = 256
MAX_PROGRAM = 500
"""The largest program: characters and classes, each as often as it is repeated."""

MAX_WORK = 4_000_000
"""The most that one call may take: the size of the program, times the characters of the text."""

_CLASS = 4
_UNICODE_CLASS = 50
_TOO_LARGE = MAX_PROGRAM + 1
_REPEAT = re.compile(r"\{([0-9]{1,5})(?:(,)([0-9]{1,5})?)?\}")
_HEAD = re.compile(r"\?(?:P?<\w*>|[imsU-]*:|[imsU-]+(?=\)))")
_ATOM = re.compile(
    r"""
      \\(?P<unicode>[pP](?:\{[^}]*\}|.))
    | \\x\{[0-9A-Fa-f]*\} | \\x[0-9A-Fa-f]{2} | \\Q.*?(?:\\E|\Z) | \\.
    | \[\^?\]?(?:\[:\^?\w*:\]|\\.|[^\]\\])*\]?
    | .
    """,
    re.VERBOSE | re.DOTALL,
)


class RegexTooLargeError(ValueError):
    """A regular expression is beyond the limits; the text says which."""


def check_regex(pattern: str) -> None:
    """Return if the pattern is within the limits. Raises: RegexTooLargeError."""
    program_size(pattern)


def require_work(text: str, pattern: str) -> None:
    """Return if the pattern may be applied to the text. Raises: RegexTooLargeError."""
    if program_size(pattern) * len(text) > MAX_WORK:
        raise RegexTooLargeError(
            f"a regular expression of this size can be applied to {MAX_WORK // program_size(pattern)} characters"
        )


@lru_cache(maxsize=256)
def program_size(pattern: str) -> int:
    """Return about how many instructions the pattern makes; at least 1.

    Text that is no regular expression has a size too; the library reports it.
    Raises: RegexTooLargeError.
    """
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise RegexTooLargeError(f"a regular expression has at most {MAX_PATTERN_CHARACTERS} characters")
    size = _size(pattern)
    if size > MAX_PROGRAM:
        raise RegexTooLargeError(
            f"this regular expression is too large: its repetitions make more than {MAX_PROGRAM} parts"
        )
    return max(1, size)


def _size(pattern: str) -> int:
    # Each entry is the size of a group so far, and of its last part, which a repetition multiplies.
    groups: list[tuple[int, int]] = [(0, 0)]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        repeat = _REPEAT.match(pattern, position)
        total, last = groups[-1]
        if repeat:
            groups[-1] = (min(total + last * (_times(repeat) - 1), _TOO_LARGE), last * _times(repeat))
            position = repeat.end()
        elif character == "(":
            groups.append((1, 0))
            head = _HEAD.match(pattern, position + 1)
            position = head.end() if head else position + 1
        elif character == ")" and len(groups) > 1:
            groups.pop()
            outer = groups[-1][0]
            groups[-1] = (min(outer + total, _TOO_LARGE), total)
            position += 1
        else:
            atom = _ATOM.match(pattern, position)
            size = 1 if atom is None else _atom_size(atom)
            groups[-1] = (total + size, size)
            position = position + 1 if atom is None else atom.end()
    return sum(total for total, _ in groups)


def _times(repeat: re.Match[str]) -> int:
    least = int(repeat[1])
    return max(1, least, int(repeat[3] or 0), least + 1 if repeat[2] else 0)


def _atom_size(atom: re.Match[str]) -> int:
    if atom["unicode"]:
        return _UNICODE_CLASS
    text = atom.group()
    if text.startswith("["):
        return _CLASS + len(text) // 2 + (_UNICODE_CLASS if "\\p" in text.lower() else 0)
    if text.startswith("\\Q"):
        return len(text)
    return _CLASS if text == "." or text.lower() in ("\\w", "\\s", "\\d") else 1
