"""Quartz expressions of processes. Source: docs/contracts/process.md C.6 and C.7."""

from shared.domain.calendar.cron import MAX_CRON_CHARACTERS
from shared.domain.calendar.cron_fields import CronError, words
from shared.domain.calendar.quartz import quartz

FIELDS = (6, 7)
"""The allowed numbers of fields. The engine also takes five, which are Unix cron with other days of the week."""


def fault_in(text: str) -> str | None:
    """Return every problem of an expression with its position, counted from 1, or None if it is valid."""
    if len(text) > MAX_CRON_CHARACTERS:
        return f"must have at most {MAX_CRON_CHARACTERS} characters"
    try:
        # Five fields would be read as Unix cron, whose days of the week begin with 0.
        fields = words(text)
        if len(fields) not in FIELDS:
            return f"must have 6 or 7 fields, not {len(fields)}"
        quartz(fields)
    except CronError as error:
        return ", ".join(f"{fault.message} (at character {fault.offset + 1})" for fault in error.faults)
    return None
