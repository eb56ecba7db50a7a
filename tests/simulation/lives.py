"""The life of one subscription: runs, crashes, declined charges, and commands at random moments.

Before each command its dry run is sent in the same state. Its answer is compared with that of the command, with the
change that the command stored, and with the runs until the next disturbance: the next command, or a run that fails.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from shared.application.start import StartInstance, start_instance
from shared.domain.calendar.dates import parse_instant
from shared.domain.instance.event import Event
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.reason import Cause
from shared.domain.instance.zone import zone_of
from shared.domain.steps.call import Answered as CallAnswered
from shared.domain.steps.call import CallOutcome, ServiceRequest
from shared.domain.strategy.model import OnResume
from tests.simulation.any_command import AnyCommand, Sent
from tests.simulation.faults import Faults
from tests.simulation.front_desk import Answered, FrontDesk, shown
from tests.simulation.laws import event_of_call, only_instance
from tests.simulation.meaning import Meaning
from tests.simulation.promises import PAUSED, Claimed, Promise, Stretch, seq_of
from tests.simulation.subscriptions import (
    BEGINNING,
    any_attributes,
    any_subscription,
    head_of,
)
from tests.simulation.watch import Watch
from tests.simulation.world import World

CYCLES = 30
"""About how many cycles a life has, if nothing ends it."""

GAPS = (0.05, 0.2, 0.5, 1, 2.5)
"""How long an operator waits between two commands, in cycles."""

BY_ENGINE = (Cause.EXHAUSTED, Cause.POISONED, Cause.IN_DOUBT, Cause.CONTROLLER)
"""The causes of stops that no plan foresees."""


@dataclass
class Shop:
    """A service that declines some charges. A repeated key gets the first answer."""

    rng: random.Random
    declines: float
    given: dict[str, CallOutcome] = field(default_factory=dict)

    def __call__(self, request: ServiceRequest) -> CallOutcome:
        key = request.headers.get("Idempotency-Key", request.call_key)
        if key not in self.given:
            declined = self.rng.random() < self.declines
            self.given[key] = CallAnswered(status=402 if declined else 201, body={"id": "c-1"})
        return self.given[key]


@dataclass
class Life:
    """A subscription in its world.

    ``local_dates`` are the days that main events are due on in the zone of the customer, and ``moved`` the events that
    an operator has moved. ``counts`` are the commands by kind and outcome, and ``compared`` is how many runs were
    compared with a plan. ``disturbed_at`` is when a run failed for the first time since the last command, after the
    first ``foreseeable`` claims. ``settle`` compares the last command with the claims and records since.
    """

    world: World
    rng: random.Random
    desk: FrontDesk
    days: int
    claims: list[Claimed] = field(default_factory=list)
    local_dates: dict[int, date] = field(default_factory=dict)
    moved: set[int] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    disturbed_at: datetime | None = None
    foreseeable: int | None = None
    settle: Callable[[], None] = lambda: None
    fence: int = 0
    before: Instance | None = None

    @classmethod
    def begun(cls, seed: int) -> "Life":
        """Return a subscription at its beginning."""
        rng = random.Random(seed)
        strategy, days = any_subscription(rng)
        now = BEGINNING + timedelta(
            days=rng.randint(0, 12), hours=rng.randint(0, 23), minutes=rng.choice([0, 30])
        )
        world = World(strategy=strategy, now_at=now, faults=bad_days(rng))
        world.flags.heads[strategy.sid] = head_of(strategy)
        world.answers = Shop(rng, declines=rng.choice([0, 0.05, 0.2]))
        Watch(world).install()
        life = cls(world=world, rng=rng, desk=FrontDesk.open(world), days=days)
        world.commit_watchers.append(life.committed)
        first = now + timedelta(days=rng.choice([-40, 0, 0, 1, 10]))
        start = StartInstance(
            strategy_id=strategy.name,
            start_date=first,
            end_date=max(now, first) + timedelta(days=days * rng.randint(3, 20))
            if rng.random() < 0.2
            else None,
            attributes=any_attributes(rng, now),
            missed=rng.choice([None, *(rule for rule in OnResume if rule is not OnResume.SHIFT)]),
        )
        start_instance(world, strategy, start)
        life.before = life.instance
        return life

    @property
    def instance(self) -> Instance:
        """Return the subscription as it is stored."""
        return only_instance(self.world)

    @property
    def now(self) -> datetime:
        """Return the time."""
        return self.world.now_at

    # --- observation ----------------------------------------------------------------------------------------

    def committed(self, instance: Instance) -> None:
        """Observe a change when it is stored: claims, runs that fail, and local dates."""
        before, self.before = self.before, instance
        event = instance.executing
        if event is not None and event.claim.fence > self.fence:
            self.claims.append(Claimed(at=self.now, event=_as_planned(before, event)))
        self.fence = max(self.fence, instance.fence)
        if before is not None and _has_failed(before, instance) and self.disturbed_at is None:
            self.disturbed_at, self.foreseeable = self.now, len(self.claims)
        main = instance.main_event
        if main is not None and not main.has_begun:
            self.local_dates[main.seq] = self._local_date(instance, main)

    def _local_date(self, instance: Instance, main: Event) -> date:
        return main.date.astimezone(zone_of(self.world.strategy, instance)).date()

    # --- commands ---------------------------------------------------------------------------------------------

    def live(self) -> None:
        """Let the subscription live to its end, with commands at random moments."""
        end = self.now + timedelta(days=self.days * CYCLES)
        while self.now < end and not self.instance.status.is_final:
            self._let_pass(timedelta(days=self.days) * self.rng.choice(GAPS))
            self._command()
        self.world.faults.until = 0
        self._let_pass(timedelta(days=3))
        self._finish_settling()

    def _let_pass(self, span: timedelta) -> None:
        """Advance time, preferably to just before or after the next date."""
        at = self.now + span
        main = self.instance.main_event
        if main is not None and self.now < main.due_at < at and self.rng.random() < 0.5:
            at = main.due_at + timedelta(milliseconds=self.rng.choice([-60_000, 0, 500, 900, 2000, 60_000]))
        self.world.run_until(max(at, self.now))

    def _finish_settling(self) -> None:
        self.settle()
        self.settle = lambda: None

    def _command(self) -> None:
        """Send a random command, and compare its dry run with it."""
        self._finish_settling()
        command = AnyCommand(self.rng, self.instance, self.now, self.days).any()
        before, records = self.instance, set(self.world.store.records)
        plan_before, forecast_before = self._plan(), self._forecast()
        foreseen = self._dry_run(command) if command.has_dry_run else None
        claims = len(self.claims)
        self.disturbed_at = self.foreseeable = None
        answered = self.desk.send(command.method, command.path, {**command.body} or None)
        after = self.desk.calmly("GET", self.path())
        outcome = "refused" if answered.is_refusal else "applied" if self.instance != before else "unchanged"
        self.counts[f"{command.name} {outcome}"] += 1
        message = f"{self.now} {command.name} {command.body}"
        try:
            self._compare_at_once(foreseen, answered, after, before)
            plan = self._plan_after(foreseen)
            self._compare_records_at_once(foreseen or answered, records)
            forecast = self._forecast()
            self._compare_forecast(plan, forecast)
            if not answered.is_refusal:
                Meaning(
                    strategy=self.world.strategy,
                    now=self.now,
                    command=command,
                    before=before,
                    after=self.instance,
                    plan_before=plan_before,
                    plan=plan,
                    forecast_before=forecast_before,
                    forecast=forecast,
                ).check()
                self._note_moved(command, before)
        except AssertionError as error:
            raise AssertionError(f"{message}: {error}") from error
        # What the command itself has closed is in its own plan only.
        is_own = foreseen is not None and "plan" in foreseen.body and plan is not PAUSED
        if plan is not None:
            since = records if is_own else set(self.world.store.records)
            self.settle = self._settling(plan, message, claims=claims, records=since)

    def _settling(self, plan: Promise, message: str, *, claims: int, records: set[Any]) -> Callable[[], None]:
        """Return the function that compares a plan with the claims and records after it; those before it are given."""
        begin, next_seq = self.now, self.instance.next_seq

        def settle() -> None:
            end, is_undisturbed = self.disturbed_at or self.now, self.disturbed_at is None
            closed = self._records_since(records)
            stretch = Stretch(
                begin=begin,
                end=end,
                next_seq=next_seq,
                claims=self.claims[claims : self.foreseeable],
                # What closes at the very instant of a failure may close because of it.
                records=[one for one in closed if is_undisturbed or one.finished_at < end],
                instance=self.instance,
                is_undisturbed=is_undisturbed,
            )
            try:
                self.compared += plan.compare(stretch)
            except AssertionError as error:
                raise AssertionError(f"{message} until {end}: {error}; {shown(plan.plan)}") from error

        return settle

    def assert_no_local_date_charged_twice(self) -> None:
        """Assert that no two charges are for the same local date, unless an operator has moved one of them to it."""
        charged = {event_of_call(sending.key) for sending in self.world.ledger if sending.took_effect}
        of_dates: dict[date, list[int]] = {}
        for seq in sorted(charged.intersection(self.local_dates) - self.moved):
            of_dates.setdefault(self.local_dates[seq], []).append(seq)
        twice = {str(day): seqs for day, seqs in of_dates.items() if len(seqs) > 1}
        assert not twice, f"charged twice for the same local date: {twice}"

    def _note_moved(self, command: Sent, before: Instance) -> None:
        """Remember an event that an operator has moved, also by an attribute (docs/decisions/0060)."""
        was, main = before.main_event, self.instance.main_event
        if command.name == "reschedule event":
            self.moved.add(seq_of(command.body["event"]))
        elif command.name.startswith("reschedule") and main is not None:
            self.moved.add(main.seq)
        elif command.method == "PATCH" and was is not None and main is not None and was.seq == main.seq:
            is_moved = self._local_date(before, was) != self._local_date(self.instance, main)
            self.moved.update({main.seq} if is_moved else ())

    def path(self, rest: str = "") -> str:
        """Return the path of the subscription."""
        return f"/execution-instance/{self.instance.sid}{rest}"

    def _dry_run(self, command: Sent) -> Answered:
        """Send the dry run of a command, which must change nothing."""
        world, body = self.world, {**command.body, "dryRun": True}
        before = (self.instance, len(world.store.records), len(world.store.audit), dict(world.schedules))
        processes = list(world.stage.processes)
        answered = self.desk.send(command.method, command.path, body)
        after = (self.instance, len(world.store.records), len(world.store.audit), dict(world.schedules))
        assert before == after, "a dry run has changed something"
        assert processes == world.stage.processes, "a dry run has woken a runner"
        return answered

    def _plan(self) -> Promise | None:
        """Return the coming runs of the instance as it is; if it is paused without an end, as if it were resumed now.

        None if it is paused with an end, or is to be canceled now: a resume would do something else.
        """
        stop, scheduled = self.instance.stop, self.instance.cancellation
        is_over = stop is not None and scheduled is not None and scheduled.at <= self.now
        if self.instance.status.is_final or is_over or (stop is not None and stop.until is not None):
            return None
        answered = self.desk.calmly("POST", self.path("/resume"), {"dryRun": True})
        return None if answered.is_refusal else self._promise(answered.body)

    def _forecast(self) -> dict[int, datetime]:
        """Return the planned dates of the coming cycles, as the forecast has them."""
        answered = self.desk.calmly("GET", self.path("/forecast?cycles=12"))
        mains = {one["cycle"]: one["mainEvent"] for one in answered.body["cycles"]}
        return {cycle: parse_instant(main.get("plannedDate", main["date"])) for cycle, main in mains.items()}

    def _compare_forecast(self, plan: Promise | None, forecast: dict[int, datetime]) -> None:
        """Compare the plan after a command with the forecast, which knows no command."""
        planned = {} if plan is None else plan.planned_dates
        for cycle in planned.keys() & forecast.keys():
            assert planned[cycle] == forecast[cycle], (
                f"cycle {cycle} is planned for {planned[cycle]}, and the forecast says {forecast[cycle]}"
            )

    def _promise(self, body: dict[str, Any]) -> Promise:
        plan, instance = body["plan"], self.instance
        stop = instance.stop
        until = None if stop is None else stop.until
        return Promise(
            plan,
            is_canceled_later=instance.cancellation is not None,
            resumes_at=until,
            on_missed=self.world.strategy.definition.on_missed,
            draining=instance.lease.seq if instance.status.is_final and instance.lease is not None else None,
        )

    def _plan_after(self, foreseen: Answered | None) -> Promise | None:
        """Return the coming runs after the command, as in its dry run, which must agree with the instance then."""
        own = None
        if foreseen is not None and not foreseen.is_refusal and "plan" in foreseen.body:
            own = self._promise(foreseen.body)
        now = self._plan()
        if own is not None and now is not None:
            is_paused = self.instance.status is InstanceStatus.PAUSED
            # A resume could bring the plan to its end before the date of a cancellation.
            ends_first = is_paused and self.instance.plan.end_date is not None and not now.farewells
            rows = own.rows - own.farewells if ends_first else own.rows
            assert now.rows == rows, (
                f"the dry run lists {sorted(own.rows)}, and then {sorted(now.rows)} will run"
            )
            assert is_paused or own.plan["runs"] == now.plan["runs"], (
                f"the dry run lists {shown(own.plan['runs'])}, and then {shown(now.plan['runs'])} will run"
            )
            assert now.skipped <= own.skipped, f"cycles {now.skipped - own.skipped} are not in the dry run"
            assert now.canceled <= own.canceled, (
                f"events {now.canceled - own.canceled} are not in the dry run"
            )
        stop = self.instance.stop
        if self.instance.status is InstanceStatus.PAUSED and stop is not None and stop.until is None:
            # Nothing runs until a command.
            return PAUSED
        return own or now

    def _compare_at_once(
        self, foreseen: Answered | None, answered: Answered, after: Answered, before: Instance
    ) -> None:
        """Compare the dry run with the answer to the command, and with the stored instance."""
        if foreseen is None:
            return
        if foreseen.is_refusal:
            assert (answered.status, _why(answered)) == (foreseen.status, _why(foreseen))
            assert self.instance == before, "a refused command has changed something"
            return
        said = foreseen.body.get("executionInstance", foreseen.body)
        stored = {name: said.get(name) for name in after.body}
        assert stored == after.body, f"the dry run says {shown(stored)}, and stored is {shown(after.body)}"
        if answered.lost:
            return  # the answer to a repeat says what is left to do
        assert not answered.is_refusal, f"refused, and not by the dry run: {answered.body}"
        ignored = {"dryRun", "strategy"} | ({"plan"} - set(answered.body))
        found, expected = _without(answered.body, ignored), _without(foreseen.body, ignored)
        assert found == expected, f"the dry run says {shown(expected)}, and the command {shown(found)}"

    def _compare_records_at_once(self, said: Answered, before: set[Any]) -> None:
        """Check that everything that the command has closed is in its answer."""
        body = said.body
        if said.is_refusal or not ("plan" in body or "canceledEvents" in body):
            return
        plan = Promise(body.get("plan", {"runs": [], **_without(body, {"runs"})}))
        for record in self._records_since(before):
            first, last = record.skipped_cycles or (0, -1)
            is_said = record.event.seq in plan.canceled or set(range(first, last + 1)) & plan.skipped
            assert is_said, f"event {record.event.seq} was closed, and is not in the answer: {record.why}"

    def _records_since(self, before: set[Any]) -> list[EventRecord]:
        return [record for key, record in self.world.store.records.items() if key not in before]


def bad_days(rng: random.Random) -> Faults:
    """Return faults for a whole life: crashes, lost replies and bad wakeups, and few failures of the service."""
    return Faults(
        rng=rng,
        until=1_000_000,
        kill=0.01,
        stall=0.01,
        lost_reply=0.02,
        lost_any_reply=0.02,
        lost_wakeup=0.05,
        double_wakeup=0.1,
        late_wakeup=0.05,
        early_wakeup=0.05,
        service_error=0.01,
        service_silence=0.01,
        call_lasts=3,
    )


def _as_planned(before: Instance | None, event: Event) -> Event:
    """Return a claimed event as it was before its claim."""
    earlier = None if before is None else before.event(event.seq)
    return earlier or event


def _has_failed(before: Instance, after: Instance) -> bool:
    """Return whether a run has failed, or the engine has stopped the instance."""
    known = {event.seq: event.failure for event in before.events}
    failed = any(event.failure != known.get(event.seq) for event in after.events)
    stopped = after.stop is not None and after.stop != before.stop and after.stop.reason.cause in BY_ENGINE
    return failed or stopped or after.failed_events != before.failed_events


def _why(answered: Answered) -> Any:
    return {name: value for name, value in answered.body.items() if name not in ("errorId", "timestamp")}


def _without(body: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}
