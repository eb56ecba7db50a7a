"""Random lives: any commands at any times in any state."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec.structs import replace

from shared.domain.ids import CorrelationId
from shared.domain.instance.due import next_change, next_event, partition, sweep_at
from shared.domain.instance.event import Event, EventStatus, PausedFor, Resolution
from shared.domain.instance.journal import Answer, EventRecord
from shared.domain.instance.model import MAX_UNFINISHED_EVENTS, BlockedBy, Instance, InstanceStatus
from shared.domain.instance.replay import position, resumable_history
from shared.domain.instance.run import Ending, Intent, Outcome, RunEnd
from shared.domain.instance.verdict import AlreadyThere, Applied, Refused
from shared.domain.lifecycle.commands import (
    AddEvent,
    Apply,
    ApplyCancellation,
    AwaitAnswer,
    Block,
    Cancel,
    CancelAt,
    CancelEvent,
    CancelTasks,
    Claim,
    Command,
    Conclude,
    EndPause,
    Execute,
    Fence,
    Finish,
    ForgoAnswer,
    Pause,
    RecordSweep,
    Redrive,
    Renew,
    Reschedule,
    Resolve,
    Resume,
    RevokeCancellation,
    Skip,
    Stop,
    TakeAnswer,
    Unblock,
    Update,
    Wait,
)
from shared.domain.lifecycle.decide import decide
from shared.domain.strategy.model import Json, OnResume, Strategy
from tests.lifecycle_factories import (
    ANN,
    DECLINED,
    DONE,
    SILENT,
    Life,
    at,
    calendar,
    ended,
    life,
    new,
    reminded,
    retries,
    strategy,
    succeeded,
)

Transition = tuple[str, str, str]
"""From, to, and the command that caused it; ``new`` is the state before an event exists."""

_PARTS: Json = {
    "onCreateTasks": [{"task": "greet"}, {"task": "greet", "manualTrigger": True}],
    "onCancelTasks": [
        {"task": "part", "delayBy": {"unit": "hours", "amount": 1}},
        {"task": "part", "manualTrigger": True},
    ],
}
_ADDED: Json = {"task": "greet", "date": "2026-02-03T00:00:00.000Z", "data": {}, "manualTrigger": False}
_DIRECTIVES: Json = [
    {"attributes": {"level": "gold"}},
    {"cancelInstance": "enough"},
    {"pauseInstance": "for a while"},
    {"cancelTasks": ["bill", "remind"]},
    {"createEvents": [_ADDED]},
    {"createEvents": [{**_ADDED, "manualTrigger": True}]},
]
_STRATEGIES: list[Callable[[], Strategy]] = [
    lambda: strategy(
        reminded(days=0), parts=_PARTS, retry=retries(2, pause=True), method={"inDoubt": "pause"}
    ),
    lambda: strategy(reminded(days=2), parts=_PARTS, onResume="skip"),
    lambda: strategy(reminded(days=2), parts=_PARTS, onResume="all", manualTrigger=True),
    lambda: strategy(calendar({"unit": "hours", "amount": 1}, runOnCycle=1), calendar(key="b", runOnCycle=2)),
    lambda: strategy(calendar({"unit": "minutes", "amount": 1})),
    lambda: strategy(
        reminded(days=0),
        parts=_PARTS,
        retry=retries(2, pause=True),
        method={"async": True, "answerWithin": {"unit": "hours", "amount": 1}, "inDoubt": "pause"},
    ),
    lambda: strategy(calendar(), parts=_PARTS, retry=retries(1), method={"async": True}),
    lambda: strategy(calendar(nextCycleDateCallback="timestamp(string(attributes.level))")),
]
_LEAPS = [
    timedelta(0),
    timedelta(seconds=30),
    timedelta(minutes=5),
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(days=40),
]


@dataclass(slots=True)
class RandomLife:
    """One life and one generator; every decision is checked.

    With ``is_dated``, operators also send commands whose effect has a date.
    """

    rng: random.Random
    of: Life
    now: datetime
    is_dated: bool = False
    before_claim: Event | None = None
    events: set[Transition] = field(default_factory=set)
    instances: set[Transition] = field(default_factory=set)

    @classmethod
    def begun(cls, seed: int, *, is_dated: bool = False) -> "RandomLife":
        """Return a life under any of the strategies, with or without an end date."""
        rng = random.Random(seed)
        start = rng.choice(["2026-01-31", "2026-02-02", "2026-01-30T23:00", None])
        request = new(
            start, end_date=rng.choice([None, None, "2026-02-02T12:00", "2026-03-15"]), level="none"
        )
        of = life(rng.choice(_STRATEGIES)(), request)
        this = cls(rng=rng, of=of, now=at("2026-01-31"), is_dated=is_dated)
        this.note_start(of)
        return this

    def note_start(self, of: Life) -> None:
        """Record that an instance was created."""
        self._note(None, of.instance, tuple(of.records), "start")

    def lead(self, steps: int) -> "RandomLife":
        """Let ``steps`` things happen."""
        for _ in range(steps):
            self.rng.choices([self._time_passes, self._runner, self._operator, self._sweeper], [3, 8, 3, 1])[
                0
            ]()
        return self

    def _time_passes(self) -> None:
        event, lease = next_event(self.of.instance), self.of.instance.lease
        ahead = [self.now + self.rng.choice(_LEAPS)]
        ahead += [] if event is None else [event.due_at, event.due_at + timedelta(seconds=1)]
        ahead += [] if lease is None else [lease.until]
        self.now = max(self.now, self.rng.choice(ahead))

    def _runner(self) -> None:
        event = self.of.instance.executing
        if event is None or self.rng.random() < 0.1:
            self._claim()
            return
        actions = [self._step, self._step, self._end, self._set_down, self._crash_after_record, self._die]
        self.rng.choice(actions)(event)

    def _claim(self) -> None:
        """Claim the next event, or repair the instance first if needed."""
        event = next_event(self.of.instance) or self.of.instance.executing
        if self.of.instance.events and (event is None or self.rng.random() < 0.1):
            event = self.rng.choice(self.of.instance.events)
        if event is None:
            return
        self.decide(Fence(seq=event.seq))
        event_history = resumable_history(self.of.event_history(event.seq), event)
        claim = Claim(seq=event.seq, event_history=event_history, token=f"t{self.rng.random()}", job="j")
        if isinstance(self.decide(claim), Applied) and self.of.instance.executing is not None:
            self.before_claim = event
            if self.rng.random() < 0.1:
                held = self.rng.choice(list(BlockedBy))
                self.decide(Block(before=event, fence=self.of.instance.fence, blocked_by=held))

    def _die(self, _: Event) -> None:
        """Crash the runner, and more often than not the ones after it."""
        while (lease := self.of.instance.lease) is not None and self.rng.random() < 0.9:
            self.now = max(self.now, lease.until)
            self._claim()

    def _step(self, event: Event) -> None:
        then = position(self.of.event_history(event.seq), event)
        if not isinstance(then, Intent):
            self._end(event)
            return
        if then.awaits and self.rng.random() < 0.7:
            self.decide(AwaitAnswer(seq=event.seq, fence=self._fence(), intent=then, known_visits=1))
            return
        outcome = self.rng.choice([DONE, DECLINED, SILENT])
        if self.rng.random() < 0.3:
            outcome = Outcome(success=True, directives=self.rng.choice(_DIRECTIVES))
        self.of.step(outcome, self.now)
        entry = self.of.event_history(event.seq).entries[-1]
        if then.answers_later and not entry.outcome.success:
            correlation_id = then.correlation_id
            self.decide(ForgoAnswer(seq=event.seq, fence=self._fence(), correlation_id=correlation_id))
        if outcome.directives and self.rng.random() < 0.9:
            self.decide(Apply(seq=event.seq, fence=self._fence(), entry=entry))

    def _end(self, event: Event) -> None:
        then = position(self.of.event_history(event.seq), event)
        end = then if isinstance(then, RunEnd) else self._any_end()
        doubted = then.correlation_id if isinstance(then, Intent) and end.how is Ending.IN_DOUBT else None
        in_doubt = self.rng.random() < 0.2
        visits = self.rng.choice([0, 1])
        command = Conclude(
            seq=event.seq,
            fence=self._fence(),
            end=end,
            in_doubt=in_doubt,
            known_visits=visits,
            correlation_in_doubt=doubted,
        )
        self.decide(command)

    def _any_end(self) -> RunEnd:
        how = self.rng.choice(list(Ending))
        if how is Ending.SUCCEEDED:
            return succeeded()
        return ended(how, self.now, pauses=self.rng.random() < 0.5)

    def _set_down(self, event: Event) -> None:
        seq, fence = event.seq, self._fence()
        commands: list[Command] = [
            Stop(seq=seq, fence=fence, known_visits=self.rng.choice([None, 0, 1])),
            Wait(seq=seq, fence=fence, until=None, known_visits=0),
            Wait(seq=seq, fence=fence, until=self.now + timedelta(hours=2), known_visits=1),
            Renew(seq=seq, fence=fence, until=self.now + timedelta(minutes=3)),
        ]
        if self.before_claim is not None:
            held = self.rng.choice(list(BlockedBy))
            commands += [Block(before=self.before_claim, fence=fence, blocked_by=held)] * 2
        self.decide(self.rng.choice(commands))

    def _crash_after_record(self, event: Event) -> None:
        """Crash the runner between the record and the write of the instance."""
        command = Conclude(
            seq=event.seq, fence=self._fence(), end=self._any_end(), in_doubt=False, known_visits=0
        )
        verdict = decide(self.of.strategy, self.of.instance, command, now=self.now)
        if isinstance(verdict, Applied) and verdict.records and verdict.records[0].event.seq == event.seq:
            self.of.put_record(verdict.records[0])
            self._die(event)

    def _fence(self) -> int:
        return self.of.instance.fence - (self.rng.random() < 0.05)

    def _dated(self) -> None:
        """Set, change or remove a date at which the status changes, or let a runner find that it has come."""
        until = self.now + self.rng.choice(_LEAPS[1:])
        commands: list[Command] = [
            Pause(by=ANN, sets_until=True, until=until),
            Pause(by=ANN, sets_until=True, until=until),
            Pause(by=ANN, sets_until=True),
            CancelAt(by=ANN, at=until),
            CancelAt(by=ANN),
            RevokeCancellation(by=ANN),
        ]
        for _ in range(4):
            commands += [EndPause(), ApplyCancellation()]
        change = next_change(self.of.instance)
        if change is not None and self.rng.random() < 0.3:
            self.now = max(self.now, change.at)
        self.decide(self.rng.choice(commands))

    def _operator(self) -> None:
        if self.is_dated and self.rng.random() < 0.5:
            self._dated()
            return
        seq = self.rng.choice([event.seq for event in self.of.instance.events] or [1])
        doubtful = [event.seq for event in self.of.instance.events if event.paused_for is PausedFor.IN_DOUBT]
        commands: list[Command] = [
            Pause(by=ANN, kill=self.rng.random() < 0.3),
            Resume(by=ANN, on_late=self.rng.choice([None, *OnResume])),
            Resume(by=ANN, on_late=self.rng.choice([None, *OnResume])),
            Execute(seq=seq, by=ANN),
            Execute(seq=seq, by=ANN),
            CancelEvent(seq=seq, by=ANN),
            self._addition(),
            self._answer(),
            self._answer(),
            CancelTasks(tasks=tuple(self.rng.sample(["bill", "remind", "greet", "part"], 2)), by=ANN),
            self._update(),
            self._reschedule(seq),
            self._reschedule(seq),
            Skip(by=ANN, cycles=self.rng.choice([1, 2, 101]), key=self.rng.choice([None, "k-3"]), body="b-3"),
            Resolve(
                seq=self.rng.choice(doubtful or [seq]), resolution=self.rng.choice(list(Resolution)), by=ANN
            ),
        ]
        redrive = self._redrive()
        commands += [] if redrive is None else [redrive] * 2
        if doubtful and self.rng.random() < 0.3:
            commands = [command for command in commands if isinstance(command, Resolve)]
        elif self.rng.random() < 0.1:
            commands = [Cancel(by=ANN, kill=self.rng.random() < 0.3)]
        self.decide(self.rng.choice(commands))

    def _answer(self) -> TakeAnswer:
        """Send an answer to a call of some event, or to no call."""
        seqs = [seq for seq, event_history in self.of.event_histories.items() if event_history.entries] or [1]
        seq = self.rng.choice(seqs)
        entries = self.of.event_history(seq).entries
        known = [entry.intent.correlation_id for entry in entries] or [CorrelationId("i-1-1.unknown")]
        answer = Answer(correlation_id=known[-1], key=f"k{self.rng.random()}", at=self.now, by="gateway")
        return TakeAnswer(seq=seq, answer=answer, event_history=self.of.event_history(seq), by=ANN)

    def _redrive(self) -> Redrive | None:
        """Redrive some event that has failed, has closed otherwise or has not failed."""
        failed = [record.event.seq for record in self.of.records if record.event.status is EventStatus.FAILED]
        waiting = [event.seq for event in self.of.instance.events if event.has_begun]
        known = failed * 3 + waiting * 3 + list(range(1, self.of.instance.next_seq))
        if not known:
            return None
        seq = self.rng.choice(known)
        record = next((record for record in self.of.records if record.event.seq == seq), None)
        event_history = replace(self.of.event_history(seq), record=record)
        step = self.rng.choice([None, None, "call", "unknown"])
        return Redrive(
            seq=seq, event_history=event_history, by=ANN, from_step=step, steps=frozenset({"call"})
        )

    def _addition(self) -> AddEvent:
        return AddEvent(
            task=self.rng.choice(["greet", "part", "unknown"]),
            by=ANN,
            date=self.rng.choice([None, self.now + timedelta(hours=3)]),
            onhold=self.rng.random() < 0.3,
            key=self.rng.choice([None, "k-1", "k-2"]),
            body=self.rng.choice(["b-1", "b-2"]),
        )

    def _reschedule(self, seq: int) -> Reschedule:
        return Reschedule(
            by=ANN,
            seq=self.rng.choice([None, None, seq]),
            date=self.now + self.rng.choice([timedelta(hours=-1), timedelta(hours=5), timedelta(days=3)]),
            keep_anchor=self.rng.random() < 0.6,
        )

    def _update(self) -> Update:
        ends = [
            None,
            self.now - timedelta(days=1),
            self.now + timedelta(hours=5),
            self.now + timedelta(days=30),
        ]
        return Update(
            by=ANN,
            description=self.rng.choice([None, "", "d"]),
            attributes=self.rng.choice([None, {}, {"level": "gold"}, {"level": None, "n": 1}, {"n": []}]),
            sets_end_date=self.rng.random() < 0.5,
            end_date=self.rng.choice(ends),
        )

    def _sweeper(self) -> None:
        commands: list[Command] = [Unblock()] if self.of.instance.blocked_by else [RecordSweep(), Finish()]
        self.decide(self.rng.choice(commands))

    def decide(self, command: Command) -> Applied | AlreadyThere | Refused:
        """Decide the command and check the result."""
        before = self.of.instance
        verdict = self.of.decide(command, self.now)
        if isinstance(verdict, Applied):
            assert verdict.instance.rev == before.rev + 1
            told = verdict.audit is not None and verdict.audit.to_state == verdict.instance.status
            assert told or verdict.instance.status is before.status, "a status changed and nobody says so"
            self._note(before, verdict.instance, verdict.records, _command_name(command), verdict.reopened)
        else:
            assert verdict.instance is before
        assert_sound(self.of.instance)
        return verdict

    def _note(
        self,
        before: Instance | None,
        after: Instance,
        records: tuple[EventRecord, ...],
        cause: str,
        reopened: EventRecord | None = None,
    ) -> None:
        was = "new" if before is None else before.status.value
        if was != after.status.value:
            self.instances.add((was, after.status.value, cause))
        earlier = {} if before is None else {event.seq: event.status.value for event in before.events}
        earlier |= {} if reopened is None else {reopened.event.seq: reopened.event.status.value}
        later = {event.seq: event.status.value for event in after.events}
        stored = [
            event_history.record
            for seq, event_history in self.of.event_histories.items()
            if seq in earlier and seq not in later
        ]
        closed = [*(record for record in stored if record is not None), *records]
        later |= {record.event.seq: record.event.status.value for record in closed}
        for seq, status in later.items():
            if earlier.get(seq) != status:
                self.events.add((earlier.get(seq, "new"), status, cause))


def _command_name(command: Command) -> str:
    """Return the command's name in the documentation."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(command).__name__).lower()


