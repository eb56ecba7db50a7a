"""Starting an instance of a strategy. Source: contracts/core.md section 3.3."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.application.committing import ring
from shared.application.ports import Ports, StaleRevError
from shared.domain.decision import Applied
from shared.domain.start import NewInstance, start
from shared.domain.strategy import Json, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInstance:
    """What a caller asks for. start_date: None for now."""

    strategy_id: str
    attributes: Mapping[str, Json]
    description: str = ""
    start_date: datetime | None = None
    end_date: datetime | None = None


def start_instance(ports: Ports, strategy: Strategy, asked: StartInstance) -> Applied:
    """A stored instance with its first events, and its first wakeup armed.

    Raises: InvalidInputError: nothing was stored.
    """
    new = NewInstance(
        sid=ports.ids.instance_sid(),
        strategy_id=asked.strategy_id,
        shard=ports.ids.shard(),
        attributes=asked.attributes,
        description=asked.description,
        start_date=asked.start_date,
        end_date=asked.end_date,
    )
    started = start(strategy, new, now=ports.clock.now())
    try:
        ports.instances.create(started.instance, records=started.records)
    except StaleRevError:
        if ports.instances.load(started.instance.sid) != started.instance:  # else only the reply was lost
            raise
    ring(ports, started.instance)
    return started
