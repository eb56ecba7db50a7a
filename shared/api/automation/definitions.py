"""Operations on workflow definitions. Source: docs/contracts/automation.md, A.1 rows 1 to 5."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any

from msgspec.structs import replace

from shared.api.automation.answers import DefinitionShape, DefinitionsShape
from shared.api.automation.documents import Document, Status, engine_problems, labels_of
from shared.api.automation.errors import not_found
from shared.api.automation.named import own_definition
from shared.api.automation.render import definition_shape, page
from shared.api.automation.schemas import PageQuery, VersionQuery
from shared.api.automation.versions import (
    FOLDER,
    is_definition,
    latest_version,
    versions_deleted,
    with_versions_deleted,
)
from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.api.http.unreadable import UnreadableItems
from shared.application.commit import MAX_RACES, ContentionError
from shared.application.ports import PageKey, UnknownStrategyError, Unreadable
from shared.application.retire_strategy import retire_strategy, retire_version
from shared.application.strategies import (
    ChangedMeanwhileError,
    NewStrategy,
    NewVersion,
    create_strategy,
    replace_settings,
)
from shared.domain.errors import InvalidInputError, RitornelloError
from shared.domain.ids import sid_of_request
from shared.domain.instance.verdict import Actor
from shared.domain.strategy.model import StrategyHead

_TOGETHER = 100


def list_definitions(request: Request, query: PageQuery) -> Answer[DefinitionsShape]:
    """List the definitions whose latest version is enabled, youngest first."""
    unreadable = UnreadableItems()
    heads = unreadable.skip_unreadable(definitions_of(request))
    enabled = (head for head in heads if head.labels.get("status") == Status.ENABLED)
    shown = islice(enabled, query.offset, query.offset + query.limit)
    definitions = (_readable_shape(request, head, latest_version(head)) for head in shown)
    shapes = page(list(unreadable.skip_unreadable(definitions)))
    return Answer(body=shapes, headers=unreadable.headers())


def post_definition(request: Request, body: Document) -> Answer[DefinitionShape]:
    """Create a definition with version 1."""
    repeatable = request.repeatable("definition")
    account = request.principal.account_id
    definition_id = (
        str(request.ports.ids.instance_sid())
        if repeatable is None
        else sid_of_request(account, "definition", repeatable.key)
    )
    # The strategy's sid is derived from the definition's id, so that the id leads to it even after its deletion.
    known_by = (
        request.repeatable_as(definition_id, "definition")
        if repeatable is None
        else replace(repeatable, key=definition_id)
    )
    new = NewStrategy(
        account_id=account,
        name=definition_id,
        folder=FOLDER,
        description=body.name,
        settings=body.settings,
        source=body.source,
        labels=body.labels,
        by=request.actor.name,
        repeatable=known_by,
    )
    try:
        head, _ = create_strategy(
            request.ports, request.hasher, new, environment=request.deployment.environment
        )
    except InvalidInputError as error:
        raise engine_problems(error, body.settings) from error
    return Answer(status=HTTPStatus.CREATED, body=_shape(request, head, 1))


def get_definition(request: Request, definition_id: str, query: PageQuery) -> Answer[DefinitionsShape]:
    """List the versions of a definition, latest first. The list is empty if the definition does not exist."""
    head = _own(request, definition_id)
    if head is None:
        return Answer(body=[])
    shown = islice(_versions(request, head), query.offset, query.offset + query.limit)
    unreadable = UnreadableItems()
    versions = (_readable_shape(request, head, version) for version in shown)
    shapes = page(list(unreadable.skip_unreadable(versions)))
    return Answer(body=shapes, headers=unreadable.headers())


def put_definition(request: Request, definition_id: str, body: Document) -> Answer[DefinitionShape]:
    """Create a version of a definition. Workflows that run stay on their version."""
    for _ in range(MAX_RACES):
        head = _own(request, definition_id)
        if head is None:
            raise not_found(f"Definition {definition_id}")
        try:
            after = _replaced(request, head, body)
        except ChangedMeanwhileError:
            continue  # a concurrent request has saved a version; this one must come after it
        return Answer(body=_shape(request, after, after.version))
    raise ContentionError(f"definition {definition_id} changed {MAX_RACES} times under one request")


def delete_definition(request: Request, definition_id: str, query: VersionQuery) -> Answer[None]:
    """Delete a definition or one version of it, and terminate its workflows; if there are many, in the background."""
    version, actor = query.version, request.actor
    head = own_definition(request, definition_id)
    if head is None:
        raise not_found(f"Definition {definition_id}")
    gone = versions_deleted(head)
    if head.deleted_at is not None or (version is not None and version in gone):
        # An earlier deletion may have been cut off before it terminated all workflows.
        _retire(
            request, head, version if head.deleted_at is None else None, actor=actor
        )  # it may have been cut off
        raise not_found(f"Definition {definition_id}")
    if version is not None and version > head.version:
        raise not_found(f"Definition {definition_id} version {version}")
    # A definition without versions is deleted as a whole.
    is_last = version is not None and len(gone) + 1 == head.version
    _retire(request, head, None if is_last else version, actor=actor)
    return Answer(body=None, status=HTTPStatus.ACCEPTED)


def definitions_of(request: Request) -> Iterator[StrategyHead | Unreadable[str]]:
    """Yield the definitions of the caller's account, youngest first, and the strategies that cannot be read."""
    before: PageKey | None = None
    account = request.principal.account_id
    while heads := request.ports.strategies.of_account(account, before=before, limit=_TOGETHER):
        for head in heads:
            if isinstance(head, Unreadable):
                yield Unreadable(key=head.key.sid, why=head.why)
            elif is_definition(head):
                yield head
        last = heads[-1]
        before = (
            last.key if isinstance(last, Unreadable) else PageKey(created_at=last.created_at, sid=last.sid)
        )


