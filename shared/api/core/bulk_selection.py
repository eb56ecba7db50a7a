"""The selections of bulk operations, with the rights that they need. Source: docs/contracts/core.md section 5."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import assert_never

from shared.api.core.authorizer import Authorizer
from shared.api.core.bulk_schemas import (
    Selected,
    SelectFolder,
    SelectFound,
    SelectIds,
    SelectStrategy,
)
from shared.api.core.errors import CoreError
from shared.api.core.instance_filter import InstanceFilter, combination_problem, list_of
from shared.api.http.request import Request
from shared.application.bulk.select import MAX_LOADED, load_readable
from shared.application.list_instances import (
    ByAccount,
    ByAttribute,
    ByFolder,
    ByPhase,
    ByReference,
    ByStrategy,
)
from shared.domain.access import Role
from shared.domain.bulk.selection import (
    Filter,
    OfAttribute,
    OfFolder,
    OfIds,
    OfPhases,
    OfReference,
    OfStrategy,
    Selection,
)
from shared.domain.errors import InvalidInputError, Problem
from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.model import UNFINISHED, InstanceStatus
from shared.domain.instance.phase import Phase


def selection_of(request: Request, selected: Selected) -> Selection:
    """Return the selection.

    A strategy needs its secret. Instances by id need the secrets of all their strategies, unless the caller is an
    administrator. A folder, and instances of all strategies, need an administrator.
    Raises: CoreError: 404 or 403 if the caller may not command the selection. InvalidInputError: no index serves it.
    """
    is_admin = request.principal.role is Role.ADMIN
    match selected:
        case SelectIds(ids=ids):
            # A repeated id would be commanded twice.
            named = tuple(InstanceSid(sid) for sid in dict.fromkeys(ids))
            if not is_admin:
                _check_secrets(request, named)
            return OfIds(ids=named)
        case SelectFolder() as select:
            if not is_admin:
                why = "a folder needs the role admin, because its strategies have different secrets"
                raise CoreError(HTTPStatus.FORBIDDEN, why)
            return OfFolder(
                folder=select.folder,
                statuses=_statuses(select),
                created_from=select.createdFrom,
                created_to=select.createdTo,
                instance_filter=_phase_filter(select),
            )
        case SelectStrategy() as select:
            return _of_strategy(select, Authorizer(request).strategy_named(select.strategyId).sid)
        case SelectFound() as select:
            if not is_admin:
                why = "instances of all strategies need the role admin, because strategies have different secrets"
                raise CoreError(HTTPStatus.FORBIDDEN, why)
            return _found(select)
        case _:
            assert_never(selected)


def _check_secrets(request: Request, named: Sequence[InstanceSid]) -> None:
    """Check that the Strategy-Secret matches the strategies of all these instances of the account.

    Raises: CoreError (403): if one does not match.
    """
    authorizer = Authorizer(request)
    opened: set[StrategySid] = set()
    for start in range(0, len(named), MAX_LOADED):
        # Ids of other accounts are reported as unknown by the operation, so they need no secret.
        for instance in load_readable(request.ports, named[start : start + MAX_LOADED]).values():
            if instance.account_id != request.principal.account_id or instance.strategy_sid in opened:
                continue
            if not authorizer.knows_secret_of(instance):
                why = f"the header Strategy-Secret does not match the strategy of {instance.sid}"
                raise CoreError(HTTPStatus.FORBIDDEN, why)
            opened.add(instance.strategy_sid)


def _of_strategy(select: SelectStrategy, strategy: StrategySid) -> Selection:
    """Return the selection of a strategy's instances. Raises: InvalidInputError."""
    if select.reason is None and select.stoppedBy is None:
        return OfStrategy(
            strategy=strategy,
            version=select.version,
            statuses=_statuses(select),
            created_from=select.createdFrom,
            created_to=select.createdTo,
            instance_filter=_phase_filter(select),
        )
    beside = ("version", "statuses", "createdFrom", "createdTo")
    pointer = next((f"/selection/{name}" for name in beside if getattr(select, name) is not None), None)
    if pointer is not None:
        raise combination_problem(pointer)
    return _by_list(
        InstanceFilter(
            strategy=strategy,
            phase=_phase(select.phase),
            reason=select.reason,
            stopped_by=select.stoppedBy,
        )
    )


def _found(select: SelectFound) -> Selection:
    """Return the selection of instances of all strategies. Raises: InvalidInputError."""
    return _by_list(
        InstanceFilter(
            phase=_phase(select.phase),
            reason=select.reason,
            stopped_by=select.stoppedBy,
            reference=select.reference,
            attribute=None if select.attribute is None else next(iter(select.attribute.items())),
        )
    )


def _by_list(criteria: InstanceFilter) -> Selection:
    """Return the selection of the instances that a list with the same filters shows. Raises: InvalidInputError."""
    which = list_of(criteria, below="/selection")
    match which:
        case ByReference(reference=reference):
            return OfReference(reference=reference)
        case ByAttribute(name=name, text=text):
            return OfAttribute(name=name, text=text)
        case ByPhase(ranges=ranges):
            return OfPhases(ranges=tuple(ranges))
        case ByAccount() | ByStrategy() | ByFolder():
            # Members that are null select nothing, and everything must be selected on purpose: by the folder "/".
            why = "must have a value in one of phase, reason, stoppedBy, reference and attribute"
            raise InvalidInputError((Problem(pointer="/selection", rule="required", message=why),))
        case _:
            assert_never(which)


def _phase(phase: str | None) -> Phase | None:
    return None if phase is None else Phase(phase)


def _phase_filter(select: SelectStrategy | SelectFolder) -> Filter | None:
    return None if select.phase is None else Filter(phases=(Phase(select.phase),))


def _statuses(select: SelectStrategy | SelectFolder) -> tuple[InstanceStatus, ...]:
    """Return the statuses of a selection. Raises: InvalidInputError: it has a phase as well."""
    if select.phase is not None and select.statuses is not None:
        raise combination_problem("/selection/statuses")
    if select.phase is not None:
        return (Phase(select.phase).status,)
    statuses = select.statuses
    return UNFINISHED if statuses is None else tuple(map(InstanceStatus, dict.fromkeys(statuses)))
