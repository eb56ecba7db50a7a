"""Operators of a town: they command instances, flags and bulk operations, and repeat until they are answered."""

from collections.abc import Callable
from functools import partial

from shared.application.bulk.start import BulkRequest, OperationOverError, begin_bulk, command_operation
from shared.application.commit import ContentionError
from shared.application.control import control, control_event
from shared.application.flags import pause_queue, pause_strategy, resume_queue, resume_strategy
from shared.application.ports import StaleRevError, UnavailableError, UnknownStrategyError
from shared.application.retry_event import RetryEvent, retry_event
from shared.application.start import Repeatable
from shared.domain.bulk.operation import BulkCommand, BulkStatus, OperationCommand
from shared.domain.bulk.selection import OfStrategy
from shared.domain.errors import RitornelloError
from shared.domain.ids import InstanceSid, OperationSid, StrategySid
from shared.domain.instance.event import EventStatus, PausedFor, Resolution
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.reason import Cause
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, CancelEvent, CancelTasks, Command, Pause, Resolve, Resume
from shared.domain.strategy.model import OnResume
from tests.simulation.town import ACCOUNT, Town

ANN, BEN = Actor(name="ann"), Actor(name="ben")
TRIES = 4
MAX_BULKS = 3
"""An instance remembers the last four operations, so that each of these changes it once."""


def ask(there: Town, name: str, request: Callable[[], object]) -> None:
    """Send a request, and again at once if it has no answer. Other answers than success are accepted."""

    def client() -> None:
        for _ in range(TRIES):
            try:
                request()
            except (UnavailableError, ContentionError, StaleRevError):
                there.world.sleep(0.5)
            except (RitornelloError, UnknownStrategyError):
                return  # it concerns an instance that cannot be read, or an operation that is over
            else:
                return

    there.world.do(name, client)


def resume_poisoned(there: Town) -> None:
    """Resume the instances that crashed five runners in a row. With many crashes that has to happen."""
    for sid, instance in there.world.store.instances.items():
        stop = instance.stop
        if stop is not None and stop.reason.cause is Cause.POISONED:
            command(there, sid, Resume(by=BEN))


def govern(there: Town) -> None:
    """Execute one random command."""
    rng, world = there.rng, there.world
    busy = [sid for sid, instance in world.store.instances.items() if instance.lease is not None]
    sids = busy if busy and rng.random() < 0.7 else list(world.store.instances)
    match rng.randint(0, 13):
        case 0 | 1 | 2:
            command(there, rng.choice(sids), Pause(by=ANN, kill=rng.random() < 0.2))
        case 3 | 4:
            command(there, rng.choice(sids), Resume(by=ANN, on_late=rng.choice([None, *OnResume])))
        case 5 if rng.random() < 0.3:
            command(there, rng.choice(sids), Cancel(by=ANN, kill=rng.random() < 0.3))
        case 6:
            ask(there, "pause queue", partial(pause_queue, world, ACCOUNT, by=ANN))
        case 7:
            set_strategy(there, paused=rng.random() < 0.5)
        case 8:
            ask(there, "resume queue", partial(resume_queue, world, ACCOUNT, by=ANN))
        case 9:
            _blink(there)
        case 10 | 11:
            _decide_about_an_event(there, rng.choice(sids))
        case _:
            bulk(there)


def _blink(there: Town) -> None:
    """Pause the queue or a strategy, and resume it within seconds."""
    world, rng = there.world, there.rng
    sid = rng.choice(list(world.flags.heads))
    is_queue = rng.random() < 0.5
    for paused in (True, False):
        if is_queue:
            flag = pause_queue if paused else resume_queue
            ask(there, f"{flag.__name__}", partial(flag, world, ACCOUNT, by=ANN))
        else:
            set_strategy(there, paused=paused, sid=sid)
        there.settle(seconds=rng.choice([0.1, 1, 4]))


def command(there: Town, sid: InstanceSid, command: Command) -> None:
    """Command one instance."""
    ask(there, type(command).__name__, partial(control, there.world, sid, command))


