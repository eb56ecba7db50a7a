"""The step runner: runs the due events of one instance, step by step.

One way: look, claim, check the flags, then step after step, conclude, and look again.
Source: design section 3.
"""

from dataclasses import dataclass, replace

from shared.application.commit import execute, save, schedule_wakeup, try_commit
from shared.application.ports import Ports
from shared.application.runner.progress import Claimed, Halted, Moved
from shared.application.runner.step import Leave, TimeLeft, conclude_run, next_step
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import EARLY, Due, PlanExpired, Scheduled, next_action
from shared.domain.instance.event import Event, EventStatus
from shared.domain.instance.journal import Trail
from shared.domain.instance.model import Instance
from shared.domain.instance.replay import heard, position, to_seal
from shared.domain.instance.run import Intent, RunEnd
from shared.domain.instance.verdict import Applied
from shared.domain.lifecycle.commands import Block, Claim, Finish, Unblock
from shared.domain.lifecycle.decide import decide

MAX_LOOKS = 100
"""A runner looks at most so often before it leaves the rest to a fresh invocation."""


def run_due_events(ports: Ports, sid: InstanceSid, *, job: str, time_left: TimeLeft) -> int:
    """Run what is due on an instance, then arm the wakeup of what comes next; how many events were claimed.

    job: names this invocation. Safe to call at any time, any number of times, from anywhere.
    """
    claimed = 0
    instance = ports.instances.load(sid)
    for _ in range(MAX_LOOKS):
        if instance is None:
            break
        now = ports.clock.now()
        match next_action(instance, now):
            case Due(event=event):
                run = _Run(ports=ports, job=job, time_left=time_left, has_moved=claimed > 0)
                instance, has_claimed = run.take(instance, event)
                claimed += has_claimed
            case Scheduled(at=at) if at - now <= EARLY:
                ports.clock.sleep((at - now).total_seconds())
            case PlanExpired():
                instance = _after(ports, instance, Finish())
            case _:
                break
    if instance is not None:
        schedule_wakeup(ports, instance)
    return claimed


def _after(ports: Ports, instance: Instance, command: Finish | Unblock) -> Instance | None:
    """The instance after a command, or as another writer left it."""
    strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
    verdict = try_commit(ports, strategy, instance, command)
    return ports.instances.load(instance.sid) if verdict is None else verdict.instance


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One claim of one event, from look to conclusion. has_moved: this invocation has run another before."""

    ports: Ports
    job: str
    time_left: TimeLeft
    has_moved: bool

    def take(self, instance: Instance, event: Event) -> tuple[Instance | None, bool]:
        """The instance after the event was claimed and run as far as it goes; and whether it was claimed.

        None: another runner has it; there is nothing more to do here.
        """
        version = event.claim.version or instance.strategy_version
        strategy = self.ports.strategies.load(instance.strategy_sid, version)
        fresh = event.run == 1 and event.progress.first_action is None
        trail = Trail() if fresh else heard(self.ports.instances.trail(instance.sid, event.seq), event)
        command = Claim(seq=event.seq, trail=trail, token=self.ports.ids.token(), job=self.job)
        verdict = decide(strategy, instance, command, now=self.ports.clock.now())
        if not isinstance(verdict, Applied) or not save(self.ports, verdict):
            return self.ports.instances.load(instance.sid), False
        after = verdict.instance
        claimed = after.executing
        if claimed is None:
            return after, False
        claim = Claimed(strategy=strategy, seq=event.seq, fence=after.fence, trail=trail)
        held = self.ports.strategies.blocked_by(after.account_id, after.strategy_sid)
        if held is not None:
            return self._parked(after, Block(before=event, fence=after.fence, blocked_by=held)), False
        if event.status is EventStatus.EXECUTING or event.progress.call_in_doubt:
            claim = self._sealed(claim, after, claimed)
        return self._walked(claim, after, claimed), True

    def _sealed(self, claim: Claimed, instance: Instance, event: Event) -> Claimed:
        """The claim with what it builds on made safe from runners that lost theirs but are still alive."""
        seal = to_seal(claim.trail, event, fence=claim.fence)
        if seal is None:
            return claim
        self.ports.instances.append(instance, seal)
        return claim.with_entry(seal)

    def _parked(self, claimed: Instance, command: Block) -> Instance | None:
        """The claim given back; freed again at once where the flag has cleared meanwhile."""
        verdict = execute(self.ports, claimed.sid, command)
        if verdict is None or self.ports.strategies.blocked_by(claimed.account_id, claimed.strategy_sid):
            return None
        return _after(self.ports, verdict.instance, Unblock())

    def _walked(self, claim: Claimed, instance: Instance, event: Event) -> Instance | None:
        """Step after step, until the run ends or somebody else decides."""
        then = position(claim.trail, event)
        if event.progress.delay_skipped and isinstance(then, Intent):
            then = replace(then, not_before=None)
        at: Moved | Halted = Halted(instance=None)
        at = at if then is None else Moved(claim=claim, instance=instance, event=event, then=then)
        steps = 0
        while isinstance(at, Moved) and isinstance(at.then, Intent):
            call_in_doubt = event.progress.call_in_doubt and not steps
            leave = Leave(time_left=self.time_left, has_moved=self.has_moved or steps > 0)
            at = next_step(self.ports, at, at.then, call_in_doubt=call_in_doubt, leave=leave)
            steps += 1
        if isinstance(at, Moved) and isinstance(at.then, RunEnd):
            at = conclude_run(self.ports, at, at.then)
        return at.instance if isinstance(at, Halted) else None
