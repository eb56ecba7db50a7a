"""Secrets in memory, for tests and for stacks without AWS."""

from dataclasses import dataclass, field

from shared.adapters.secrets import NoSecretError
from shared.domain.ids import AccountId
from shared.domain.strategy.secret_names import SecretKind


@dataclass(slots=True)
class MemorySecrets:
    """A ``SecretSource``. ``fetched`` are the names that were read, ``error`` is raised instead of an answer."""

    texts: dict[tuple[SecretKind, AccountId, str], str | None] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    error: Exception | None = None

    def fetch(self, kind: SecretKind, account_id: AccountId, name: str) -> str | None:
        self.fetched.append(f"{kind}.{name}")
        if self.error is not None:
            raise self.error
        try:
            return self.texts[kind, account_id, name]
        except KeyError:
            raise NoSecretError("there is none") from None
