"""Where a list goes on: opaque and signed, so that a client can neither read nor invent one.

A cursor is good for the list it came from, with the same filters, under any key of the same account.
Source: contracts/core.md section 4, row 23.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hmac import compare_digest

from shared.application.ports import AuditPosition, PageKey, SecretHasher
from shared.domain.calendar.dates import format_instant, parse_instant
from shared.domain.errors import InvalidInputError, Problem

_SIGNATURE = 32


def cursor_of(place: str, *, of: str, hasher: SecretHasher) -> str:
    """The cursor of a place in a list. of: names the list with its filters and its account."""
    return urlsafe_b64encode(f"{_signature(place, of, hasher)}{place}".encode()).decode()


def place_in(cursor: str, *, of: str, hasher: SecretHasher) -> str:
    """The place a cursor stands for. Raises: InvalidInputError: it is not one of this list."""
    try:
        text = urlsafe_b64decode(cursor.encode()).decode()
    except (binascii.Error, ValueError):
        text = ""
    signature, place = text[:_SIGNATURE], text[_SIGNATURE:]
    if not compare_digest(signature.encode(), _signature(place, of, hasher).encode()):
        problem = Problem(pointer="/cursor", rule="cursor", message="is not a cursor of this list")
        raise InvalidInputError((problem,))
    return place


def page_key_text(place: PageKey) -> str:
    """A place in a list by age as text."""
    return f"{format_instant(place.created_at)}#{place.sid}"


def page_key_of(text: str) -> PageKey:
    """The place of such a text, which was signed."""
    at, _, sid = text.partition("#")
    return PageKey(created_at=parse_instant(at), sid=sid)


def audit_position_text(place: AuditPosition) -> str:
    """A place in the audit trail as text."""
    return f"{format_instant(place.at)}#{place.key}"


def audit_position_of(text: str) -> AuditPosition:
    """The place of such a text, which was signed."""
    at, _, key = text.partition("#")
    return AuditPosition(at=parse_instant(at), key=key)


def _signature(place: str, of: str, hasher: SecretHasher) -> str:
    return hasher.hash(f"cursor\0{of}\0{place}")[:_SIGNATURE]