def assert_sound(instance: Instance) -> None:
    """Assert the invariants of every instance."""
    running = [event.seq for event in instance.events if event.status is EventStatus.EXECUTING]
    assert running == ([] if instance.lease is None else [instance.lease.seq])
    for event in instance.events:
        assert not event.status.is_final
        assert (event.paused_for is None) == (event.status is not EventStatus.PAUSED)
        if event.pause is not None and event.pause.answer_by is not None:
            assert event.paused_for is PausedFor.ANSWER
        stays = event.after_cancellation or event.status is EventStatus.EXECUTING
        assert stays or not instance.status.is_final, f"event {event.seq} is stuck"
    seqs = [event.seq for event in instance.events]
    assert seqs == sorted(set(seqs))
    assert all(seq < instance.next_seq for seq in seqs)
    assert len(seqs) <= MAX_UNFINISHED_EVENTS
    assert sum(event.is_main for event in instance.events) <= 1
    assert (instance.stop is None) == (instance.status is InstanceStatus.ACTIVE)
    assert not instance.is_draining or instance.lease is not None, "it drains for ever"
    if instance.status is InstanceStatus.ACTIVE and instance.main_event is None:
        assert instance.plan.has_ended, "nothing keeps it going"
    if instance.status is InstanceStatus.COMPLETED:
        assert all(event.after_cancellation for event in instance.events), "only what is redriven runs then"
    if next_event(instance) or next_change(instance) or instance.lease is not None:
        assert sweep_at(instance) is not None, "nobody would find it"
    if instance.blocked_by is not None and instance.status is not InstanceStatus.PAUSED:
        assert next_event(instance) is not None, "it is held although nothing is due"
    if instance.status is InstanceStatus.PAUSED and next_change(instance) is not None:
        assert not partition(instance).startswith("blocked"), "the sweeper would not find its date"
    assert instance.cancellation is None or not instance.status.is_final
    assert partition(instance)
