"""The part of CEL's grammar that is needed without the compiler: texts, comments and braces."""

import re
from collections.abc import Iterator
from math import prod
from typing import NamedTuple

# A text that is not closed is one token up to the end of its line, or of the source: if its quote were a sign, each
# further quote would be searched for its end again, which takes quadratic time.
_TOKEN = re.compile(
    r"""
      (?P<text>
          (?:[rR][bB]?|[bB][rR]) (?: "{3}.*?(?:"{3}|\Z) | '{3}.*?(?:'{3}|\Z) | "[^"\n]*"? | '[^'\n]*'? )
        | [bB]? (?: "{3}(?:\\.|[^\\])*?(?:"{3}|\Z) | '{3}(?:\\.|[^\\])*?(?:'{3}|\Z) )
        | [bB]? (?: "(?:\\.|[^"\\\n])*"? | '(?:\\.|[^'\\\n])*'? ) )
    | (?P<comment> //[^\n]*)
    | (?P<name> [A-Za-z_]\w*)
    | (?P<sign> ===|!==|=>|[^\s\w])
    | (?P<number> \d[\w.]*)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_OPERANDS = frozenset({"name", "text", "number"})
_MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})
_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")


class Token(NamedTuple):
    """A piece of source: ``kind`` is ``text``, ``name``, ``sign`` or ``number``; ``at`` counts from 0."""

    kind: str
    value: str
    at: int


def tokens(source: str, start: int = 0) -> Iterator[Token]:
    """Return the tokens of ``source`` from ``start``, without comments. Never raises: unknown characters are signs."""
    for match in _TOKEN.finditer(source, start):
        if match.lastgroup != "comment":
            yield Token(str(match.lastgroup), match.group(), match.start())


def names_in(source: str) -> frozenset[str]:
    """Return every name of ``source`` that can be a variable: all but members such as ``sid`` in ``event.sid``."""
    found = list(tokens(source))
    members = {
        index + 1 for index, token in enumerate(found) if token.value == "." and _ends_operand(found, index)
    }
    return frozenset(
        token.value for index, token in enumerate(found) if token.kind == "name" and index not in members
    )


def _ends_operand(found: list[Token], index: int) -> bool:
    """Return whether an operand ends before the token at ``index``. Without one, ``.name`` is a variable."""
    before = found[index - 1] if index else None
    return before is not None and (before.kind in _OPERANDS or before.value in _CLOSING)


def closing_brace(source: str, start: int) -> int | None:
    """Return the position of the ``}`` that closes a brace opened just before ``start``, or None if there is none.

    Braces of maps count; braces in texts and comments do not.
    """
    depth = 0
    for token in tokens(source, start):
        if token.value == "{":
            depth += 1
        elif token.value == "}":
            if depth == 0:
                return token.at
            depth -= 1
    return None


def growth(source: str) -> int:
    """Return an upper bound for how often the macros of ``source`` can multiply their input.

    It is the product, over all macros, of the uses of the macro's variable in its body: ``.map(a, a + a)`` doubles,
    thirty of them make a billion.
    """
    # The memory cap does not see this growth: the copies share their memory, but comparing or printing them takes
    # time for each copy.
    found = list(tokens(source))
    return prod(max(1, _uses(found, index)) for index in range(len(found)) if _is_macro(found, index))


def _is_macro(found: list[Token], index: int) -> bool:
    return (
        found[index].value in _MACROS
        and found[index - 1].value == "."
        and [token.kind for token in found[index + 1 : index + 3]] == ["sign", "name"]
    )


def _uses(found: list[Token], index: int) -> int:
    """Return how often the variable of the macro at ``index`` occurs between the parentheses of that macro."""
    variable, depth, uses = found[index + 2].value, 1, 0
    for before, token in zip(found[index + 2 :], found[index + 3 :], strict=False):
        depth += (token.value in _OPENING) - (token.value in _CLOSING)
        if depth == 0:
            break
        uses += token.value == variable and before.value != "."
    return uses
