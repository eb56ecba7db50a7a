"""Access keys. Source: docs/design.md section 9; docs/contracts/core.md section 5."""

from shared.application.ports import Ports, SecretHasher
from shared.domain.access import AccessKey, Role
from shared.domain.errors import RitornelloError
from shared.domain.ids import AccountId
from shared.domain.instance.verdict import Actor, audit_entry


class OwnKeyError(RitornelloError):
    """A key cannot remove itself, so an account never loses its last administrator. Nothing was changed."""

    code = "OWN_KEY"


def create_key(
    ports: Ports, hasher: SecretHasher, account: AccountId, role: Role, *, description: str, by: Actor
) -> tuple[AccessKey, str]:
    """Store a new key. Return it with its token, ``<keyId>.<secret>``, to show once: the secret is not stored."""
    now, secret = ports.clock.now(), ports.ids.secret()
    # Only the hash is stored, so a lost token cannot be recovered.
    key = AccessKey(
        key_id=ports.ids.token(),
        account_id=account,
        role=role,
        secret_hash=hasher.hash(secret),
        created_at=now,
        description=description,
        created_by=by.name,
    )
    audit = audit_entry(account, key.key_id, "create-key", by=by, now=now, states=(None, role.value))
    ports.access.put_key(key, audit=audit)
    return key, f"{key.key_id}.{secret}"


def remove_key(ports: Ports, key: AccessKey, *, by: Actor) -> None:
    """Remove a key; it is refused from now on. Raises: OwnKeyError: the key would remove itself."""
    if key.key_id == by.name:
        raise OwnKeyError("a key cannot remove itself")
    audit = audit_entry(
        key.account_id, key.key_id, "remove-key", by=by, now=ports.clock.now(), states=(key.role.value, None)
    )
    ports.access.remove_key(key, audit=audit)
