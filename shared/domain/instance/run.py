"""One run of an event: its intents, the outcomes of its steps, and its end.

Source: docs/design.md sections 3.4 to 3.8; docs/contracts/core.md sections 3.5 and 3.6.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import force_setattr

from shared.domain.errors import shortened
from shared.domain.ids import CallKey, CorrelationId
from shared.domain.instance.reason import ErrorKind
from shared.domain.strategy.model import Json

MAX_REASON_BYTES = 4 * 1024
"""The largest message of a failed step, as JSON: three problems of a schema, or a text of a controller."""


class Path(StrEnum):
    """The path through a task on which a step is executed."""

    MAIN = "MAIN"
    """The path from ``initialStep`` to the end of the task."""
    BEFORE_RETRY = "BEFORE_RETRY"
    """The side path of ``onBeforeRetry``. It is entered when an attempt failed and another attempt follows."""
    BEFORE_PAUSE = "BEFORE_PAUSE"
    """The side path of ``onBeforePause``. It is entered when the attempts are used up and the event will pause."""


class StepError(Struct, frozen=True, kw_only=True):
    """Why a step failed.

    ``message`` is for users; a long one is cut. ``status`` and ``data`` are the HTTP status and body, if the service
    answered.
    """

    message: str
    kind: ErrorKind = ErrorKind.OTHER
    status: int | None = None
    data: Json = None

    def __post_init__(self) -> None:
        """Cut the message. It is stored with the step, and may quote the wrong value."""
        force_setattr(self, "message", shortened(self.message, MAX_REASON_BYTES))

    @property
    def error_class(self) -> str:
        """Return the class of the error, for example ``timeout`` or ``http-402``."""
        return f"http-{self.status}" if self.kind is ErrorKind.HTTP else self.kind.value


class Certainty(StrEnum):
    """The certainty about the effect of a step's call. It decides about the ids of the step's next call.

    Source: docs/contracts/core.md section 3.5.
    """

    DEFINITE = "DEFINITE"
    """The service gave a definite answer, or the step makes no call. The next call is a new one with new ids."""
    OPEN = "OPEN"
    """There is no definite answer, but nothing is in doubt: nothing was sent, the service refused the call for now, or
    the flow itself judges the status. The next call keeps the ids.
    """
    IN_DOUBT = "IN_DOUBT"
    """The call may have taken effect. The next call keeps the ids, and the method's ``inDoubt`` applies."""


class Refusal(Struct, frozen=True, kw_only=True):
    """A call that its service has refused for now, ``times`` times in a row since ``since``."""

    since: datetime
    times: int


class Failure(Struct, frozen=True, kw_only=True):
    """A failed attempt and the decision about it.

    ``retry_at`` is when the next attempt is due, or None if the attempts are used up. ``pauses`` means that used-up
    attempts pause the event instead of failing it. ``attempts_left`` is how many retries are left, with the one at
    ``retry_at``. ``next_at`` is when the instance next runs an event by itself: this one or another; None if it pauses.
    """

    step: str
    failed_at: datetime
    error: StepError
    retry_at: datetime | None = None
    pauses: bool = False
    # Stored for the mails of the side path: a repeated request must be equal, whatever has changed meanwhile.
    attempts_left: int = 0
    next_at: datetime | None = None


class Intent(Struct, frozen=True, kw_only=True):
    """A step about to be executed, stored before it is executed.

    ``visit`` numbers the step executions of the run, from 1. ``call_key`` and ``correlation_id`` belong to the first
    sending, and every repeat keeps them until a definite answer arrives. ``repeat`` means that an earlier sending may
    have taken effect. ``in_doubt_since`` is when the first sending without a definite answer was over at the latest, or
    when an operator decided to repeat it. ``not_before`` is the end of the step's ``delay``, or of the wait after a
    refusal.

    ``refusal`` is set if the service has refused the call in the visit before, and this visit repeats it.

    ``passed`` lists the steps with reused results before this one, in order. ``branches`` are the steps to run after
    this branch ends, the last one first. ``attempt`` is the attempt counter at this step, and ``resets`` the steps
    that have reset it. ``failure`` is, on a side path, the failed attempt that led here.

    ``answers_later`` means that the answer is sent to the engine under the correlation id. ``awaits`` means that the
    call was sent in the previous visit, and this visit waits for the answer and processes it. ``answer_by`` is when
    the wait ends, or None for no limit.
    """

    visit: int
    step: str
    call_key: CallKey
    correlation_id: CorrelationId
    path: Path = Path.MAIN
    repeat: bool = False
    in_doubt_since: datetime | None = None
    not_before: datetime | None = None
    refusal: Refusal | None = None
    passed: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    attempt: int = 1
    resets: tuple[str, ...] = ()
    failure: Failure | None = None
    answers_later: bool = False
    awaits: bool = False
    answer_by: datetime | None = None


class Ending(StrEnum):
    """How a run ended."""

    SUCCEEDED = "SUCCEEDED"
    """The task ended. The event closes as PROCESSED."""
    RETRY = "RETRY"
    """The attempt failed, and another attempt is due at ``failure.retry_at``."""
    EXHAUSTED = "EXHAUSTED"
    """The attempts are used up. The event pauses if ``failure.pauses``, else it fails."""
    IN_DOUBT = "IN_DOUBT"
    """A call may or may not have reached its service, and its method leaves the decision to an operator."""


class RunEnd(Struct, frozen=True, kw_only=True):
    """The end of a run. ``outputs`` are the rendered outputs of a task that succeeded."""

    how: Ending
    attempt: int
    resets: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    failure: Failure | None = None
    outputs: Mapping[str, Json] = field(default_factory=dict)


Then = Intent | RunEnd
"""The next action after a step: another step, or the end of the run."""


class Outcome(Struct, frozen=True, kw_only=True):
    """The outcome of one step execution.

    ``directives`` are the controller's directives, applied to the instance once. ``notes`` describe expressions that
    failed and were ignored, and say if ``stopIf`` has stopped the retries.
    """

    success: bool
    response: Json = None
    error: StepError | None = None
    certainty: Certainty = Certainty.DEFINITE
    directives: Mapping[str, Json] | None = None
    notes: tuple[str, ...] = ()

    @property
    def in_doubt(self) -> bool:
        """Return whether the call may have taken effect without a definite answer."""
        return self.certainty is Certainty.IN_DOUBT
