"""Named controllers: functions that the deployer of the engine has registered.

They see the same variables as a callback and order the same directives. Source: design section 6.
"""

from collections.abc import Callable

from shared.domain.errors import RitornelloError
from shared.domain.instance.scope import Scope
from shared.domain.strategy.model import Json


class ControllerError(RitornelloError):
    """A named controller failed, or answered what no JSON can say: a step error."""

    code = "CONTROLLER"


RunController = Callable[[str, Scope], Json]
"""Calls a controller by its name with the variables; what it answers, as JSON. Raises: ControllerError."""
