"""One invocation's share of an operation: how long it lasts, and what it comes to."""

from dataclasses import dataclass, field
from datetime import timedelta

from shared.domain.ids import InstanceSid

RESERVE = timedelta(seconds=20)
"""What an invocation keeps of its time to write down how far it got."""


@dataclass(slots=True, kw_only=True)
class BatchProgress:
    """What one invocation came to.

    done: how many instances it freed, or commanded. failed: those it could not read or decide on, and why.
    """

    done: int = 0
    failed: dict[InstanceSid, str] = field(default_factory=dict)
