"""As much of the grammar of CEL as can be told without the compiler: where texts, comments and braces are."""

import re
from collections.abc import Iterator
from math import prod
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<text>
          (?:[rR][bB]?|[bB][rR]) (?: "{3}.*?"{3} | '{3}.*?'{3} | "[^"\n]*" | '[^'\n]*' )
        | [bB]? (?: "{3}(?:\\.|[^\\])*?"{3} | '{3}(?:\\.|[^\\])*?'{3} )
        | [bB]? (?: "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' ) )
    | (?P<comment> //[^\n]*)
    | (?P<name> [A-Za-z_]\w*)
    | (?P<sign> ===|!==|=>|[^\s\w])
    | (?P<number> \d[\w.]*)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})
_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")


class Token(NamedTuple):
    """A piece of source: ``kind`` is ``text``, ``name``, ``sign`` or ``number``; ``at`` counts from 0."""

    kind: str
    value: str
    at: int


def tokens(source: str, start: int = 0) -> Iterator[Token]:
    """The tokens of ``source`` from ``start``; never raises, comments are left out, the unknown is a sign."""
    for match in _TOKEN.finditer(source, start):
        if match.lastgroup != "comment":
            yield Token(str(match.lastgroup), match.group(), match.start())


def closing_brace(source: str, start: int) -> int | None:
    """Where the ``}`` is that closes a brace opened just before ``start``; None when nothing closes it.

    Braces of maps are counted, braces in texts and comments are not.
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
    """How many times over the macros of ``source`` can multiply what they are given, at most.

    The product over all macros of the uses of the macro's variable in its body: ``.map(a, a + a)`` doubles,
    thirty of them make a billion. The other limits do not see this: the copies share their memory, yet
    comparing or printing them takes time for each.
    """
    found = list(tokens(source))
    return prod(max(1, _uses(found, index)) for index in range(len(found)) if _is_macro(found, index))


def _is_macro(found: list[Token], index: int) -> bool:
    return (
        found[index].value in _MACROS
        and found[index - 1].value == "."
        and [token.kind for token in found[index + 1 : index + 3]] == ["sign", "name"]
    )


def _uses(found: list[Token], index: int) -> int:
    """How often the variable of the macro at ``index`` occurs between the parentheses of that macro."""
    variable, depth, uses = found[index + 2].value, 1, 0
    for before, token in zip(found[index + 2 :], found[index + 3 :], strict=False):
        depth += (token.value in _OPENING) - (token.value in _CLOSING)
        if depth == 0:
            break
        uses += token.value == variable and before.value != "."
    return uses
