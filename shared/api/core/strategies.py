"""The operations on strategies. Source: contracts/core.md sections 1.1 and 5."""

from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel

from shared.api.core.call import Answer, Call
from shared.api.core.errors import bad_request, not_found, problem_shape
from shared.api.core.moment_format import date_format
from shared.api.core.paging import Paging
from shared.api.core.render import simulation_shape, strategy_shape, strategy_with_settings, version_shape
from shared.api.core.schemas import (
    CreateStrategy,
    PageQuery,
    SimulateExecution,
    UpdateStrategy,
    ValidateStrategy,
)
from shared.api.http.cursor import listed_of, listed_text
from shared.api.http.models import read_as
from shared.application.flags import pause_strategy, resume_strategy
from shared.application.ports import Listed, UnknownStrategyError
from shared.application.strategies import (
    NewStrategy,
    NewVersion,
    create_strategy,
    delete_strategy,
    replace_settings,
)
from shared.domain.errors import InvalidInputError, Problem
from shared.domain.planning.forecast import simulate
from shared.domain.strategy.parse import read_definition

B = TypeVar("B", bound=BaseModel)

_LATEST_VERSION = 99_999_999


def post_strategy(call: Call) -> Answer:
    """Create a strategy, version 1; the name is unique within the account (S1)."""
    body = _body_with_settings(call, CreateStrategy)
    new = NewStrategy(
        account_id=call.principal.account_id,
        name=body.name,
        folder=body.folder,
        description=body.description,
        secret=body.secret,
        settings=body.settings,
        by=call.actor.name,
        repeatable=call.repeatable,
    )
    head, is_new = create_strategy(call.ports, call.gate.hasher, new, environment=call.deployment.environment)
    return HTTPStatus.CREATED if is_new else HTTPStatus.OK, strategy_shape(head)


def validate_strategy(call: Call) -> Answer:
    """All problems of a definition at once; nothing is stored."""
    if not isinstance(call.json(), dict):
        raise bad_request([Problem(pointer="", rule="type", message="must be a JSON object")])
    _, problems = _read(call, ValidateStrategy)
    return HTTPStatus.OK, {"valid": not problems, "problems": [problem_shape(one) for one in problems]}


def list_strategies(call: Call) -> Answer:
    """The account's strategies, youngest first, without their settings."""
    asked = call.asked(PageQuery)
    paging = Paging(call, "strategies", asked)
    before = paging.before(listed_of)
    account = call.principal.account_id
    found = call.ports.strategies.of_account(account, before=before, limit=asked.limit + 1)
    places = [listed_text(Listed(created_at=head.created_at, sid=head.sid)) for head in found]
    return HTTPStatus.OK, paging.page([strategy_shape(head) for head in found], places)


def get_strategy(call: Call, sid: str) -> Answer:
    """A strategy with the settings of its latest version (S2)."""
    head = call.gate.strategy(call.principal, sid)
    return HTTPStatus.OK, strategy_with_settings(head, call.ports.strategies.settings(head.sid, head.version))


def patch_strategy(call: Call, sid: str) -> Answer:
    """A further version with settings that replace the old ones whole; instances stay on theirs (S3)."""
    head = call.gate.strategy(call.principal, sid)
    body = _body_with_settings(call, UpdateStrategy)
    new = NewVersion(settings=body.settings, description=body.description, secret=body.secret)
    after = replace_settings(
        call.ports, call.gate.hasher, head, new, by=call.actor, environment=call.deployment.environment
    )
    return HTTPStatus.OK, strategy_shape(after)


def delete_a_strategy(call: Call, sid: str) -> Answer:
    """Delete a strategy that has no unfinished instances; its name is free again."""
    head = call.gate.strategy(call.principal, sid, deleted=True)
    return HTTPStatus.OK, strategy_shape(delete_strategy(call.ports, head, by=call.actor))


def pause_a_strategy(call: Call, sid: str) -> Answer:
    """Everything under it waits: nothing new starts, what runs ends."""
    head = call.gate.strategy(call.principal, sid)
    return HTTPStatus.OK, strategy_shape(pause_strategy(call.ports, head, by=call.actor))


def resume_a_strategy(call: Call, sid: str) -> Answer:
    """Everything under it goes on; what was held starts, at a set pace."""
    head = call.gate.strategy(call.principal, sid)
    return HTTPStatus.OK, strategy_shape(resume_strategy(call.ports, head, by=call.actor))


def simulate_execution(call: Call, sid: str) -> Answer:
    """The first cycles of a fictitious instance of the latest version; nothing is stored (S4)."""
    head = call.gate.strategy(call.principal, sid)
    body = call.body(SimulateExecution)
    strategy = call.ports.strategies.load(head.sid, head.version)
    start = body.startDate or call.ports.clock.now()
    shown = date_format(body.dateFormat, strategy.definition.zone)
    found = simulate(strategy, start_date=start, cycles=body.cycles, attributes=body.attributes)
    return HTTPStatus.OK, simulation_shape(strategy, found, start, shown)


def list_versions(call: Call, sid: str) -> Answer:
    """The versions of a strategy, latest first, without their settings."""
    head = call.gate.strategy(call.principal, sid)
    asked = call.asked(PageQuery)
    paging = Paging(call, f"versions of {head.sid}", asked)
    before = paging.before(int)
    found = call.ports.strategies.versions(head.sid, before=before, limit=asked.limit + 1)
    places = [str(version.version) for version in found]
    return HTTPStatus.OK, paging.page([version_shape(head, version) for version in found], places)


def get_version(call: Call, sid: str, version: str) -> Answer:
    """A strategy as it was in one version, settings included."""
    head = call.gate.strategy(call.principal, sid)
    if not (version.isascii() and version.isdigit() and 1 <= int(version[:9]) <= _LATEST_VERSION):
        raise not_found("version")
    try:
        saved = call.ports.strategies.settings(head.sid, int(version))
    except UnknownStrategyError as error:
        raise not_found("version") from error
    return HTTPStatus.OK, {**version_shape(head, saved.version), "settings": dict(saved.plain)}


def _body_with_settings(call: Call, model: type[B]) -> B:
    """The body; its own problems and those of the settings in it together: else 400.

    A body without problems of its own leaves its settings to the use-case, which checks them in any case.
    """
    body, problems = _read(call, model, settings_too=False)
    if body is None:
        raise bad_request(problems)
    return body


def _read(call: Call, model: type[B], *, settings_too: bool = True) -> tuple[B | None, list[Problem]]:
    value = call.json()
    body, problems = read_as(model, value)
    settings = value.get("settings") if isinstance(value, dict) else None
    if isinstance(settings, dict) and (settings_too or body is None):
        problems += _problems_of(settings, call)
    return body, problems


def _problems_of(settings: dict[str, Any], call: Call) -> tuple[Problem, ...]:
    environment, now = call.deployment.environment, call.ports.clock.now()
    try:
        read_definition(
            settings,
            environment=environment,
            pointer="/settings",
            now=now,
            controllers=call.ports.controllers.names,
        )
    except InvalidInputError as error:
        return error.problems
    return ()
