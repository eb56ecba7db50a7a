"""Operations on strategies. Source: docs/contracts/core.md sections 1.1 and 5."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

from pydantic import BaseModel

from shared.api.core import answers
from shared.api.core.days import instant_in_strategy
from shared.api.core.errors import bad_request, not_found, problem_shape, warning_shape
from shared.api.core.moment_format import date_format
from shared.api.core.paging import Paging
from shared.api.core.render import strategy_shape, strategy_with_settings, version_shape
from shared.api.core.render_plan import simulation_shape
from shared.api.core.schemas import (
    CreateStrategy,
    PageQuery,
    SimulateExecution,
    UpdateStrategy,
)
from shared.api.http.models import M, read_any_json, read_as, read_json
from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.application.flags import pause_strategy, resume_strategy
from shared.application.ports import PageKey, UnknownStrategyError, page_key_of, page_key_text
from shared.application.strategies import (
    NewStrategy,
    NewVersion,
    create_strategy,
    delete_strategy,
    replace_settings,
)
from shared.domain.errors import InvalidInputError, Problem, Problems
from shared.domain.instance.zone import zone_or_utc
from shared.domain.planning.forecast import simulate
from shared.domain.planning.prospects import calendar_warnings
from shared.domain.strategy.model import Json, StrategyHead
from shared.domain.strategy.parse import read_definition, stored_definition
from shared.domain.strategy.parse_limits import unreadable
from shared.domain.strategy.save_warnings import warnings_of

_LATEST_VERSION = 99_999_999


class Validation(NamedTuple):
    """The problems of a definition, and the warnings if it has none."""

    problems: Sequence[Problem]
    warnings: Sequence[Problem]


def post_strategy(request: Request, body: CreateStrategy) -> Answer[answers.SavedStrategyShape]:
    """Create a strategy with version 1. Its name is unique within the account (S1)."""
    new = NewStrategy(
        account_id=request.principal.account_id,
        name=body.name,
        folder=body.folder,
        description=body.description,
        secret=body.secret,
        settings=body.settings,
        by=request.principal.name,
        repeatable=request.repeatable(),
    )
    environment = request.deployment.environment
    head, is_new = create_strategy(request.ports, request.hasher, new, environment=environment)
    return Answer(
        body=_saved(request, head, body.settings), status=HTTPStatus.CREATED if is_new else HTTPStatus.OK
    )


def validate_strategy(_: Request, body: Validation) -> Answer[answers.ValidationShape]:
    """Return all problems of a definition at once, or the warnings about a valid one; nothing is stored."""
    return Answer(
        body={
            "valid": not body.problems,
            "problems": [problem_shape(problem) for problem in body.problems],
            "warnings": [warning_shape(warning) for warning in body.warnings],
        }
    )


def list_strategies(request: Request, query: PageQuery) -> Answer[answers.StrategyPageShape]:
    """List the account's strategies, youngest first, without their settings."""
    paging = Paging(request, "strategies", query)
    before = paging.before(page_key_of)
    account = request.principal.account_id
    found = request.ports.strategies.of_account(account, before=before, limit=query.limit + 1)
    page = paging.page(
        found,
        shape=strategy_shape,
        key=lambda head: PageKey(created_at=head.created_at, sid=head.sid),
        text=page_key_text,
    )
    return Answer(body=page)


def get_strategy(request: Request, head: StrategyHead) -> Answer[answers.StrategyWithSettingsShape]:
    """Return a strategy with the settings of its latest version (S2)."""
    return Answer(
        body=strategy_with_settings(head, request.ports.strategies.settings(head.sid, head.version))
    )


def patch_strategy(
    request: Request, head: StrategyHead, body: UpdateStrategy
) -> Answer[answers.SavedStrategyShape]:
    """Create a version. Its settings replace the old ones whole; instances stay on their version (S3)."""
    new = NewVersion(settings=body.settings, description=body.description, secret=body.secret)
    after = replace_settings(
        request.ports, request.hasher, head, new, by=request.actor, environment=request.deployment.environment
    )
    return Answer(body=_saved(request, after, body.settings))


def delete_a_strategy(request: Request, head: StrategyHead) -> Answer[answers.StrategyShape]:
    """Delete a strategy that has no unfinished instances. Its name becomes free."""
    return Answer(body=strategy_shape(delete_strategy(request.ports, head, by=request.actor)))