def set_strategy(there: Town, *, paused: bool, sid: StrategySid | None = None) -> None:
    """Pause or resume a strategy, or a random one."""
    sid = sid or there.rng.choice(list(there.world.flags.heads))

    def request() -> None:
        head = there.world.strategies.head(sid)
        assert head is not None
        (pause_strategy if paused else resume_strategy)(there.world, head, by=ANN)

    ask(there, "pause strategy" if paused else "resume strategy", request)


def bulk(there: Town) -> None:
    """Begin a bulk operation on a strategy, or command one."""
    operations, rng = there.world.flags.access.operations.bulks, there.rng
    if len(operations) < MAX_BULKS:
        commands: list[BulkCommand] = [Pause(by=BEN), Resume(by=BEN), CancelTasks(tasks=("order",), by=BEN)]
        begin(there, rng.choice(commands))
    else:
        sid = rng.choice(list(operations))
        order = rng.choice([OperationCommand.PAUSE, OperationCommand.RESUME, OperationCommand.RESUME])
        command_bulk(there, sid, order)


def begin(there: Town, one: BulkCommand, strategy: StrategySid | None = None) -> None:
    """Begin a bulk operation on a strategy, or a random one."""
    strategy = strategy or there.rng.choice(list(there.world.flags.heads))
    number = there.rng.random()
    request = BulkRequest(
        account=ACCOUNT,
        selection=OfStrategy(strategy=strategy),
        command=one,
        repeatable=Repeatable(key=f"bulk {number}", body_hash="b"),
    )
    ask(there, f"begin {number}", partial(begin_bulk, there.world, request))


def command_bulk(there: Town, sid: OperationSid, order: OperationCommand) -> None:
    """Pause, resume or cancel a bulk operation."""

    def request() -> None:
        operation = there.world.flags.access.operations.bulks[sid]
        try:
            command_operation(there.world, operation, order, by=BEN)
        except OperationOverError:
            return

    ask(there, f"{order.value} operation", request)


def _decide_about_an_event(there: Town, sid: InstanceSid) -> None:
    rng, world = there.rng, there.world
    instance = world.store.instances[sid]
    events = [event.seq for event in instance.events]
    failed = [
        record.event.seq
        for (owner, _), record in world.store.records.items()
        if owner == sid and record.event.status is EventStatus.FAILED
    ]
    if failed or rng.random() < 0.5:
        redrive = RetryEvent(sid=sid, seq=rng.choice([*failed, *events, 1]), by=ANN)
        ask(there, "retry", partial(retry_event, world, redrive))
    elif events and rng.random() < 0.2:
        cancel = CancelEvent(seq=rng.choice(events), by=ANN)
        ask(there, "cancel event", partial(control_event, world, sid, cancel))
    resolve_doubts(there, sid)


def resolve_doubts(there: Town, sid: InstanceSid, resolution: Resolution | None = None) -> None:
    """Decide calls in doubt."""
    for event in there.world.store.instances[sid].events:
        if event.paused_for is PausedFor.IN_DOUBT:
            what = resolution or there.rng.choice(list(Resolution))
            command(there, sid, Resolve(seq=event.seq, resolution=what, by=ANN))


def pacify(there: Town) -> None:
    """End all faults, lower all flags, finish all operations and resume all instances that are paused."""
    world = there.world
    world.faults.until = 0
    world.brown_out = None
    for function in (world.runner, world.bulk_runner):
        if function is not None:
            function.drops = 0
    there.settle(minutes=20)
    ask(there, "resume queue", partial(resume_queue, world, ACCOUNT, by=ANN))
    for strategy in list(world.flags.heads):
        set_strategy(there, paused=False, sid=strategy)
    for operation in list(world.flags.access.operations.bulks.values()):
        if operation.status is BulkStatus.PAUSED:
            command_bulk(there, operation.sid, OperationCommand.RESUME)
    there.settle(hours=4)
    for _ in range(3):
        for sid in world.store.instances:
            resolve_doubts(there, sid, Resolution.RETRY)
        there.settle(minutes=30)
        for sid, instance in list(world.store.instances.items()):
            if instance.status is InstanceStatus.PAUSED:
                command(there, sid, Resume(by=ANN))
        there.settle(hours=4)
