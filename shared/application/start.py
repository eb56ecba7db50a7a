"""Starting an instance of a strategy. Source: contracts/core.md section 3.3; design section 8."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.application.commit import schedule_wakeup
from shared.application.ports import Ports, StaleRevError
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.errors import RitornelloError
from shared.domain.ids import AccountId, InstanceSid, order_sid, sid_of_request
from shared.domain.instance.model import Instance, Origin
from shared.domain.instance.verdict import Actor, AlreadyThere, Applied, AuditEntry, audit_entry
from shared.domain.planning.start import NewInstance, start
from shared.domain.strategy.model import Json, Strategy


class KeyReusedError(RitornelloError):
    """The Idempotency-Key has been used for another request. Nothing was stored."""

    code = "KEY_REUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeatable:
    """A creating request that may be sent again. key: the caller's. body_hash: tells it from another one."""

    key: str
    body_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInstance:
    """What a caller asks for. start_date: None for now. by: the id of their access key.

    order_id: what it is called among orders, which its sid is derived from.
    actor: why it is started, where somebody has said so: then there is an audit entry of it.
    """

    strategy_id: str
    attributes: Mapping[str, Json]
    description: str = ""
    start_date: datetime | None = None
    end_date: datetime | None = None
    by: str | None = None
    repeatable: Repeatable | None = None
    schedule: OwnSchedule | None = None
    order_id: str | None = None
    worker: str | None = None
    actor: Actor | None = None


def start_instance(ports: Ports, strategy: Strategy, asked: StartInstance) -> Applied | AlreadyThere:
    """A stored instance with its first events, and its first wakeup armed.

    A repeatable request that was heard before is AlreadyThere, with the instance as it is now; its wakeup
    is armed again, since the first sending may have died before that.
    Raises: InvalidInputError; KeyReusedError. Nothing was stored.
    """
    sid = _sid(ports, strategy.account_id, asked)
    if asked.repeatable is not None:
        known = _known(ports, sid, asked.repeatable)
        if known is not None:
            return known
    new = NewInstance(
        sid=sid,
        origin=Origin(
            strategy_id=asked.strategy_id,
            created_by=asked.by,
            request_hash=None if asked.repeatable is None else asked.repeatable.body_hash,
            order_id=asked.order_id,
            worker=asked.worker,
        ),
        shard=ports.ids.shard(),
        attributes=asked.attributes,
        description=asked.description,
        start_date=asked.start_date,
        end_date=asked.end_date,
        schedule=asked.schedule,
    )
    started = start(strategy, new, now=ports.clock.now())
    try:
        ports.instances.create(
            started.instance, records=started.records, audit=_audit(started.instance, asked.actor)
        )
    except StaleRevError:
        if ports.instances.load(sid) != started.instance:  # else only the reply was lost
            known = None if asked.repeatable is None else _known(ports, sid, asked.repeatable)
            if known is None:
                raise
            return known
    schedule_wakeup(ports, started.instance)
    return started


def _sid(ports: Ports, account: AccountId, asked: StartInstance) -> InstanceSid:
    if asked.order_id is not None:
        return order_sid(account, asked.order_id)
    if asked.repeatable is not None:
        return InstanceSid(sid_of_request(account, "instance", asked.repeatable.key))
    return ports.ids.instance_sid()


def _audit(instance: Instance, by: Actor | None) -> AuditEntry | None:
    if by is None:
        return None
    states = (None, instance.status.value)
    return audit_entry(
        instance.account_id, instance.sid, "create", by=by, now=instance.created_at, states=states
    )


def _known(ports: Ports, sid: InstanceSid, asked: Repeatable) -> AlreadyThere | None:
    instance = ports.instances.load(sid)
    if instance is None:
        return None
    if instance.origin.request_hash != asked.body_hash:
        raise KeyReusedError("the Idempotency-Key was used with another body")
    schedule_wakeup(ports, instance)
    return AlreadyThere(instance=instance)
