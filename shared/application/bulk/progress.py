"""The progress of one invocation of the bulk runner."""

from collections import Counter
from datetime import timedelta

from msgspec import Struct, field

from shared.application.commit import ContentionError
from shared.application.failures import Fault, failure_of
from shared.domain.ids import InstanceSid

RESERVE = timedelta(seconds=20)
"""The time an invocation keeps for saving its progress."""


class BatchProgress(Struct, kw_only=True):
    """The result of one invocation.

    ``done`` is how many instances were released or commanded. ``failed`` are those that could not be, with the
    reason. ``faults`` counts those that could not be released by their kind.
    """

    done: int = 0
    failed: dict[InstanceSid, str] = field(default_factory=dict)
    faults: Counter[Fault] = field(default_factory=Counter)

    def add_failure(self, sid: InstanceSid, error: Exception) -> None:
        """Add an instance that could not be released. One that kept changing is no fault: it is tried again."""
        failure = failure_of(error)
        self.failed[sid] = failure.why
        if not isinstance(error, ContentionError):
            self.faults[failure.fault] += 1
