"""The patterns of a source that are written out: of dates, of numbers, and regular expressions.

They are checked when the source is compiled; a pattern that is computed is checked when it is used.
Source: docs/expressions.md.
"""

from collections.abc import Callable, Iterator

from shared.expressions.decimals import check_number_pattern
from shared.expressions.lexer import Token, tokens
from shared.expressions.moments import check_pattern, check_readable
from shared.expressions.problems import ExpressionProblem, caret_at_offset
from shared.expressions.regex import check_regex

_CHECKS: dict[tuple[str, int], Callable[[str], None]] = {
    ("formatDate", 1): check_pattern,
    ("parseDate", 1): check_readable,
    ("formatNumber", 1): check_number_pattern,
    ("matches", 1): check_regex,
}
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


def pattern_problem(source: str, *, text_of: Callable[[str], str | None]) -> ExpressionProblem | None:
    """Return the problem of the first pattern that is refused, or None.

    ``text_of`` returns the value of a literal, or None if it has none.
    """
    for name, place, token in _literal_arguments(list(tokens(source))):
        check = _CHECKS.get((name, place))
        text = None if check is None else text_of(token.value)
        if check is None or text is None:
            continue
        try:
            check(text)
        except ValueError as error:
            message = str(error).removeprefix(f"{name}: ")
            return ExpressionProblem("pattern", f"{name}: {message}", caret_at_offset(source, token.at))
    return None


def _literal_arguments(found: list[Token]) -> Iterator[tuple[str, int, Token]]:
    """Yield function, position and literal of every argument that is one literal text. A receiver has position 0."""
    for index in range(len(found) - 1):
        if found[index].kind != "name" or found[index + 1].value != "(":
            continue
        is_method = index > 0 and found[index - 1].value == "."
        for place, argument in enumerate(_arguments(found, index + 2), start=int(is_method)):
            if len(argument) == 1 and argument[0].kind == "text":
                yield found[index].value, place, argument[0]


def _arguments(found: list[Token], start: int) -> Iterator[list[Token]]:
    """Yield the tokens of each argument of the call whose arguments begin at ``start``."""
    depth, argument = 0, list[Token]()
    for token in found[start:]:
        if depth == 0 and token.value in {")", ","}:
            yield argument
            if token.value == ")":
                return
            argument = []
            continue
        depth += (token.value in _OPENING) - (token.value in _CLOSING)
        argument.append(token)
