"""Observers that check every claim and every call as it happens."""

from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.ids import InstanceSid
from shared.domain.instance.journal import JournalEntry
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.replay import is_sent
from shared.domain.instance.run import Certainty
from shared.domain.steps.call import ServiceRequest
from tests.simulation.laws import address_of_call
from tests.simulation.world import World


@dataclass(slots=True)
class Claim:
    """A stored claim.

    ``cleared`` is how often a flag had been cleared before, if a flag was up. ``spared`` is True for an event that
    may run after the cancelation. ``until`` is the end of its lease. ``is_killed`` is True once its event was killed
    or canceled while it was executed: its runner cannot know, whatever stops the instance afterwards.
    """

    cleared: int | None
    spared: bool
    until: datetime
    calls_since_stop: int = 0
    is_killed: bool = False


@dataclass(slots=True)
class Life:
    """The facts that were last stored of an instance."""

    fence: int = 0
    was_stopped: bool = False
    is_drained: bool = False
    claims: dict[str, Claim] = field(default_factory=dict)


@dataclass(slots=True)
class Watch:
    """Objects to calls that a pause, or the end of a lease, forbids.

    No call is begun by a runner whose lease has ended by its own clock. No claim is stored on a stopped instance.
    A claim stored while the strategy or the queue was paused makes no call as long as the flag stays up. A claim stored
    before may execute its current step and no other, and not even that once the stop was answered with ``draining:
    false``, or has ``drainedAt``. Excused is a runner whose event was killed or canceled, or which stalled in the call
    until its lease had ended: it cannot know.
    """

    world: World
    lives: dict[InstanceSid, Life] = field(default_factory=dict)

    def install(self) -> None:
        """Begin to watch."""
        self.world.watchers.append(self.called)
        self.world.commit_watchers.append(self.committed)

    def committed(self, instance: Instance) -> None:
        """Check a change of an instance when it is stored."""
        life = self.lives.setdefault(instance.sid, Life())
        assert instance.fence >= life.fence, "the fence fell"
        stopped = instance.status is not InstanceStatus.ACTIVE
        by_runner = self._job().startswith("job-")
        # Also while the instance is active: its event may be canceled, and the instance paused just after.
        is_killed = instance.lease is None and instance.fence > life.fence and not by_runner
        for claim in life.claims.values():
            claim.is_killed |= is_killed
            if stopped and not life.was_stopped:
                claim.calls_since_stop = 0
        life.was_stopped, life.is_drained = stopped, stopped and not instance.is_draining
        self._keep_claim(life, instance, stopped=stopped)
        life.fence = instance.fence

    def _keep_claim(self, life: Life, instance: Instance, *, stopped: bool) -> None:
        event, lease = instance.executing, instance.lease
        if event is None or lease is None:
            return
        if event.claim.fence > life.fence:
            assert not stopped or event.after_cancellation, "claimed although stopped"
            life.claims[self._job()] = Claim(
                cleared=self.world.flags_cleared if self._flag_is_up(instance) else None,
                spared=event.after_cancellation,
                until=lease.until,
            )
        elif self._job() in life.claims:
            life.claims[self._job()].until = lease.until
            if event.after_cancellation:  # its own controller has canceled the instance
                life.claims[self._job()].spared = True

    def called(self, request: ServiceRequest) -> None:
        """Check a call before it is sent."""
        sid, _ = address_of_call(request.call_key)
        life = self.lives[sid]
        claim = life.claims[self._job()]
        assert self._reached_at() < claim.until + 2 * self.world.faults.skew, (
            f"{request.url} called although the lease of {sid} had ended"
        )
        assert claim.cleared is None or claim.cleared != self.world.flags_cleared, (
            f"{request.url} called although strategy or queue was paused before the claim"
        )
        if not life.was_stopped or claim.spared:
            return
        claim.calls_since_stop += 1
        assert claim.calls_since_stop == 1, "a second step started on a stopped instance"
        # Two clocks may each be wrong.
        excused = claim.is_killed or self.world.now_at >= claim.until - 2 * self.world.faults.skew
        assert not life.is_drained or excused, f"{request.url} called although {sid} is drained"

    def _flag_is_up(self, instance: Instance) -> bool:
        flags = self.world.flags
        head = flags.heads.get(instance.strategy_sid)
        return (
            instance.account_id in flags.paused_queues
            or instance.strategy_sid in flags.paused_strategies
            or (head is not None and head.is_paused)
        )

    def _reached_at(self) -> datetime:
        """Return when the process was about to call. It may have stalled since: it cannot know."""
        process = self.world.stage.current
        return self.world.now_at if process is None else process.reached_at

    def _job(self) -> str:
        return self.world.stage.current.name if self.world.stage.current else ""


@dataclass(slots=True)
class OneKeyAtATime:
    """Objects to a step that is sent under a new key while the result of an older key is unknown.

    The result of a key is known when a definite answer to it is stored: a usable 2xx, or a 4xx that does not ask to
    call again; or when an operator has skipped the call. An answer is judged by status, not by the engine's
    conclusion. A runner that lost its event may still send calls that others have sent since: services do not repeat
    them.
    """

    world: World
    keys: set[str] = field(default_factory=set)
    sent: dict[tuple[str, InstanceSid, int], set[str]] = field(default_factory=dict)
    sendings: int = 0

    def install(self) -> None:
        """Begin to watch."""
        self.world.watchers.append(self.called)

    def called(self, request: ServiceRequest) -> None:
        """Check a call before it is sent."""
        self._read_ledger()
        if request.call_key in self.keys:
            return
        others = self.sent.get((request.url, *address_of_call(request.call_key)), set())
        if not others:
            return
        settled = {entry.intent.call_key for entry in self.world.store.journal.values() if _is_settled(entry)}
        for key in others:
            assert key in settled, (
                f"{request.url} is sent as {request.call_key}, and the result of {key} is not known"
            )

    def _read_ledger(self) -> None:
        """Read the calls since the last time: all keys, and the keys by address and event."""
        for sending in self.world.ledger[self.sendings :]:
            self.keys.add(sending.key)
            address = sending.url, *address_of_call(sending.key)
            self.sent.setdefault(address, set()).add(sending.key)
        self.sendings = len(self.world.ledger)


def _is_settled(entry: JournalEntry) -> bool:
    error = entry.outcome.error
    if error is not None and error.kind is ErrorKind.SKIPPED:
        return True
    if entry.intent.awaits:
        return entry.outcome.certainty is Certainty.DEFINITE
    status = entry.answered
    if status is None or is_sent(entry):
        return False
    is_usable_success = 200 <= status < 300 and entry.outcome.success
    return is_usable_success or (400 <= status < 500 and status not in (408, 409, 425, 429))
