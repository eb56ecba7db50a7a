"""Requests that an instance remembers by their Idempotency-Key, so that a repeat changes nothing.

Source: docs/design.md section 8.
"""

from msgspec.structs import replace

from shared.domain.instance.model import MAX_ADDED_KEYS, Added, Instance
from shared.domain.instance.verdict import AlreadyThere, RefusalRule, Refused
from shared.domain.lifecycle.commands import AddEvent, Skip


def known_request(instance: Instance, command: AddEvent | Skip) -> Added | None:
    """Return the remembered request with the command's key, or None."""
    keys = {key for key, _ in _hashes(command)}
    return next((request for request in instance.added if request.key in keys), None)


def repeated(instance: Instance, command: AddEvent | Skip) -> AlreadyThere | Refused | None:
    """Return the verdict on a command whose key is known, or None if it is not."""
    known = known_request(instance, command)
    if known is None:
        return None
    if (known.key, known.body) in _hashes(command):
        return AlreadyThere(instance=instance)
    why = "the Idempotency-Key was used with another body"
    return Refused(instance=instance, why=why, rule=RefusalRule.KEY_REUSED)


def remembering(instance: Instance, command: AddEvent | Skip, seq: int) -> Instance:
    """Return the instance with the command's request remembered, if it has a key."""
    if command.key is None or command.body is None:
        return instance
    remembered = (*instance.added, Added(seq=seq, key=command.key, body=command.body))
    return replace(instance, added=remembered[-MAX_ADDED_KEYS:])


def _hashes(command: AddEvent | Skip) -> list[tuple[str | None, str | None]]:
    return [(command.key, command.body), *command.others]
