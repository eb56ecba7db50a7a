"""Opaque, signed cursors of lists.

The signature binds a cursor to its list, the list's filters and the account. Clients cannot invent cursors, and any
key of the account may use them.
Source: docs/contracts/core.md section 4, row 23.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hmac import compare_digest

from shared.application.ports import SecretHasher
from shared.domain.errors import InvalidInputError, Problem

# 128 bits of an HMAC in hex.
_SIGNATURE = 32


def cursor_of(place: str, *, list_name: str, hasher: SecretHasher) -> str:
    """Return the cursor of a place. ``list_name`` names the list with its filters and its account."""
    return urlsafe_b64encode(f"{_signatures(place, list_name, hasher)[0]}{place}".encode()).decode()


def place_in(cursor: str, *, list_name: str, hasher: SecretHasher) -> str:
    """Return the place of a cursor. Raises: InvalidInputError: if the cursor belongs to another list."""
    try:
        text = urlsafe_b64decode(cursor.encode()).decode()
    except (binascii.Error, ValueError):
        # An empty text has no valid signature, so malformed cursors fail the comparison below.
        text = ""
    signature, place = text[:_SIGNATURE], text[_SIGNATURE:]
    # A comparison in constant time does not reveal how much of a guessed signature is right.
    valid = _signatures(place, list_name, hasher)
    if not any(compare_digest(signature.encode(), one.encode()) for one in valid):
        problem = Problem(pointer="/cursor", rule="cursor", message="is not a cursor of this list")
        raise InvalidInputError((problem,))
    return place


def _signatures(place: str, list_name: str, hasher: SecretHasher) -> list[str]:
    return [one[:_SIGNATURE] for one in hasher.hashes(f"cursor\0{list_name}\0{place}")]
