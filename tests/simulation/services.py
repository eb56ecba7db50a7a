"""The services of a world, and the ledger of the calls that they received and executed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec import Struct

from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut, Unreachable
from tests.simulation.faults import GARBLED, GATEWAY_ERRORS, NOT_SENT, REFUSALS
from tests.simulation.points import Points

AFTER = (None, timedelta(seconds=1), timedelta(minutes=7), timedelta(hours=3))
"""After how long a refusal says to call again, None if it does not say."""


class Sending(Struct, frozen=True, kw_only=True):
    """A call as the service received it.

    ``took_effect`` is True if the service did it, whatever it answered. ``is_refused`` means that the service had not
    done it and said so, or that nothing reached it: the same call may be sent again. A gateway may say so although the
    service has done it.
    """

    at: datetime
    url: str
    method: str
    key: str
    took_effect: bool
    status: str
    is_refused: bool = False


@dataclass
class Services(Points):
    """All services. ``answers`` decides their effect and answer, and ``watchers`` see each call before it is sent."""

    ledger: list[Sending] = field(default_factory=list)
    answers: Callable[[ServiceRequest], CallOutcome] = lambda _: Answered(status=200, body={"id": "1"})
    watchers: list[Callable[[ServiceRequest], None]] = field(default_factory=list)

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.io("call")
        for watch in self.watchers:
            watch(request)
        if self.faults.call_lasts:
            self.sleep(round(self.faults.rng.random() * self.faults.call_lasts, 3))
        if self.faults.happens(self.faults.service_error):
            self._note(request, Unreachable(why=NOT_SENT))
            return Unreachable(why=NOT_SENT)
        silent = self.faults.happens(self.faults.service_silence)
        refuses = self.faults.happens(self.faults.service_refusal)
        answer = self._refusal() if refuses else self.answers(request)
        gateway = self._gateway() if self.faults.happens(self.faults.gateway_error) else None
        self._note(request, answer, gateway)
        self.io("called")
        if silent:
            return TimedOut(why="read timed out")
        is_garbled = self.faults.happens(self.faults.service_garbling)
        return self.faults.rng.choice(GARBLED) if is_garbled else gateway or answer

    def _refusal(self) -> Answered:
        """Return a refusal, which says when to call again, or not."""
        after = self.faults.rng.choice(AFTER)
        return Answered(status=self.faults.rng.choice(REFUSALS), retry_after=after)

    def _gateway(self) -> Answered:
        """Return the error of a gateway that has lost the answer of its service."""
        return Answered(
            status=self.faults.rng.choice(GATEWAY_ERRORS), retry_after=self.faults.rng.choice(AFTER)
        )

    def _note(self, request: ServiceRequest, answer: CallOutcome, gateway: Answered | None = None) -> None:
        """Enter a call. If a gateway answers, the effect is still that of the service's own answer."""
        status = answer.status if isinstance(answer, Answered) else None
        seen = status if gateway is None else gateway.status
        self.ledger.append(
            Sending(
                at=self.now_at,
                url=request.url,
                method=request.method,
                key=request.headers.get("Idempotency-Key", request.call_key),
                took_effect=status is not None and 200 <= status < 300,
                status=str(gateway or answer),
                is_refused=seen in REFUSALS or isinstance(answer, Unreachable),
            )
        )


def calls_to(sendings: Iterable[Sending], path: str) -> list[Sending]:
    """Return the calls to a path, in order."""
    return [sending for sending in sendings if sending.url.endswith(path)]
