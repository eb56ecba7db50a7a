"""Start an instance of a strategy. Source: docs/contracts/core.md section 3.3; docs/design.md section 8."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from shared.application.commit import MAX_RACES, ContentionError, schedule_wakeup
from shared.application.ports import Ports, Reservation, ReservedError, StaleRevError, Unreadable
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.errors import RitornelloError
from shared.domain.ids import AccountId, InstanceSid, order_sid, sid_of_request
from shared.domain.instance.model import Instance, Origin
from shared.domain.instance.verdict import Actor, AlreadyThere, Applied, AuditEntry, audit_entry
from shared.domain.planning.cycles import without_spread
from shared.domain.planning.start import NewInstance, start
from shared.domain.strategy.model import Json, OnResume, Strategy

MAX_UNRESERVED = 100
"""How many of the youngest instances with a reference are looked at for one without a reservation."""


class KeyReusedError(RitornelloError):
    """The Idempotency-Key was used for another request. Nothing was stored."""

    code = "KEY_REUSED"


class ReferenceTakenError(RitornelloError):
    """An unfinished instance of the strategy has the same reference. Nothing was stored. ``holder`` is its sid."""

    code = "REFERENCE_TAKEN"

    def __init__(self, holder: InstanceSid) -> None:
        self.holder = holder
        super().__init__(f"reference is that of the unfinished instance {holder}")


class Repeatable(Struct, frozen=True, kw_only=True):
    """The identity of a creating request that may be sent again: the caller's ``key``, and a hash of the body.

    ``other_hashes`` are hashes of the same body under other peppers, which may have been stored.
    """

    key: str
    body_hash: str
    other_hashes: tuple[str, ...] = ()

    def has_hash(self, stored: str | None) -> bool:
        """Return whether a stored hash is that of this body."""
        return stored == self.body_hash or stored in self.other_hashes


class StartInstance(Struct, frozen=True, kw_only=True):
    """A request to start an instance.

    ``start_date`` is None for now. ``by`` is the id of the caller's access key. The instance's sid is derived from
    ``order_id`` if it is given. ``reference`` is the caller's business key. ``missed`` is the rule for dates before
    now, None for the strategy's. If ``actor`` is given, an audit entry is stored.
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
    reference: str | None = None
    worker: str | None = None
    actor: Actor | None = None
    missed: OnResume | None = None


def preview_start(ports: Ports, strategy: Strategy, request: StartInstance) -> Applied:
    """Return the change that ``start_instance`` would store. Neither a repeated request nor the reference is looked up.

    Due dates are not spread, because that depends on the sid.
    Raises: InvalidInputError.
    """
    return start(
        without_spread(strategy), _new(ports, InstanceSid("preview"), request), now=ports.clock.now()
    )


def start_instance(ports: Ports, strategy: Strategy, request: StartInstance) -> Applied | AlreadyThere:
    """Store an instance with its first events and schedule its first wakeup.

    If a repeatable request was received before, return AlreadyThere with the instance as it is now.
    Raises: InvalidInputError; KeyReusedError; ReferenceTakenError. Nothing was stored.
    """
    sid = _sid(ports, strategy.account_id, request)
    if request.repeatable is not None:
        known = _known(ports, sid, request.repeatable)
        if known is not None:
            return known
    started = start(strategy, _new(ports, sid, request), now=ports.clock.now())
    try:
        _create(ports, started, unique=strategy.definition.unique_reference, actor=request.actor)
    except StaleRevError:
        if ports.instances.load(sid) != started.instance:  # else only the reply was lost
            known = None if request.repeatable is None else _known(ports, sid, request.repeatable)
            if known is None:
                raise
            return known
    schedule_wakeup(ports, started.instance)
    return started


def _new(ports: Ports, sid: InstanceSid, request: StartInstance) -> NewInstance:
    return NewInstance(
        sid=sid,
        origin=Origin(
            strategy_id=request.strategy_id,
            created_by=request.by,
            request_hash=None if request.repeatable is None else request.repeatable.body_hash,
            order_id=request.order_id,
            worker=request.worker,
            reference=request.reference,
        ),
        shard=ports.ids.shard(),
        attributes=request.attributes,
        description=request.description,
        start_date=request.start_date,
        end_date=request.end_date,
        schedule=request.schedule,
        missed=request.missed,
    )


def _create(ports: Ports, started: Applied, *, unique: bool, actor: Actor | None) -> None:
    """Store the instance. With ``unique``, its reference must not be that of an unfinished instance.

    Raises: StaleRevError: an instance with that sid exists. ReferenceTakenError.
    """
    instance = started.instance
    reference = instance.origin.reference if unique else None
    reservation = None if reference is None else Reservation()
    if reference is not None:
        _check_unreserved(ports, instance, reference)
    for _ in range(MAX_RACES):
        try:
            ports.instances.create(
                instance,
                records=started.records,
                audit=_audit(instance, actor),
                reservation=reservation,
            )
        except ReservedError as error:
            holder = ports.instances.load(error.holder)
            if holder is not None and not holder.status.is_final:
                raise ReferenceTakenError(error.holder) from error
            # A finished instance keeps its reservation until another instance takes it over.
            reservation = Reservation(instead_of=error.holder)
        else:
            return
    raise ContentionError(
        f"the reference of {instance.sid} changed hands {MAX_RACES} times; repeat the request"
    )


def _check_unreserved(ports: Ports, instance: Instance, reference: str) -> None:
    """Check that no instance from a version without ``uniqueReference`` has the reference.

    Such an instance has no reservation. The index that finds it lags by a moment, but it has existed for longer.
    Raises: ReferenceTakenError.
    """
    page_keys = ports.instances.with_reference(
        instance.account_id, reference, before=None, limit=MAX_UNRESERVED
    )
    others = [InstanceSid(key.sid) for key in page_keys if key.sid != instance.sid]
    for other in ports.instances.load_many(others) if others else []:
        if isinstance(other, Unreadable) or other.strategy_sid != instance.strategy_sid:
            continue
        if not other.status.is_final:
            raise ReferenceTakenError(other.sid)


def _sid(ports: Ports, account: AccountId, request: StartInstance) -> InstanceSid:
    # A sid that is derived from the request makes a repeated request find its first instance.
    if request.order_id is not None:
        return order_sid(account, request.order_id)
    if request.repeatable is not None:
        return InstanceSid(sid_of_request(account, "instance", request.repeatable.key))
    return ports.ids.instance_sid()


def _audit(instance: Instance, by: Actor | None) -> AuditEntry | None:
    if by is None:
        return None
    states = (None, instance.status.value)
    return audit_entry(
        instance.account_id, instance.sid, "create", by=by, now=instance.created_at, states=states
    )


def _known(ports: Ports, sid: InstanceSid, request: Repeatable) -> AlreadyThere | None:
    instance = ports.instances.load(sid)
    if instance is None:
        return None
    if not request.has_hash(instance.origin.request_hash):
        raise KeyReusedError("the Idempotency-Key was used with another body")
    # The first request may have failed before it scheduled the wakeup.
    schedule_wakeup(ports, instance)
    return AlreadyThere(instance=instance)
