"""The CEL library, imported here only.

Its signatures leave out how it fails: errors are returned as values, an evaluation can also raise ``RuntimeError``,
``MemoryError`` or ``SystemError``, and an exception of a Python function becomes an error value with its text.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped]

from shared.expressions.diagnosis import diagnose, plain_message
from shared.expressions.host import HOST_FUNCTIONS, HostFunction, HostType
from shared.expressions.kinds import ResultType, Variables, VariableType
from shared.expressions.lexer import growth
from shared.expressions.limits import (
    MAX_GROWTH,
    MAX_SOURCE_BYTES,
    MAX_TEXT_BYTES,
    MAX_TEXT_CHARACTERS,
    memory_cap,
)
from shared.expressions.problems import EvaluationError, ExpressionProblem, ExpressionSyntaxError
from shared.expressions.values import Bindings, CelValue

_VARIABLE_TYPES = {
    VariableType.BOOL: cel.Type.BOOL,
    VariableType.INT: cel.Type.INT,
    VariableType.DOUBLE: cel.Type.DOUBLE,
    VariableType.STRING: cel.Type.STRING,
    VariableType.TIMESTAMP: cel.Type.TIMESTAMP,
    VariableType.MAP: cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    VariableType.ANY: cel.Type.DYN,
}
_HOST_TYPES = {
    HostType.BOOL: cel.Type.BOOL,
    HostType.INT: cel.Type.INT,
    HostType.DOUBLE: cel.Type.DOUBLE,
    HostType.STRING: cel.Type.STRING,
    HostType.STRINGS: cel.Type.List(cel.Type.STRING),
    HostType.OPERANDS: cel.Type.List(cel.Type.DYN),
    HostType.DYN: cel.Type.DYN,
    HostType.TIMESTAMP: cel.Type.TIMESTAMP,
}
_WITHOUT_JSON_FORM = ("BYTES", "DURATION", "TYPE", "MAP<INT", "MAP<UINT", "MAP<BOOL")
_STATIC_TYPES = {
    ResultType.BOOL: ("BOOL",),
    ResultType.TIMESTAMP: ("TIMESTAMP",),
    ResultType.MAP: ("MAP<STRING,", "MAP<DYN,"),
}

_VariablesKey = frozenset[tuple[str, VariableType]]


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled expression, for any number of evaluations.

    ``own_bytes`` is the size of the text it can make without any context. ``factor`` is an upper bound for how often
    macros and ``+`` can repeat one text.
    """

    expression: Any
    own_bytes: int
    factor: int

    def run(self, bindings: Bindings) -> CelValue:
        """Return the value for these bindings, evaluated under the memory cap.

        Raises: EvaluationError: if the value is an error, or a limit was met.
        """
        # The library ends the process if memory runs out while it hands a text to a Python function, so the product
        # is limited to 8 MB before anything runs.
        if (self.own_bytes + bindings.size) * self.factor > MAX_TEXT_BYTES:
            raise EvaluationError("what it repeats could grow too large for a context of this size")
        try:
            with memory_cap():
                value: CelValue = self.expression.eval(data=bindings.values)
        except MemoryError as error:
            raise EvaluationError("out of memory") from error
        except (RuntimeError, SystemError) as error:
            raise EvaluationError(plain_message(str(error))) from error
        if value.type() == cel.Type.ERROR:
            raise EvaluationError(plain_message(str(value.value())))
        return value


def compile_expression(source: str, *, variables: Variables, returns: ResultType) -> Program:
    """Return the compiled source; the 512 used last are cached.

    Raises: ExpressionSyntaxError: with the first problem.
    """
    return _compiled(source, frozenset(variables.items()), returns)


@lru_cache(maxsize=512)
def _compiled(source: str, variables: _VariablesKey, returns: ResultType) -> Program:
    _require_bounded(source)
    environment = _environment(variables)
    try:
        expression = environment.compile(source)
    except RuntimeError as error:

        def compiles(suggestion: str) -> bool:
            return _compiles(environment, suggestion, returns)

        raise ExpressionSyntaxError(diagnose(source, str(error), compiles=compiles)) from error
    found = str(expression.return_type().name())
    if not _may_return(found, returns):
        raise ExpressionSyntaxError(
            ExpressionProblem("type", f"this must return {_named(returns)}, it returns {found.lower()}", None)
        )
    return Program(expression, own_bytes=_own_bytes(source), factor=growth(source) * (source.count("+") + 1))


def _own_bytes(source: str) -> int:
    """Return the size of text the source can make by itself: its literals, and what ``replace`` may expand."""
    return len(source) + (MAX_TEXT_CHARACTERS if "replace" in source else 0)


def _require_bounded(source: str) -> None:
    problem = _too_much(source)
    if problem is not None:
        raise ExpressionSyntaxError(problem)


def _too_much(source: str) -> ExpressionProblem | None:
    """Return the problem of a source that must not reach the compiler, or None."""
    try:
        size = len(source.encode())
    except UnicodeEncodeError:
        return ExpressionProblem("syntax", "half of a surrogate pair is not text", None)
    if size > MAX_SOURCE_BYTES:
        return ExpressionProblem("too-long", f"longer than {MAX_SOURCE_BYTES} bytes", None)
    if "\0" in source:
        return ExpressionProblem("syntax", "a NUL character is not text", None)
    if growth(source) > MAX_GROWTH:
        message = f"its macros may multiply a value more than {MAX_GROWTH} times over"
        return ExpressionProblem("too-complex", message, None)
    return None


def _compiles(environment: Any, source: str, returns: ResultType) -> bool:  # noqa: ANN401 - of the library
    try:
        return _may_return(environment.compile(source).return_type().name(), returns)
    except RuntimeError:
        return False


def _may_return(found: str, returns: ResultType) -> bool:
    """Return whether an expression of the static type ``found`` can have a value of the required type."""
    if found == "DYN":
        return True
    if returns is ResultType.ANY:
        return not found.startswith(_WITHOUT_JSON_FORM)
    return found.startswith(_STATIC_TYPES[returns])


def _named(returns: ResultType) -> str:
    return "a value with a JSON form" if returns is ResultType.ANY else returns.value


@lru_cache(maxsize=32)
def _environment(variables: _VariablesKey) -> Any:  # noqa: ANN401 - of the library, which has no stubs
    """Return the declarations for one set of variables."""
    # The library's string extension is left out, because its functions are not bounded.
    return cel.NewEnv(
        variables={name: _VARIABLE_TYPES[kind] for name, kind in variables}, functions=_declarations()
    )


@lru_cache(maxsize=1)
def _declarations() -> list[Any]:
    names = dict.fromkeys(function.name for function in HOST_FUNCTIONS)
    return [
        cel.FunctionDecl(name, [_overload(function) for function in HOST_FUNCTIONS if function.name == name])
        for name in names
    ]


def _overload(function: HostFunction) -> Any:  # noqa: ANN401 - of the library, which has no stubs
    return cel.Overload(
        "_".join((function.name, *function.parameters)),
        return_type=_HOST_TYPES[function.returns],
        parameters=[_HOST_TYPES[parameter] for parameter in function.parameters],
        is_member=False,
        impl=function.call,
    )
