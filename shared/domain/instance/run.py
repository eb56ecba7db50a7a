"""One run of an event: what it sets out to do, what its steps come to, how it ends.

Source: design section 3, items 4 to 8; contracts/core.md sections 3.5 and 3.6.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.ids import CallKey, CorrelationId
from shared.domain.strategy.model import Json


class Path(StrEnum):
    """Which way through a task a step is executed on."""

    MAIN = "MAIN"
    """From ``initialStep`` to the end of the task."""
    BEFORE_RETRY = "BEFORE_RETRY"
    """The side path of ``onBeforeRetry``: entered when an attempt failed and another will follow."""
    BEFORE_PAUSE = "BEFORE_PAUSE"
    """The side path of ``onBeforePause``: entered when the attempts are used up and the event will pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepError:
    """Why a step did not succeed.

    message: for a person. status: the HTTP status, where there was an answer. data: its body.
    """

    message: str
    status: int | None = None
    data: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An attempt that failed, and what was decided about it there and then.

    retry_at: when the next attempt is due; None where the attempts are used up.
    pauses: used-up attempts pause the event instead of failing it.
    """

    step: str
    failed_at: datetime
    error: StepError
    retry_at: datetime | None = None
    pauses: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A step that is about to be executed, written before it is.

    visit: from 1, the how-manieth step execution of the run.
    call_key, correlation_id: of the first sending, kept over every repeat until a definite answer.
    repeat: an earlier sending under this key may have reached the service.
    not_before: a step with ``delay`` waits until then.
    passed: steps taken from stored results on the way to this one, in order.
    branches: steps still to be run when this branch ends (the last one next).
    attempt, resets: the attempt counter and the steps that have set it back, as of this step.
    failure: on a side path, the failed attempt that led here.
    answers_later: the answer to its call is sent to us, under its correlation id.
    awaits: it was sent already, in the visit before; what is left of the step is to wait for the answer and hear it.
    answer_by: until when it waits; None for as long as it takes.
    """

    visit: int
    step: str
    call_key: CallKey
    correlation_id: CorrelationId
    path: Path = Path.MAIN
    repeat: bool = False
    not_before: datetime | None = None
    passed: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    attempt: int = 1
    resets: tuple[str, ...] = ()
    failure: Failure | None = None
    answers_later: bool = False
    awaits: bool = False
    answer_by: datetime | None = None


class Ending(StrEnum):
    """How a run came to rest."""

    SUCCEEDED = "SUCCEEDED"
    """The task ended: the event closes PROCESSED."""
    RETRY = "RETRY"
    """The attempt failed and another one is due at ``failure.retry_at``."""
    EXHAUSTED = "EXHAUSTED"
    """The attempts are used up: paused or failed, as ``failure.pauses`` says."""
    IN_DOUBT = "IN_DOUBT"
    """A call may or may not have reached its service, and its method says an operator decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """The end of a run, with what its conclusion needs. outputs: of a task that succeeded."""

    how: Ending
    attempt: int
    resets: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    failure: Failure | None = None
    outputs: Mapping[str, Json] = field(default_factory=dict)


Then = Intent | RunEnd
"""What follows a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one step execution came to.

    unanswered: the call may have reached the service and no answer came (yet).
    directives: what its controller ordered, to be applied to the instance once.
    notes: rules and callbacks that could not be evaluated and were passed over.
    """

    success: bool
    response: Json = None
    error: StepError | None = None
    unanswered: bool = False
    directives: Mapping[str, Json] | None = None
    notes: tuple[str, ...] = ()
