"""Command one instance in the request itself, without a stored operation. Source: docs/decisions/0026."""

from collections.abc import Callable

from shared.application.bulk.item_command import command_for
from shared.application.commit import ContentionError, execute
from shared.application.control import wake_runner
from shared.application.ports import Ports, UnknownStrategyError
from shared.domain.bulk.operation import BulkCommand, ItemOutcome, ItemResult, result_of
from shared.domain.errors import RitornelloError
from shared.domain.ids import OperationSid
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Refused

_NO_OPERATION = OperationSid("")


def command_one(
    ports: Ports, instance: Instance, command: BulkCommand, *, is_meant: Callable[[Instance], bool]
) -> ItemResult:
    """Command an instance that was just loaded and return the result. A runner is woken if something is left to run.

    ``is_meant`` is asked again for the instance as it is when the command is decided.
    """
    try:
        one = command_for(ports, command, instance)
        verdict = (
            one
            if isinstance(one, Refused)
            else execute(ports, instance.sid, one, known=instance, is_meant=is_meant)
        )
    except (RitornelloError, UnknownStrategyError, ContentionError) as error:
        why = f"{type(error).__name__}: {error}"
        return ItemResult(sid=instance.sid, outcome=ItemOutcome.FAILED, why=why)
    if verdict is not None:
        wake_runner(ports, verdict)
    return result_of(instance.sid, verdict, _NO_OPERATION)
