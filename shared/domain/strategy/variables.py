"""The variables of expressions, and their types. Source: docs/design.md section 6."""

from collections.abc import Mapping

from shared.expressions import VariableType

VARIABLES: Mapping[str, VariableType] = {
    "instance": VariableType.MAP,
    "attributes": VariableType.MAP,
    "event": VariableType.MAP,
    "stack": VariableType.MAP,
    "cycle": VariableType.INT,
    "date": VariableType.TIMESTAMP,
    "now": VariableType.TIMESTAMP,
    "attempt": VariableType.INT,
    "response": VariableType.ANY,
    "env": VariableType.STRING,
}

MEMBERS: Mapping[str, tuple[str, ...]] = {
    "instance": (
        "sid",
        "strategyId",
        "description",
        "status",
        "cycle",
        "startDate",
        "endDate",
        "executionDate",
        "plannedDate",
        "executionDay",
        "attributes",
        "cancelReason",
        "nextDate",
        "stoppedReason",
    ),
    "event": (
        "sid",
        "task",
        "main",
        "date",
        "plannedDate",
        "data",
        "createdCycle",
        "run",
        "attempt",
        "nextRetryAt",
        "attemptsLeft",
        "worker",
        "idempotencyKey",
        "correlationId",
    ),
}
"""The members of the variables whose members are the same for all strategies."""

DIRECTIVES = frozenset(
    {"response", "attributes", "cancelInstance", "pauseInstance", "createEvents", "cancelTasks", "fail"}
)
"""The names of the directives that a controller may return."""

RESET_BOUNDS: Mapping[str, tuple[int, int]] = {
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 24),
    "minute": (0, 59),
}
"""The inclusive bounds of each part of a ``resetTo``."""
