"""Named controllers: Python functions that the deployer has registered.

They see the same variables as a callback and return the same directives. Source: docs/design.md section 6.
"""

from collections.abc import Callable

from shared.domain.errors import RitornelloError
from shared.domain.instance.scope import Scope
from shared.domain.strategy.model import Json


class ControllerError(RitornelloError):
    """A named controller failed, or its result is not JSON. The step fails."""

    code = "CONTROLLER"


RunController = Callable[[str, Scope], Json]
"""Calls a controller by name with the variables and returns its result as JSON. Raises: ControllerError."""
