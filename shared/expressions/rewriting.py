"""The changes to a source before CEL's compiler sees it. Every change keeps the length, so carets stay right.

- Calls of ``string``, ``timestamp`` and ``matches`` become calls of our functions of those names, under an alias,
  because the library keeps its own. The names of the types ``string`` and ``timestamp`` stay.
- An integer beyond 2^53 becomes a variable that is bound to its marker; see ``bindings``.

Source: docs/expressions.md.
"""

from msgspec import Struct

from shared.expressions.bindings import marker
from shared.expressions.digits import MAX_EXACT
from shared.expressions.lexer import Token, tokens

ALIASES = {"string": "sTRING", "timestamp": "tIMESTAMP", "matches": "mATCHES"}
"""The names under which our functions are declared."""

_METHODS = frozenset({"matches"})
_ENDS_OPERAND = frozenset({"name", "text", "number"})


class Rewritten(Struct, frozen=True):
    """A source for the compiler, and the values of the variables that stand for its large integers."""

    source: str
    literals: dict[str, object]


def rewrite(source: str) -> Rewritten:
    """Return the source as the compiler is to see it."""
    found = list(tokens(source))
    characters = list(source)
    literals: dict[str, object] = {}
    for index, token in enumerate(found):
        if _is_our_call(found, index):
            characters[token.at : token.at + len(token.value)] = ALIASES[token.value]
        elif _is_large(token):
            digits = str(int(token.value))
            if _is_negated(found, index):
                digits = f"-{digits}"
                characters[found[index - 1].at] = " "
            name = f"w{len(literals)}".ljust(len(token.value), "_")
            characters[token.at : token.at + len(token.value)] = name
            literals[name] = marker(digits)
    return Rewritten("".join(characters), literals)


def restore(message: str) -> str:
    """Return a message of the library with the names that users know."""
    for name, alias in ALIASES.items():
        message = message.replace(alias, name)
    return message


def _is_our_call(found: list[Token], index: int) -> bool:
    token = found[index]
    if token.value not in ALIASES or found[index + 1 : index + 2] == [] or found[index + 1].value != "(":
        return False
    return token.value in _METHODS or index == 0 or found[index - 1].value != "."


def _is_large(token: Token) -> bool:
    # No integer of CEL has more than 19 digits, and the compiler reports a longer one.
    return (
        token.kind == "number"
        and token.value.isdecimal()
        and 16 <= len(token.value) <= 4096  # noqa: PLR2004 - the digits of 2^53, and the longest source
        and int(token.value) > MAX_EXACT
    )


def _is_negated(found: list[Token], index: int) -> bool:
    """Return whether a minus before the token is a sign, and not a subtraction."""
    if index == 0 or found[index - 1].value != "-":
        return False
    before = found[index - 2] if index > 1 else None
    return before is None or not (before.kind in _ENDS_OPERAND or before.value in {")", "]", "}"})
