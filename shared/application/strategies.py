"""Saving strategies. Source: contracts/core.md section 1.1."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.application.ports import Ports, SecretHasher
from shared.domain.definition import read_definition
from shared.domain.ids import AccountId, StrategySid
from shared.domain.strategy import Json, StrategyHead


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStrategy:
    """What is asked for. secret: plain; None for a strategy that needs none."""

    account_id: AccountId
    name: str
    settings: Mapping[str, Json]
    folder: str = "/"
    description: str = ""
    secret: str | None = None


def create_strategy(
    ports: Ports, hasher: SecretHasher, new: NewStrategy, *, environment: str
) -> StrategyHead:
    """A stored strategy, version 1.

    Raises: InvalidInputError: its settings are wrong; NameTakenError. Nothing was stored.
    """
    read_definition(new.settings, environment=environment, pointer="/settings")
    now = ports.clock.now()
    head = StrategyHead(
        sid=StrategySid(ports.ids.instance_sid()),
        account_id=new.account_id,
        name=new.name,
        folder=new.folder,
        description=new.description,
        version=1,
        secret_hash=None if new.secret is None else hasher.hash(new.secret),
        created_at=now,
        updated_at=now,
    )
    ports.strategies.create(head, new.settings)
    return head
