"""Texts that can be stored, evaluated and sent.

Source: docs/contracts/core.md section 1.3.
"""

from typing import Final

HALF_A_PAIR: Final = "must not contain half of a surrogate pair"
NUL: Final = "must not contain a NUL character"

DATE_HINT: Final = "; write a date such as 2026-01-31"
DATE_TIME_HINT: Final = "; write a date and time with an offset such as 2026-01-31T10:00:00Z"
"""The end of a message about a text that is not a date. A date alone is the usual mistake where a time is needed."""


def text_fault(text: str) -> str | None:
    """Return why a text cannot be used, as the end of a sentence, or None if it can."""
    # Expressions are evaluated by C++, which would cut a text off at a NUL character.
    if "\0" in text:
        return NUL
    # Most texts are ASCII, and asking for that is much faster than encoding.
    if text.isascii():
        return None
    try:
        # Half of a surrogate pair has no UTF-8 form: it can be neither stored nor sent.
        text.encode()
    except UnicodeEncodeError:
        return HALF_A_PAIR
    return None
