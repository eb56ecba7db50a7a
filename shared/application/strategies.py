"""Saving strategies. Source: contracts/core.md sections 1.1 and 5."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.application.ports import Ports, SecretHasher, StaleRevError
from shared.application.start import KeyReusedError, Repeatable
from shared.domain.errors import RitornelloError
from shared.domain.ids import AccountId, InstanceSid, StrategySid, sid_of_request
from shared.domain.instance.model import UNFINISHED
from shared.domain.instance.verdict import Actor, audit_entry
from shared.domain.strategy.model import Json, StrategyHead
from shared.domain.strategy.parse import read_definition


class ChangedMeanwhileError(RitornelloError):
    """Somebody else has changed the strategy since it was read. Nothing was stored."""

    code = "CHANGED_MEANWHILE"


class StillInUseError(RitornelloError):
    """The strategy has unfinished instances. Nothing was changed."""

    code = "STILL_IN_USE"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStrategy:
    """What is asked for. secret: plain; None for a strategy that needs none. by: the id of the caller's key.

    source, labels: what a dialect made the settings from, and what it wants to know without opening them.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """What a strategy is to become. description, secret (plain), labels: None leaves them. source: as above."""

    settings: Mapping[str, Json]
    description: str | None = None
    secret: str | None = None
    source: Json = None
    labels: Mapping[str, str] | None = None


def create_strategy(
    ports: Ports, hasher: SecretHasher, new: NewStrategy, *, environment: str
) -> tuple[StrategyHead, bool]:
    """A stored strategy, version 1, and whether it is new.

    A repeatable request that was heard before finds the strategy as it is now.
    Raises: InvalidInputError: its settings are wrong; NameTakenError; KeyReusedError. Nothing was stored.
    """
    sid = StrategySid(ports.ids.instance_sid())
    if new.repeatable is not None:
        sid = StrategySid(sid_of_request(new.account_id, "strategy", new.repeatable.key))
        known = _known(ports, sid, new.repeatable)
        if known is not None:
            return known, False
    now = ports.clock.now()
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
        known = None if new.repeatable is None else _known(ports, sid, new.repeatable)
        if known is None:
            raise
        return known, False
    return head, True


def replace_settings(
    ports: Ports, hasher: SecretHasher, head: StrategyHead, new: NewVersion, *, by: Actor, environment: str
) -> StrategyHead:
    """The strategy with a further version; a new secret holds at once, the old one no longer.

    head: as it was read for this request. Instances stay on the version they have.
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
            raise ChangedMeanwhileError("the strategy has been changed meanwhile") from error
    return after


def delete_strategy(ports: Ports, head: StrategyHead, *, by: Actor) -> StrategyHead:
    """The strategy gone: no list shows it, its name is free, no instance of it can be started.

    Its finished instances can still be read. One that was being started at this very moment, and that the
    index did not show yet, goes on under the version it has. Deleting it again changes nothing.
    Raises: StillInUseError; ChangedMeanwhileError. Nothing was changed.
    """
    if head.deleted_at is not None:
        return head
    page_keys = ports.instances.of_strategy(head.sid, UNFINISHED, before=None, limit=100)
    found = ports.instances.load_many([InstanceSid(one.sid) for one in page_keys])
    if any(instance.status in UNFINISHED for instance in found):
        raise StillInUseError("the strategy has unfinished instances")
    return remove_strategy(ports, head, by=by)


def remove_strategy(ports: Ports, head: StrategyHead, *, by: Actor) -> StrategyHead:
    """The strategy gone as above, whatever still runs under it. Raises: ChangedMeanwhileError."""
    now = ports.clock.now()
    after = replace(head, deleted_at=now, updated_at=now)
    states = (f"version {head.version}", None)
    audit = audit_entry(head.account_id, head.sid, "delete-strategy", by=by, now=now, states=states)
    try:
        ports.strategies.delete(after, before=head, audit=audit)
    except StaleRevError as error:
        if ports.strategies.head(head.sid) != after:  # else only the reply was lost
            raise ChangedMeanwhileError("the strategy has been changed meanwhile") from error
    return after


def _known(ports: Ports, sid: StrategySid, repeatable: Repeatable) -> StrategyHead | None:
    head = ports.strategies.head(sid)
    if head is not None and head.request_hash != repeatable.body_hash:
        raise KeyReusedError("the Idempotency-Key was used with another body")
    return head
