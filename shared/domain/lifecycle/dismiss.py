"""Dismissing problems that are final. Source: docs/contracts/core.md section 5."""

from datetime import datetime

from msgspec.structs import replace

from shared.domain.instance.model import Instance
from shared.domain.instance.problems import problems_of
from shared.domain.instance.verdict import AlreadyThere, Change, RefusalRule, Refused, Verdict, audited
from shared.domain.lifecycle.commands import Dismiss


def dismiss(instance: Instance, command: Dismiss, *, now: datetime) -> Verdict:
    """Take the final problems of an instance off the list; others stay, and are repaired by other commands."""
    problems = [problem for problem in problems_of(instance) if problem.since <= command.until]
    if not problems:
        return AlreadyThere(instance=instance)
    if not any(problem.is_final for problem in problems):
        why = f"the problem is not final ({problems[0].kind.value}): resume, resolve, retry or cancel instead"
        return Refused(instance=instance, why=why, rule=RefusalRule.STATE)
    stop = instance.stop
    if any(problem.is_final and problem.seq is None for problem in problems) and stop is not None:
        stop = replace(stop, dismissed_at=now)
    later = tuple(failed for failed in instance.failed_events if failed.failure.at > command.until)
    after = replace(instance, failed_events=later, stop=stop, updated_at=now)
    return audited(instance, Change(instance=after), command="dismiss", by=command.by, now=now)
