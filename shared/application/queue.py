"""The queue of an account: one flag that holds back all due events, however many instances there are.

Source: contracts/core.md, Q1 to Q3; design section 3, item 3.
"""

from shared.application.ports import Ports
from shared.domain.decision import Actor, noted
from shared.domain.ids import AccountId
from shared.domain.instance import HeldBy
from shared.domain.operation import drains

ACTIVE, PAUSED = "active", "paused"


def queue_state(ports: Ports, account: AccountId) -> str:
    """``active`` or ``paused``."""
    return PAUSED if ports.access.queue_paused(account) else ACTIVE


def pause_queue(ports: Ports, account: AccountId, *, by: Actor) -> None:
    """Nothing new starts; what runs goes on to its end. Repeating it changes nothing."""
    if ports.access.queue_paused(account):
        return
    audit = noted(account, "queue", "pause-queue", by=by, now=ports.clock.now(), states=(ACTIVE, PAUSED))
    ports.access.set_queue_paused(account, paused=True, audit=audit)


def resume_queue(ports: Ports, account: AccountId, *, by: Actor) -> None:
    """Due events start again, those that were held at a set pace. Repeating it changes nothing.

    Flag and drains are stored together, so nothing that was held is forgotten; the drains are due at once,
    and where nothing rings for them the sweeper does.
    """
    if not ports.access.queue_paused(account):
        return
    now = ports.clock.now()
    audit = noted(account, "queue", "resume-queue", by=by, now=now, states=(PAUSED, ACTIVE))
    begun = drains(account, HeldBy.QUEUE, account, by=by, now=now)
    ports.access.set_queue_paused(account, paused=False, audit=audit, drains=begun)
    for drain in begun:
        ports.wakeups.invoke_operation(drain.sid)