def _own(request: Request, definition_id: str) -> StrategyHead | None:
    head = own_definition(request, definition_id)
    return None if head is None or head.deleted_at is not None else head


def _retire(request: Request, head: StrategyHead, version: int | None, *, actor: Actor) -> None:
    if version is None:
        retire_strategy(request.ports, head, by=actor)
        return
    gone = versions_deleted(head) | {version}
    # The labels must describe the latest version that is left, because triggers read only them.
    latest = next(number for number in range(head.version, 0, -1) if number not in gone)
    labels = with_versions_deleted(labels_of(_source(request, head, latest)), gone)
    retire_version(request.ports, head, version, labels=labels, by=actor)


def _replaced(request: Request, head: StrategyHead, document: Document) -> StrategyHead:
    labels = with_versions_deleted(document.labels, versions_deleted(head))
    new = NewVersion(
        settings=document.settings, description=document.name, source=document.source, labels=labels
    )
    try:
        return replace_settings(
            request.ports,
            request.hasher,
            head,
            new,
            by=request.actor,
            environment=request.deployment.environment,
        )
    except InvalidInputError as error:
        raise engine_problems(error, document.settings) from error


def _versions(request: Request, head: StrategyHead) -> Iterator[int]:
    gone, before = versions_deleted(head), None
    while some := request.ports.strategies.versions(head.sid, before=before, limit=_TOGETHER):
        versions = [item.key if isinstance(item, Unreadable) else item.version for item in some]
        yield from (version for version in versions if version not in gone)
        before = versions[-1]


def _shape(request: Request, head: StrategyHead, version: int) -> DefinitionShape:
    return definition_shape(head, version, _source(request, head, version))


def _readable_shape(request: Request, head: StrategyHead, version: int) -> DefinitionShape | Unreadable[str]:
    """Return a definition, or its id with the version if its settings cannot be read."""
    try:
        return _shape(request, head, version)
    except (RitornelloError, UnknownStrategyError) as error:
        return Unreadable(key=f"{head.sid} version {version}", why=f"{type(error).__name__}: {error}")


def _source(request: Request, head: StrategyHead, version: int) -> Mapping[str, Any]:
    source: Mapping[str, Any] = request.ports.strategies.settings(head.sid, version).source
    return source