def pause_a_strategy(request: Request, head: StrategyHead) -> Answer[answers.StrategyShape]:
    """Pause everything under a strategy: no events start; events that run are completed."""
    return Answer(body=strategy_shape(pause_strategy(request.ports, head, by=request.actor)))


def resume_a_strategy(request: Request, head: StrategyHead) -> Answer[answers.StrategyShape]:
    """Resume everything under a strategy: blocked events start, at a limited rate."""
    return Answer(body=strategy_shape(resume_strategy(request.ports, head, by=request.actor)))


def simulate_execution(
    request: Request, head: StrategyHead, body: SimulateExecution
) -> Answer[answers.SimulationShape]:
    """Return the first cycles of a fictitious instance of the latest version; nothing is stored (S4)."""
    strategy = request.ports.strategies.load(head.sid, head.version)
    start = instant_in_strategy(strategy, body.attributes, body.startDate, pointer="/startDate")
    start = start or request.now
    # Attributes without a zone are refused by the simulation.
    zone, _ = zone_or_utc(strategy.definition, body.attributes)
    shown = date_format(body.dateFormat, zone)
    found = simulate(strategy, start_date=start, cycles=body.cycles, attributes=body.attributes)
    return Answer(body=simulation_shape(strategy, found, start, shown, zone=zone.key))


def list_versions(request: Request, head: StrategyHead, query: PageQuery) -> Answer[answers.VersionPageShape]:
    """List the versions of a strategy, latest first, without their settings."""
    paging = Paging(request, f"versions of {head.sid}", query)
    before = paging.before(int)
    # One more than the limit shows whether there is a next page.
    found = request.ports.strategies.versions(head.sid, before=before, limit=query.limit + 1)
    page = paging.page(
        found,
        shape=lambda version: version_shape(head, version),
        key=lambda version: version.version,
        text=str,
    )
    return Answer(body=page)


def get_version(request: Request, head: StrategyHead, version: str) -> Answer[answers.VersionShape]:
    """Return a version of a strategy with its settings."""
    # The slice keeps int() from parsing a text of any length.
    if not (version.isascii() and version.isdigit() and 1 <= int(version[:9]) <= _LATEST_VERSION):
        raise not_found("version")
    try:
        saved = request.ports.strategies.settings(head.sid, int(version))
    except UnknownStrategyError as error:
        raise not_found("version") from error
    return Answer(body={**version_shape(head, saved.version), "settings": dict(saved.plain)})


def read_with_settings(request: Request, model: type[M]) -> M:
    """Return the body, or raise with its problems and those of the settings in it.

    If the body is valid, the use case checks the settings.
    Raises: CoreError (400).
    """
    value = read_json(request)
    body, problems = read_as(model, value)
    if body is None:
        raise bad_request((*problems, *_settings_problems(request, value)))
    return body


def read_all_problems(request: Request, model: type[BaseModel]) -> Validation:
    """Return the problems of a definition, or its warnings. Raises: CoreError (400): if the body is not an object."""
    value = read_any_json(request)
    if not isinstance(value, dict):
        raise bad_request([Problem(pointer="", rule="type", message="must be a JSON object")])
    # Values that cannot be stored are problems of the definition like others, and hide the others.
    unsound = unreadable(value, "")
    if unsound:
        return Validation(unsound, ())
    _, problems = read_as(model, value)
    found = Problems((*problems, *_settings_problems(request, value))).reported()
    return Validation(found, () if found else _warnings(request, value["settings"]))


def _saved(request: Request, head: StrategyHead, settings: Mapping[str, Json]) -> answers.SavedStrategyShape:
    found = _warnings(request, settings)
    return {**strategy_shape(head), "warnings": [warning_shape(warning) for warning in found]}


def _warnings(request: Request, settings: Mapping[str, Json]) -> Sequence[Problem]:
    """Return the warnings about settings that were checked."""
    definition = stored_definition(settings)
    about_dates = calendar_warnings(
        definition, environment=request.deployment.environment, now=request.now, pointer="/settings"
    )
    return warnings_of(definition, pointer="/settings", more=about_dates)


def _settings_problems(request: Request, value: Json) -> Sequence[Problem]:
    settings = value.get("settings") if isinstance(value, dict) else None
    # The model reports settings that are not an object.
    if not isinstance(settings, dict):
        return ()
    try:
        read_definition(
            settings,
            environment=request.deployment.environment,
            pointer="/settings",
            now=request.now,
            controllers=request.ports.controllers.names,
        )
    except InvalidInputError as error:
        return error.problems
    return ()
