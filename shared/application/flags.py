"""Flags that block due events of any number of instances: the queue of an account, or a strategy.

Source: docs/contracts/core.md, Q1 to Q3 and section 5; docs/design.md section 3.3.
"""

from typing import Final, Literal

from msgspec.structs import replace

from shared.application.commit import MAX_RACES, ContentionError
from shared.application.ports import Ports, StaleRevError
from shared.domain.bulk.release import release_jobs
from shared.domain.ids import AccountId
from shared.domain.instance.model import BlockedBy
from shared.domain.instance.verdict import Actor, audit_entry
from shared.domain.strategy.model import StrategyHead

ACTIVE: Final = "active"
PAUSED: Final = "paused"


def queue_state(ports: Ports, account: AccountId) -> Literal["active", "paused"]:
    """Return ``active`` or ``paused``."""
    return PAUSED if ports.access.queue_flag(account).is_paused else ACTIVE


def pause_queue(ports: Ports, account: AccountId, *, by: Actor) -> None:
    """Start no new events of an account; events that run continue to their end. Repeating it changes nothing."""
    flag = ports.access.queue_flag(account)
    if flag.is_paused:
        return
    now = ports.clock.now()
    audit = audit_entry(account, "queue", "pause-queue", by=by, now=now, states=(ACTIVE, PAUSED))
    ports.access.set_queue_flag(account, flag.paused(now=now), audit=audit)


def resume_queue(ports: Ports, account: AccountId, *, by: Actor) -> None:
    """Start due events of an account again, and release its blocked instances at a fixed rate.

    Repeating it changes nothing.
    """
    flag = ports.access.queue_flag(account)
    if not flag.is_paused:
        return
    now = ports.clock.now()
    audit = audit_entry(account, "queue", "resume-queue", by=by, now=now, states=(PAUSED, ACTIVE))
    # Stored with the flag, so no blocked instance is forgotten. If no wakeup arrives, the sweeper runs the jobs.
    jobs = release_jobs(account, BlockedBy.QUEUE, account, by=by, now=now)
    ports.access.set_queue_flag(account, flag.resumed(now=now), audit=audit, release_jobs=jobs)
    for release_job in jobs:
        ports.wakeups.invoke_operation(release_job.sid)


def pause_strategy(ports: Ports, head: StrategyHead, *, by: Actor) -> StrategyHead:
    """Start no new events of a strategy. Raises: ContentionError: nothing was changed."""
    return _set_paused(ports, head, paused=True, by=by)


def resume_strategy(ports: Ports, head: StrategyHead, *, by: Actor) -> StrategyHead:
    """Start due events of a strategy again, as ``resume_queue`` does. Raises: ContentionError: nothing was changed."""
    return _set_paused(ports, head, paused=False, by=by)


def _set_paused(ports: Ports, head: StrategyHead, *, paused: bool, by: Actor) -> StrategyHead:
    """Return the head with its flag set or cleared. After a lost race, decide again on the head as it is then."""
    command, states = (
        ("pause-strategy", (ACTIVE, PAUSED)) if paused else ("resume-strategy", (PAUSED, ACTIVE))
    )
    for _ in range(MAX_RACES):
        if head.is_paused is paused:
            return head
        now = ports.clock.now()
        jobs = () if paused else release_jobs(head.account_id, BlockedBy.STRATEGY, head.sid, by=by, now=now)
        flag = head.flag.paused(now=now) if paused else head.flag.resumed(now=now)
        after = replace(head, is_paused=flag.is_paused, pauses=flag.pauses, updated_at=now)
        audit = audit_entry(head.account_id, head.sid, command, by=by, now=now, states=states)
        try:
            ports.strategies.set_paused(after, before=head, audit=audit, release_jobs=jobs)
        except StaleRevError:
            head = ports.strategies.head(head.sid) or head
            continue
        for release_job in jobs:
            ports.wakeups.invoke_operation(release_job.sid)
        return after
    raise ContentionError(f"strategy {head.sid} changed {MAX_RACES} times during one command; repeat it")
