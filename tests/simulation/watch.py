"""Observers that check every claim and every call as it happens."""

from dataclasses import dataclass, field

from shared.domain.instance.journal import JournalEntry
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.replay import is_sent
from shared.domain.instance.run import Certainty
from shared.domain.steps.call import ServiceRequest
from tests.simulation.laws import event_of_call
from tests.simulation.world import World


@dataclass(slots=True)
class Claim:
    """A stored claim. ``spared`` is True for an event that may run after the cancelation."""

    is_blocked: bool
    spared: bool
    calls_since_stop: int = 0


@dataclass(slots=True)
class Watch:
    """Objects to calls that a pause forbids.

    No claim is stored on a stopped instance. A claim stored while the strategy or the queue was paused makes no call.
    A claim stored before may execute its current step and no other.
    """

    world: World
    fence: int = 0
    claims: dict[str, Claim] = field(default_factory=dict)
    was_stopped: bool = False

    def install(self) -> None:
        """Begin to watch."""
        self.world.watchers.append(self.called)
        self.world.commit_watchers.append(self.committed)

    def committed(self, instance: Instance) -> None:
        """Check a change of the instance when it is stored."""
        assert instance.fence >= self.fence, "the fence fell"
        stopped = instance.status is not InstanceStatus.ACTIVE
        if stopped and not self.was_stopped:
            for claim in self.claims.values():
                claim.calls_since_stop = 0
        self.was_stopped = stopped
        event = instance.executing
        if event is not None and instance.fence > self.fence:
            assert not stopped or event.after_cancellation, "claimed although stopped"
            self.claims[self._job()] = Claim(is_blocked=self._flag_is_up(), spared=event.after_cancellation)
        elif event is not None and event.after_cancellation and self._job() in self.claims:
            self.claims[self._job()].spared = True  # its own controller has canceled the instance
        self.fence = instance.fence

    def called(self, request: ServiceRequest) -> None:
        """Check a call before it is sent."""
        claim = self.claims[self._job()]
        assert not claim.is_blocked, (
            f"{request.url} called although strategy or queue was paused before the claim"
        )
        if self.was_stopped and not claim.spared:
            claim.calls_since_stop += 1
            assert claim.calls_since_stop == 1, "a second step started on a stopped instance"

    def _flag_is_up(self) -> bool:
        return bool(self.world.flags.paused_queues or self.world.flags.paused_strategies)

    def _job(self) -> str:
        return self.world.stage.current.name if self.world.stage.current else ""


@dataclass(slots=True)
class OneKeyAtATime:
    """Objects to a step that is sent under a new key while the result of an older key is unknown.

    The result of a key is known when a definite answer to it is stored: a usable 2xx, or a 4xx that does not ask to
    call again. This is judged by status, not by what the engine has concluded. A
    runner that lost its event may still send calls that others have sent since: services do not repeat them.
    """

    world: World
    keys: set[str] = field(default_factory=set)
    sent: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    sendings: int = 0

    def install(self) -> None:
        """Begin to watch."""
        self.world.watchers.append(self.called)

    def called(self, request: ServiceRequest) -> None:
        """Check a call before it is sent."""
        self._read_ledger()
        if request.call_key in self.keys:
            return
        others = self.sent.get((request.url, event_of_call(request.call_key)), set())
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
            address = sending.url, event_of_call(sending.key)
            self.sent.setdefault(address, set()).add(sending.key)
        self.sendings = len(self.world.ledger)


def _is_settled(entry: JournalEntry) -> bool:
    if entry.intent.awaits:
        return entry.outcome.certainty is Certainty.DEFINITE
    status = entry.answered
    if status is None or is_sent(entry):
        return False
    is_usable_success = 200 <= status < 300 and entry.outcome.success
    return is_usable_success or (400 <= status < 500 and status not in (408, 409, 425, 429))
