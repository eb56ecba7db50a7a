"""Named controllers: plain functions in a module that the deployer ships with the engine.

The module defines ``CONTROLLERS``, a mapping from names to functions of one argument: the variables of callbacks, as
a mapping (docs/expressions.md). A function returns directives; an exception fails the step.
"""

import importlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from msgspec import Struct

from shared.domain.calendar.dates import format_instant
from shared.domain.steps.controllers import ControllerError
from shared.domain.strategy.model import Json

Function = Callable[[Mapping[str, Any]], Any]


class NoControllers(Struct, kw_only=True):
    """``Controllers`` of a deployment that has registered none."""

    names: Collection[str] = ()

    def run(self, name: str, variables: Mapping[str, Any]) -> Json:  # noqa: ARG002 - of a port
        raise ControllerError(f"controller {name!r} is not registered")


@dataclass(kw_only=True)
class ModuleControllers:
    """``Controllers`` of a module with that dotted name, imported on first use.

    Raises: ImportError, TypeError: on first use, if the module is missing or maps no names to functions. Nothing runs
    until that is repaired.
    """

    module: str

    @property
    def names(self) -> Collection[str]:
        return self._functions.keys()

    def run(self, name: str, variables: Mapping[str, Any]) -> Json:
        function = self._functions.get(name)
        if function is None:
            raise ControllerError(f"controller {name!r} is not registered")
        try:
            return json.loads(json.dumps(function(variables), allow_nan=False, default=_instant))
        except Exception as error:  # whatever the deployer's code raises is the step's error
            raise ControllerError(f"{type(error).__name__}: {error}") from error

    @cached_property
    def _functions(self) -> Mapping[str, Function]:
        found = getattr(importlib.import_module(self.module), "CONTROLLERS", None)
        if not isinstance(found, Mapping) or not all(
            isinstance(name, str) and callable(function) for name, function in found.items()
        ):
            raise TypeError(f"{self.module}.CONTROLLERS must map names to functions")
        return found


def _instant(value: object) -> str:
    if isinstance(value, datetime):
        return format_instant(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
