"""How a service sends the answer to an asynchronous call until it is received."""

from collections.abc import Callable
from datetime import timedelta

from shared.application.answer_event import SentAnswer, answer_event
from shared.domain.ids import CorrelationId, answer_key, event_address, event_of_correlation
from shared.domain.instance.verdict import Actor, Verdict
from shared.domain.strategy.model import Json
from tests.simulation.world import World

GATEWAY = Actor(name="gateway")
LATER = timedelta(minutes=1)


def send_later(
    world: World,
    correlation: CorrelationId,
    body: Json,
    after: timedelta,
    received: Callable[[Verdict], object] = lambda _: None,
) -> None:
    """Send the answer after a time, and again every minute until it is received.

    ``received`` is called with the verdict.
    """

    def send() -> None:
        address = event_address(event_of_correlation(correlation))
        assert address is not None
        again = world.ask("answer", send)
        again.wakes_at = world.now_at + LATER
        sent = SentAnswer(
            correlation_id=correlation, key=answer_key(correlation, str(body)), by=GATEWAY, body=body
        )
        verdict = answer_event(world, *address, sent)
        assert verdict is not None, "what was sent is known"
        received(verdict)
        if again.at_point == "start" and again in world.stage.processes:
            world.stage.processes.remove(again)

    world.ask("answer", send).wakes_at = world.now_at + after
