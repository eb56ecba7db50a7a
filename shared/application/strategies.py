"""Save, change and delete strategies. Source: docs/contracts/core.md sections 1.1 and 5."""

from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from shared.application.ports import Ports, SecretHasher, StaleRevError, Unreadable
from shared.application.start import KeyReusedError, Repeatable
from shared.domain.errors import RitornelloError
from shared.domain.ids import AccountId, InstanceSid, StrategySid, sid_of_request
from shared.domain.instance.model import UNFINISHED
from shared.domain.instance.verdict import Actor, audit_entry
from shared.domain.strategy.model import Json, StrategyHead
from shared.domain.strategy.parse import read_definition

CHANGED = "the strategy was changed in the meantime; read it and try again"


class ChangedMeanwhileError(RitornelloError):
    """The strategy was changed after the caller read it. Nothing was stored."""

    code = "CHANGED_MEANWHILE"


class StillInUseError(RitornelloError):
    """The strategy has unfinished instances. Nothing was changed."""

    code = "STILL_IN_USE"


class NewStrategy(Struct, frozen=True, kw_only=True):
    """A request to save a strategy.

    ``secret`` is plain, or None if the strategy needs none. ``by`` is the id of the caller's key. ``source`` is the
    document a dialect made the settings from. ``labels`` are values that a dialect reads without decrypting the
    settings.
    """

    account_id: AccountId
    name: str
    settings: Mapping[str, Json]
    folder: str = "/"
    description: str = ""
    secret: str | None = None
    by: str | None = None
    repeatable: Repeatable | None = None
    source: Json = None
    labels: Mapping[str, str] = field(default_factory=dict)


class NewVersion(Struct, frozen=True, kw_only=True):
    """A request to save another version.

    ``description``, ``secret`` (plain) and ``labels`` stay as they are if None.
    """

    settings: Mapping[str, Json]
    description: str | None = None
    secret: str | None = None
    source: Json = None
    labels: Mapping[str, str] | None = None


def create_strategy(
    ports: Ports, hasher: SecretHasher, new: NewStrategy, *, environment: str
) -> tuple[StrategyHead, bool]:
    """Store version 1 of a strategy. Return its head, and whether it is new.

    If a repeatable request was received before, return the strategy as it is now.
    Raises: InvalidInputError: the settings are wrong. NameTakenError. KeyReusedError. Nothing was stored.
    """
    sid = StrategySid(ports.ids.instance_sid())
    if new.repeatable is not None:
        sid = StrategySid(sid_of_request(new.account_id, "strategy", new.repeatable.key))
        known = _known(ports, sid, new.repeatable)
        if known is not None:
            return known, False
    now = ports.clock.now()
    # Checked before anything is written, because a stored version is never checked again.
    read_definition(
        new.settings,
        environment=environment,
        pointer="/settings",
        now=now,
        controllers=ports.controllers.names,
    )
    head = StrategyHead(
        sid=sid,
        account_id=new.account_id,
        name=new.name,
        folder=new.folder,
        description=new.description,
        version=1,
        secret_hash=None if new.secret is None else hasher.hash(new.secret),
        created_at=now,
        updated_at=now,
        created_by=new.by,
        request_hash=None if new.repeatable is None else new.repeatable.body_hash,
        labels=dict(new.labels),
    )
    try:
        ports.strategies.create(head, new.settings, source=new.source)
    except StaleRevError:
        # The same request, sent twice, was faster the other time.
        known = None if new.repeatable is None else _known(ports, sid, new.repeatable)
        if known is None:
            raise
        return known, False
    return head, True


def replace_settings(
    ports: Ports, hasher: SecretHasher, head: StrategyHead, new: NewVersion, *, by: Actor, environment: str
) -> StrategyHead:
    """Store another version of the strategy and return its head. A new secret replaces the old one at once.

    ``head`` is the head as the request read it. Instances stay on the version they have.
    Raises: InvalidInputError; ChangedMeanwhileError. Nothing was stored.
    """
    now = ports.clock.now()
    read_definition(
        new.settings,
        environment=environment,
        pointer="/settings",
        now=now,
        controllers=ports.controllers.names,
    )
    after = replace(
        head,
        version=head.version + 1,
        description=head.description if new.description is None else new.description,
        secret_hash=head.secret_hash if new.secret is None else hasher.hash(new.secret),
        updated_at=now,
        labels=head.labels if new.labels is None else dict(new.labels),
    )
    states = (f"version {head.version}", f"version {after.version}")
    audit = audit_entry(head.account_id, head.sid, "update-strategy", by=by, now=now, states=states)
    try:
        ports.strategies.replace(after, new.settings, before=head, audit=audit, source=new.source)
    except StaleRevError as error:
        if ports.strategies.head(head.sid) != after:  # else only the reply was lost
            raise ChangedMeanwhileError(CHANGED) from error
    return after


def delete_strategy(ports: Ports, head: StrategyHead, *, by: Actor) -> StrategyHead:
    """Delete the strategy: no list shows it, its name is free, and no instance of it can be started.

    Finished instances can still be read. An instance that is being started at the same moment may not be in the index
    yet; it continues on its version. Deleting a strategy again changes nothing.
    Raises: StillInUseError; ChangedMeanwhileError. Nothing was changed.
    """
    if head.deleted_at is not None:
        return head
    page_keys = ports.instances.of_strategy(head.sid, UNFINISHED, before=None, limit=100)
    # The index is eventually consistent, so the status of the loaded instances counts.
    found = ports.instances.load_many([InstanceSid(key.sid) for key in page_keys])
    # One that cannot be read is unfinished by the index.
    if any(isinstance(item, Unreadable) or item.status in UNFINISHED for item in found):
        raise StillInUseError("the strategy has unfinished instances")
    return remove_strategy(ports, head, by=by)


def remove_strategy(ports: Ports, head: StrategyHead, *, by: Actor) -> StrategyHead:
    """Delete the strategy even if it has unfinished instances. Raises: ChangedMeanwhileError."""
    now = ports.clock.now()
    after = replace(head, deleted_at=now, updated_at=now)
    states = (f"version {head.version}", None)
    audit = audit_entry(head.account_id, head.sid, "delete-strategy", by=by, now=now, states=states)
    try:
        ports.strategies.delete(after, before=head, audit=audit)
    except StaleRevError as error:
        if ports.strategies.head(head.sid) != after:  # else only the reply was lost
            raise ChangedMeanwhileError(CHANGED) from error
    return after


def _known(ports: Ports, sid: StrategySid, repeatable: Repeatable) -> StrategyHead | None:
    head = ports.strategies.head(sid)
    if head is not None and not repeatable.has_hash(head.request_hash):
        raise KeyReusedError("the Idempotency-Key was used with another body")
    return head
