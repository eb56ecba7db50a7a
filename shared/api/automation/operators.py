"""Translate the operators of a script, which have the meaning of JavaScript's, into calls of host functions.

CEL's own operators take operands of one type; JavaScript's convert them. So ``data.n + 1`` becomes
``jsAdd([data.n, 1])``. Everything else of a script is CEL already and stays as it is.
Source: docs/contracts/automation.md A.2; docs/decisions/0025.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import count

from msgspec import Struct, field

from shared.expressions.host import HOST_FUNCTIONS, HostType
from shared.expressions.lexer import Token

_PAIRS = frozenset({"==", "!=", "<=", ">=", "&&", "||"})
_EQUALITY = {"==": "jsEquals", "!=": "!jsEquals", "===": "jsStrictEquals", "!==": "!jsStrictEquals"}
_RELATIONAL = {"<": "jsLess", "<=": "jsLessOrEqual", "in": "jsIn"}
_MIRRORED = {">": "<", ">=": "<="}
_MULTIPLICATIVE = {"*": "jsMultiply", "/": "jsDivide", "%": "jsRemainder"}
_PREDICATES = frozenset({"all", "exists", "exists_one", "filter"})
_TIMES = frozenset({"timestamp", "duration"}) | {
    function.name for function in HOST_FUNCTIONS if function.returns is HostType.TIMESTAMP
}
_CONSTANTS = frozenset({"true", "false", "null"})


class UnknownFormError(Exception):
    """A script has a form that is CEL but cannot be translated. ``at`` is its position."""

    def __init__(self, at: int) -> None:
        self.at = at
        super().__init__("this form is not supported in scripts")


class Code(Struct, frozen=True):
    """Translated CEL: ``value`` has the value, ``truth`` says whether it counts as true.

    ``operand`` is the value for arithmetic and ordering, where a missing member is an error: JavaScript's
    ``undefined`` would make the result NaN, and null would make it 0. ``is_time`` marks timestamps and durations,
    which keep CEL's arithmetic.
    """

    value: str
    truth: str
    operand: str
    is_time: bool = False


class Variable(Struct, frozen=True):
    """A variable with its member: its CEL, the one for arithmetic, and the number of tokens it replaces."""

    value: str
    operand: str
    taken: int


ReadVariable = Callable[[Sequence[Token], int, bool], Variable]
"""Reads the variable at an index; the last argument is true inside ``has()``."""


def translate(found: Sequence[Token], variable: ReadVariable) -> Code:
    """Return a script, which is valid CEL, as CEL with the operators of JavaScript. Raises: UnknownFormError."""
    parser = _Parser(list(_joined(found)), variable)
    code = parser.ternary()
    parser.require_end()
    return code


def _any(value: str) -> Code:
    return Code(value, f"jsTrue([{value}])", value)


def _bool(value: str) -> Code:
    return Code(value, value, value)


def _joined(found: Sequence[Token]) -> Iterator[Token]:
    """Return the tokens with two signs of one operator joined, and the parts of one number."""
    index = 0
    while index < len(found):
        token = found[index]
        width = _width(found, index)
        value = "".join(part.value for part in found[index : index + width])
        yield Token(token.kind if width == 1 else _kind_of(value), value, token.at)
        index += width


def _kind_of(value: str) -> str:
    return "sign" if value in _PAIRS else "number"


def _width(found: Sequence[Token], index: int) -> int:
    """Return how many tokens belong to the operator or the number at ``index``."""
    token, after = found[index], found[index + 1 : index + 3]
    if after and token.kind == after[0].kind == "sign" and token.value + after[0].value in _PAIRS:
        return 2 if after[0].at == token.at + 1 else 1
    # The lexer splits 1e-5 at its sign.
    is_power = token.kind == "number" and token.value[-1] in "eE" and not token.value.startswith(("0x", "0X"))
    if is_power and len(after) == 2 and after[0].value in ("+", "-"):  # noqa: PLR2004 - the sign and the digits
        return 3
    return 1


class _Parser(Struct):
    """Reads the tokens of a script from left to right, by precedence as in JavaScript."""

    found: list[Token]
    variable: ReadVariable
    at: int = 0
    names: Iterator[int] = field(default_factory=lambda: count(1))
    bound: list[str] = field(default_factory=list)

    def ternary(self) -> Code:
        test = self._or()
        if not self._take("?"):
            return test
        yes = self.ternary()
        self._expect(":")
        no = self.ternary()
        value = f"({test.truth} ? dyn({yes.value}) : dyn({no.value}))"
        return Code(value, f"({test.truth} ? {yes.truth} : {no.truth})", value)

    def require_end(self) -> None:
        if self.at < len(self.found):
            raise UnknownFormError(self.found[self.at].at)

    def _or(self) -> Code:
        left = self._and()
        truths = [left.truth]
        while self._take("||"):
            right, name = self._and(), self._fresh_name()
            value = f"[{left.value}].map({name}, jsTrue([{name}]) ? dyn({name}) : dyn({right.value}))[0]"
            truths.append(right.truth)
            left = _chosen(left, right, value, truth=" || ".join(truths))
        return left

    def _and(self) -> Code:
        left = self._equality()
        truths = [left.truth]
        while self._take("&&"):
            right, name = self._equality(), self._fresh_name()
            value = f"[{left.value}].map({name}, jsTrue([{name}]) ? dyn({right.value}) : dyn({name}))[0]"
            truths.append(right.truth)
            left = _chosen(left, right, value, truth=" && ".join(truths))
        return left

    def _fresh_name(self) -> str:
        """Return the name for the left value of ``&&`` or ``||``, which is evaluated once and used twice."""
        return f"js_operand_{next(self.names)}"

    def _equality(self) -> Code:
        left = self._relational()
        while (sign := self._take(*_EQUALITY)) is not None:
            left = _bool(f"{_EQUALITY[sign]}([{left.value}, {self._relational().value}])")
        return left

    def _relational(self) -> Code:
        left = self._additive()
        while (sign := self._take(*_RELATIONAL, *_MIRRORED)) is not None:
            right = self._additive()
            first, second = (right, left) if sign in _MIRRORED else (left, right)
            left = _bool(f"{_RELATIONAL[_MIRRORED.get(sign, sign)]}([{first.operand}, {second.operand}])")
        return left

    def _additive(self) -> Code:
        left = self._multiplicative()
        terms: list[str] = []
        while (sign := self._take("+", "-")) is not None:
            right = self._multiplicative()
            if left.is_time or right.is_time:
                value = f"({left.operand} {sign} {right.operand})"
                left, terms = Code(value, f"jsTrue([{value}])", value, is_time=True), []
            elif sign == "-":
                left, terms = _any(f"jsSubtract([{left.operand}, {right.operand}])"), []
            else:
                # One call for a whole chain of sums, because nesting is limited.
                terms = [*(terms or [left.operand]), right.operand]
                left = _any(f"jsAdd([{', '.join(terms)}])")
        return left

    def _multiplicative(self) -> Code:
        left = self._unary()
        while (sign := self._take(*_MULTIPLICATIVE)) is not None:
            left = _any(f"{_MULTIPLICATIVE[sign]}([{left.operand}, {self._unary().operand}])")
        return left

    def _unary(self) -> Code:
        if self._take("!"):
            return _bool(f"!{self._unary().truth}")
        if self._take("-"):
            token = self._peek()
            if token is not None and token.kind == "number":
                return _any(f"-{self._postfix().value}")
            return _any(f"jsNegate([{self._unary().operand}])")
        return self._postfix()

    def _postfix(self, *, plain: bool = False) -> Code:
        code = self._primary(plain=plain)
        while (sign := self._take(".", "[")) is not None:
            if sign == "[":
                code = _any(f"{code.value}[{self.ternary().value}]")
                self._expect("]")
            else:
                code = self._member(code, plain=plain)
        return code

    def _member(self, of: Code, *, plain: bool) -> Code:
        token = self._next("name")
        if not self._take("("):
            is_length = token.value == "length" and not plain
            return _any(f"jsLength([{of.value}])" if is_length else f"{of.value}.{token.value}")
        if token.value in _PREDICATES | {"map"} and self._is_macro():
            return self._macro(of, token.value)
        return _any(f"{of.value}.{token.value}({', '.join(self._arguments())})")

    def _is_macro(self) -> bool:
        ahead = self.found[self.at : self.at + 2]
        return [token.kind for token in ahead] == ["name", "sign"] and ahead[1].value == ","

    def _macro(self, of: Code, name: str) -> Code:
        variable = self._next("name").value
        self.bound.append(variable)
        parts: list[Code] = []
        while self._take(","):
            parts.append(self.ternary())
        self._expect(")")
        self.bound.pop()
        # The condition comes first; only the last part of map is a value.
        last = parts[-1].value if name == "map" else parts[-1].truth
        texts = [variable, *(part.truth for part in parts[:-1]), last]
        called = f"{of.value}.{name}({', '.join(texts)})"
        return _any(called) if name in ("map", "filter") else _bool(called)

    def _arguments(self) -> list[str]:
        return self._entries(")", lambda: self.ternary().value)

    def _entries(self, closing: str, read: Callable[[], str]) -> list[str]:
        """Return the entries up to the closing sign. A comma may follow the last one."""
        entries: list[str] = []
        while not self._take(closing):
            entries.append(read())
            if not self._take(","):
                self._expect(closing)
                break
        return entries

    def _primary(self, *, plain: bool) -> Code:
        token = self._peek()
        match None if token is None else (token.kind, token.value):
            case ("text", value):
                self.at += 1
                return _any(value)
            case ("number", value):
                return self._number(value)
            case ("name", _):
                return self._name(plain=plain)
            case ("sign", "("):
                self.at += 1
                code = self.ternary()
                self._expect(")")
                return Code(f"({code.value})", f"({code.truth})", f"({code.operand})", is_time=code.is_time)
            case ("sign", "["):
                self.at += 1
                return _any(f"[{', '.join(self._elements())}]")
            case ("sign", "{"):
                self.at += 1
                return _any(f"{{{', '.join(self._entries('}', self._entry))}}}")
            case _:
                raise UnknownFormError(0 if token is None else token.at)

    def _number(self, value: str) -> Code:
        if value[-1] in "uU" and not value.startswith(("0x", "0X")):
            raise UnknownFormError(self.found[self.at].at)
        self.at += 1
        return _any(value)

    def _elements(self) -> list[str]:
        return self._entries("]", lambda: self.ternary().value)

    def _entry(self) -> str:
        key = self.ternary().value
        self._expect(":")
        return f"{key}: {self.ternary().value}"

    def _name(self, *, plain: bool) -> Code:
        token = self.found[self.at]
        after = self.found[self.at + 1 : self.at + 2]
        if token.value in _CONSTANTS:
            self.at += 1
            return _any(token.value) if token.value == "null" else _bool(token.value)
        if token.value in self.bound:
            self.at += 1
            return _any(token.value)
        if token.value == "has" and [sign.value for sign in after] == ["("]:
            self.at += 2
            tested = self._postfix(plain=True).value
            self._expect(")")
            return _bool(f"has({tested})")
        variable = self.variable(self.found, self.at, plain)
        self.at += variable.taken
        if variable.value == token.value and self._take("("):
            value = f"{token.value}({', '.join(self._arguments())})"
            return Code(value, f"jsTrue([{value}])", value, is_time=token.value in _TIMES)
        return Code(variable.value, f"jsTrue([{variable.value}])", variable.operand)

    def _peek(self) -> Token | None:
        return self.found[self.at] if self.at < len(self.found) else None

    def _take(self, *values: str) -> str | None:
        """Return the next token and step over it if it is one of these, else None."""
        token = self._peek()
        if token is None or token.kind == "text" or token.value not in values:
            return None
        self.at += 1
        return token.value

    def _expect(self, value: str) -> None:
        if self._take(value) is None:
            token = self._peek()
            raise UnknownFormError(0 if token is None else token.at)

    def _next(self, kind: str) -> Token:
        token = self._peek()
        if token is None or token.kind != kind:
            raise UnknownFormError(0 if token is None else token.at)
        self.at += 1
        return token


def _chosen(left: Code, right: Code, value: str, *, truth: str) -> Code:
    """Return ``&&`` or ``||``: of booleans it is one itself, else the value of an operand."""
    truth = f"({truth})"
    is_bool = left.value == left.truth and right.value == right.truth
    value = truth if is_bool else value
    return Code(value, truth, value)
