"""The statuses and commands of workflows as 8x8 names them.

Source: docs/contracts/automation.md A.3 and A.7; docs/contracts/mapping.md D.2 and D.3.
"""

from collections.abc import Mapping
from enum import StrEnum

from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.phase import Phase
from shared.domain.instance.verdict import AlreadyThere, Applied, Refused
from shared.domain.lifecycle.commands import Cancel, Pause, Resume


class WorkflowStatus(StrEnum):
    """The status of a workflow."""

    RUNNABLE = "Runnable"
    """It runs, waits for an event, or waits until a duration has passed."""
    SUSPENDED = "Suspended"
    """It was suspended, or is blocked by a call in doubt. It can be resumed."""
    COMPLETE = "Complete"
    """It ended without an error."""
    TERMINATED = "Terminated"
    """It was terminated, or ended by an error that ``/errors`` lists."""


STATUS_OF: Mapping[Phase, WorkflowStatus] = {
    Phase.UNDATED: WorkflowStatus.RUNNABLE,
    Phase.AHEAD: WorkflowStatus.RUNNABLE,
    Phase.OVERDUE: WorkflowStatus.RUNNABLE,
    Phase.RUNNING: WorkflowStatus.RUNNABLE,
    Phase.BETWEEN_STEPS: WorkflowStatus.RUNNABLE,
    Phase.RETRYING: WorkflowStatus.RUNNABLE,
    Phase.DELAYED: WorkflowStatus.RUNNABLE,
    Phase.AWAITING_ANSWER: WorkflowStatus.RUNNABLE,
    Phase.ONHOLD: WorkflowStatus.RUNNABLE,
    Phase.PAUSED: WorkflowStatus.SUSPENDED,
    Phase.STUCK: WorkflowStatus.SUSPENDED,
    Phase.CANCELED: WorkflowStatus.TERMINATED,
    Phase.FAULTED: WorkflowStatus.TERMINATED,
    Phase.COMPLETED: WorkflowStatus.COMPLETE,
}
"""The status of a workflow by its instance's phase."""

INSTANCES_OF: Mapping[WorkflowStatus, InstanceStatus] = {
    WorkflowStatus.RUNNABLE: InstanceStatus.ACTIVE,
    WorkflowStatus.SUSPENDED: InstanceStatus.PAUSED,
    WorkflowStatus.COMPLETE: InstanceStatus.COMPLETED,
    WorkflowStatus.TERMINATED: InstanceStatus.CANCELED,
}
"""The status of the instances that have a workflow status, for filters."""


class StepStatus(StrEnum):
    """The status of one execution of a step."""

    PENDING = "Pending"
    RUNNING = "Running"
    COMPLETE = "Complete"
    SLEEPING = "Sleeping"
    WAITING_FOR_EVENT = "WaitingForEvent"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class Command(StrEnum):
    """The commands to a workflow."""

    SUSPEND = "suspend"
    RESUME = "resume"
    TERMINATE = "terminate"


COMMAND_OF: Mapping[Command, type[Pause | Resume | Cancel]] = {
    Command.SUSPEND: Pause,
    Command.RESUME: Resume,
    Command.TERMINATE: Cancel,
}

PAST: Mapping[Command, str] = {
    Command.SUSPEND: "suspended",
    Command.RESUME: "resumed",
    Command.TERMINATE: "terminated",
}
"""The participle for the message that a command is impossible."""

IS_DONE: Mapping[tuple[Command, type[Applied | AlreadyThere | Refused]], bool] = {
    (Command.SUSPEND, Applied): True,
    (Command.SUSPEND, AlreadyThere): False,
    (Command.SUSPEND, Refused): False,
    (Command.RESUME, Applied): True,
    (Command.RESUME, AlreadyThere): False,
    (Command.RESUME, Refused): False,
    (Command.TERMINATE, Applied): True,
    (Command.TERMINATE, AlreadyThere): True,
    (Command.TERMINATE, Refused): False,
}
"""Whether a verdict is answered as success: 200 without a body, else 400. Only ``terminate`` may be repeated."""
