"""Golden strategies: heads, versions with encrypted settings, and reserved names and references."""

from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from shared.application.ports import PageKey, Reservation, ReservedError
from shared.domain.ids import InstanceSid
from shared.domain.instance.verdict import AuditEntry
from shared.domain.strategy.flag import FlagPause
from shared.domain.strategy.model import Json, StrategyHead, StrategyVersion
from tests.engines import Stores
from tests.golden.golden import ACCOUNT, SID, STRATEGY, Golden, at, under_kms
from tests.golden.instances import REFERENCED
from tests.golden.settings import FULL, MINIMAL, SPARSE

HEAD = StrategyHead(
    sid=STRATEGY, account_id=ACCOUNT, name="gym-membership", version=1, created_at=at(1), updated_at=at(1)
)
"""The head of a new strategy, with every optional member absent."""

FULL_HEAD = StrategyHead(
    sid=STRATEGY,
    account_id=ACCOUNT,
    name="gym membership #1",
    version=1,
    created_at=at(1),
    updated_at=at(2),
    folder="/de/#gyms",
    description="Monthly, in €",
    is_paused=True,
    secret_hash="5ec2e7",
    created_by="key-9",
    request_hash="b0d4",
    labels={"trigger": "http_request", "status": "enabled"},
)

PAUSED_HEAD = replace(FULL_HEAD, pauses=(FlagPause(since=at(1), until=at(2)), FlagPause(since=at(3))))
"""A head whose flag has been paused before, and is paused now."""

AUDIT = AuditEntry(account_id=ACCOUNT, target=STRATEGY, at=at(2), by="key-1", command="update")


class Kept(Struct, frozen=True, kw_only=True):
    """A strategy as the store returns it."""

    head: StrategyHead | None
    named: StrategyHead | None
    in_lists: tuple[object, ...]
    in_folder: tuple[str, ...]
    versions: tuple[object, ...]
    settings: Mapping[int, tuple[Mapping[str, Json], Json]]


def kept(stores: Stores, head: StrategyHead) -> Kept:
    """Return everything that the store has about a strategy."""
    strategies = stores.strategies
    saved = {version: strategies.settings(head.sid, version) for version in range(1, head.version + 1)}
    return Kept(
        head=strategies.head(head.sid),
        named=strategies.named(ACCOUNT, head.name),
        in_lists=tuple(strategies.of_account(ACCOUNT, before=None, limit=9)),
        in_folder=tuple(
            entry.folder_name for entry in strategies.in_folder(ACCOUNT, head.folder, after="", limit=9)
        ),
        versions=tuple(strategies.versions(head.sid, before=None, limit=9)),
        settings={version: (found.plain, found.source) for version, found in saved.items()},
    )


def _version(head: StrategyHead, *, by: str | None) -> StrategyVersion:
    return StrategyVersion(
        sid=head.sid,
        version=head.version,
        description=head.description,
        created_at=head.updated_at,
        created_by=by,
    )


def _golden(
    name: str, value: Kept, write: Callable[[Stores], None], head: StrategyHead, *, kms: bool = False
) -> Golden:
    if kms:
        return Golden(
            name=f"strategies/{name}",
            value=value,
            write=lambda stores: write(under_kms(stores)),
            read=lambda stores: kept(under_kms(stores), head),
        )
    return Golden(name=f"strategies/{name}", value=value, write=write, read=lambda stores: kept(stores, head))


def _new(
    name: str, head: StrategyHead, settings: Mapping[str, Json], *, source: Json = None, kms: bool = False
) -> Golden:
    value = Kept(
        head=head,
        named=head,
        in_lists=(head,),
        in_folder=(f"{head.folder}#{head.name}",),
        versions=(_version(head, by=head.created_by),),
        settings={1: (settings, source)},
    )
    return _golden(
        name, value, lambda stores: stores.strategies.create(head, settings, source=source), head, kms=kms
    )


def _second_version() -> Golden:
    second = replace(HEAD, version=2, updated_at=at(2), description="the second")

    def write(stores: Stores) -> None:
        stores.strategies.create(HEAD, MINIMAL)
        stores.strategies.replace(second, FULL, before=HEAD, audit=AUDIT)

    value = Kept(
        head=second,
        named=second,
        in_lists=(second,),
        in_folder=("/#gym-membership",),
        versions=(_version(second, by="key-1"), _version(HEAD, by=None)),
        settings={1: (MINIMAL, None), 2: (FULL, None)},
    )
    return _golden("second-version", value, write, second)


def _deleted() -> Golden:
    deleted = replace(HEAD, deleted_at=at(9))

    def write(stores: Stores) -> None:
        stores.strategies.create(HEAD, MINIMAL)
        stores.strategies.delete(deleted, before=HEAD, audit=AUDIT)

    value = Kept(
        head=deleted,
        named=None,
        in_lists=(),
        in_folder=(),
        versions=(_version(HEAD, by=None),),
        settings={1: (MINIMAL, None)},
    )
    return _golden("deleted", value, write, deleted)


def _reference() -> Golden:
    """Return a golden reservation: a second instance may not have the reference that it reserves."""

    def read(stores: Stores) -> object:
        second = replace(REFERENCED, sid=InstanceSid("another"))
        try:
            stores.instances.create(second, reservation=Reservation())
        except ReservedError as error:
            return error.holder, stores.instances.with_reference(ACCOUNT, "order-4711", before=None, limit=9)
        return None

    return Golden(
        name="strategies/reserved-reference",
        value=(SID, [PageKey(created_at=REFERENCED.created_at, sid=SID)]),
        write=lambda stores: stores.instances.create(REFERENCED, reservation=Reservation()),
        read=read,
    )


STRATEGIES = (
    _new("new", HEAD, MINIMAL),
    _new("full", FULL_HEAD, FULL),
    _new("paused-before", PAUSED_HEAD, MINIMAL),
    _new("sparse", HEAD, SPARSE),
    _new("under-kms", HEAD, MINIMAL, kms=True),
    _new("imported", HEAD, MINIMAL, source={"documentVersion": "1", "jobs": [1, None]}),
    _second_version(),
    _deleted(),
    _reference(),
)
