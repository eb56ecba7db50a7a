"""Commands that stop an instance whose settings cannot be read: its version is missing, altered or under another key.

Source: docs/design.md section 7.
"""

from datetime import datetime

from msgspec.structs import replace

from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Applied, Verdict
from shared.domain.lifecycle.commands import Cancel, Pause
from shared.domain.lifecycle.decide import decide
from shared.domain.strategy.model import Definition, Strategy


def decide_unread(instance: Instance, command: Pause | Cancel, *, why: str, now: datetime) -> Verdict:
    """Return the verdict on a pause or a cancel that is decided without the settings.

    Both act as usual, except that a cancel creates no on-cancel events. The audit entry says so, and ``why``.
    """
    lease = instance.lease
    if lease is not None and lease.until <= now:
        # No runner can claim the event to release it, so it is released now, as by a kill.
        command = replace(command, kill=True)
    verdict = decide(_without_settings(instance), instance, command, now=now)
    if not isinstance(verdict, Applied) or verdict.audit is None:
        return verdict
    note = f"decided without the settings of version {instance.strategy_version} ({why})"
    if isinstance(command, Cancel):
        note += "; no on-cancel events were created"
    reason = note if verdict.audit.reason is None else f"{verdict.audit.reason}; {note}"
    return replace(verdict, audit=replace(verdict.audit, reason=reason))


def _without_settings(instance: Instance) -> Strategy:
    """Return a strategy in which nothing is defined."""
    return Strategy(
        sid=instance.strategy_sid,
        account_id=instance.account_id,
        name="",
        version=instance.strategy_version,
        definition=Definition(calendars=(), tasks={}, services={}, actions={}),
        environment="",
    )
