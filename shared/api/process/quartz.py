"""A quartzDef, held against what Quartz expressions are. Source: contracts/process.md C.6 and C.7."""

from shared.domain.calendar.cron import MAX_CRON_CHARACTERS, read_cron
from shared.domain.calendar.cron_fields import CronError, words

FIELDS = (6, 7)
"""So many fields; the engine takes five as well, which are Unix cron and mean other days."""


def fault_in(text: str) -> str | None:
    """Everything that is wrong with an expression and where, counted in characters from 1; None for nothing."""
    if len(text) > MAX_CRON_CHARACTERS:
        return f"takes at most {MAX_CRON_CHARACTERS} characters"
    try:
        found = len(words(text))
        if found not in FIELDS:
            return f"must have 6 or 7 fields, not {found}"
        read_cron(text)
    except CronError as error:
        return ", ".join(f"{fault.message} (at character {fault.offset + 1})" for fault in error.faults)
    return None
