"""The operations on processes. Source: contracts/process.md C.1 to C.7; contracts/mapping.md D.1 and D.5."""

from http import HTTPStatus

from shared.api.process.call import Answer, Call
from shared.api.process.errors import invalid
from shared.api.process.plan import plan_of
from shared.api.process.render import SEEN, started_shape, status_shape
from shared.api.process.schemas import read_start
from shared.application.history import last_outcome
from shared.application.start import StartInstance, start_instance
from shared.domain.errors import InvalidInputError
from shared.domain.instance.phase import phase_of
from shared.domain.planning.start import attribute_problems
from shared.domain.strategy.model import Definition


def start_process(call: Call) -> Answer:
    """Start a process: now, at a date, or by a schedule.

    The latest version of the strategy of that name runs, with ``values`` as its attributes.
    Sent again it starts another one, unless it names itself by an ``Idempotency-Key``.
    """
    body = call.body()
    name, asked, problems = read_start(body)
    if name is None:
        raise invalid(problems)
    head = call.strategy(name)
    strategy = call.ports.strategies.load(head.sid, head.version)
    values = body.get("values")
    if isinstance(values, dict):
        problems += attribute_problems(strategy, values)
    if asked is None:
        raise invalid(problems)
    try:
        zone = asked.timezone or _usual_zone(call, strategy.definition)
        plan = plan_of(asked, zone, now=call.ports.clock.now())
    except InvalidInputError as error:
        raise invalid([*problems, *error.problems]) from error
    if problems:
        raise invalid(problems)
    new = StartInstance(
        strategy_id=head.name,
        attributes=asked.values,
        start_date=plan.start_date,
        end_date=plan.end_date,
        by=call.principal.key_id,
        schedule=plan.schedule,
        worker=asked.worker,
        repeatable=call.repeatable,
    )
    return HTTPStatus.OK, started_shape(start_instance(call.ports, strategy, new).instance)


def get_status(call: Call, robustaSpid: str) -> Answer:  # noqa: N803 - the wire's spelling
    """Where a process stands, with what its last run has put out.

    Outputs are the members whose name begins with ``__out_``; they are there with the status SUCCEEDED.
    """
    instance = call.instance(robustaSpid)
    phase = phase_of(instance, now=call.ports.clock.now())
    last = last_outcome(call.ports, instance) if SEEN[phase] is None else None
    return HTTPStatus.OK, status_shape(instance, phase, last)


def _usual_zone(call: Call, definition: Definition) -> str:
    return definition.timezone if definition.names_timezone else call.usual_zone
