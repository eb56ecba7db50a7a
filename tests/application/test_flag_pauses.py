"""A strategy or a queue that was paused on a date counts for it, although the instance had nothing due then.

Source: docs/decisions/0063.
"""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from dev.memory.world import ManualClock, MemoryPorts
from shared.application.command_preview import command_or_preview
from shared.application.commit import strategy_of
from shared.application.explain import explain_at
from shared.application.flags import pause_queue, pause_strategy, resume_queue, resume_strategy
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import InstanceSid
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Pause, Resume
from shared.domain.planning.forecast import forecast
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json, StrategyHead
from tests.lifecycle_factories import at, calendar, strategy

ANN = Actor(name="ann")
WEEKLY: Json = {"unit": "days", "amount": 7}
DUNNING: Json = {"times": 1, "retryAfter": {"unit": "days", "amount": 15}, "jitterPercent": 0}


@dataclass(slots=True)
class Bank:
    """A service that declines or accepts each charge."""

    declines: bool = True

    def call(self, _: ServiceRequest) -> CallOutcome:
        return Answered(status=402 if self.declines else 201, body={})


class Subscription:
    """A weekly plan whose first charge, of 5 January, is declined and tried again after fifteen days."""

    def __init__(self, **rules: Json) -> None:
        self.bank = Bank()
        self.ports = MemoryPorts(caller=self.bank, clock=ManualClock(at("2026-01-05")))
        of = strategy(calendar(WEEKLY), retry=DUNNING, **rules)
        self.ports.strategies.add(of)
        self.head = StrategyHead(
            sid=of.sid,
            account_id=of.account_id,
            name=of.name,
            version=1,
            created_at=at("2026-01-01"),
            updated_at=at("2026-01-01"),
        )
        self.ports.strategies.heads[of.sid] = self.head
        request = StartInstance(strategy_id=of.name, attributes={}, start_date=at("2026-01-05"))
        self.sid: InstanceSid = start_instance(self.ports, of, request).instance.sid
        self.run("2026-01-05")
        self.bank.declines = False

    def run(self, now: str) -> None:
        self.ports.clock.at = at(now)
        run_due_events(self.ports, self.sid, job="job", time_left=lambda: timedelta(minutes=15))

    def pause(self, flag: str, since: str, until: str) -> None:
        """Pause a flag for a while, in which the instance has nothing due."""
        self.ports.clock.at = at(since)
        if flag == "queue":
            pause_queue(self.ports, self.head.account_id, by=ANN)
            self.ports.clock.at = at(until)
            resume_queue(self.ports, self.head.account_id, by=ANN)
            return
        paused = pause_strategy(self.ports, self.head, by=ANN)
        self.ports.clock.at = at(until)
        resume_strategy(self.ports, paused, by=ANN)

    @property
    def charged(self) -> list[str]:
        """Return the planned dates of the charges that succeeded."""
        records = sorted(self.ports.instances.records.values(), key=lambda record: record.event.seq)
        return [
            f"{record.event.planned_date:%m-%d}" for record in records if record.event.status == "PROCESSED"
        ]

    def foreseen(self) -> list[str]:
        """Return the dates of the next three charges by the forecast."""
        instance = self.ports.instances.load(self.sid)
        assert instance is not None
        of = strategy_of(self.ports, instance, now=self.ports.clock.now())
        cycles = forecast(of, instance, cycles=3, now=self.ports.clock.now()).cycles
        return [f"{cycle.main.planned_date:%m-%d}" for cycle in cycles]


@pytest.mark.parametrize("flag", ["queue", "strategy"])
class TestAFlagDuringRetries:
    """12 and 19 January pass while the charge of 5 January waits for its second attempt."""

    def test_a_date_on_which_it_was_paused_falls_under_on_resume(self, flag: str) -> None:
        of = Subscription(onResume="skip")
        of.pause(flag, "2026-01-18", "2026-01-20T06:00")
        of.ports.clock.at = at("2026-01-20T12:00")
        assert of.foreseen() == ["01-05", "01-12", "01-26"]
        of.run("2026-01-20T12:00")
        assert of.charged == ["01-05", "01-12"]

    def test_the_answer_to_a_command_tells_the_same(self, flag: str) -> None:
        of = Subscription(onResume="skip")
        of.pause(flag, "2026-01-18", "2026-01-20T06:00")
        of.ports.clock.at = at("2026-01-20T12:00")
        found = command_or_preview(of.ports, of.sid, Resume(by=ANN), dry_run=True)
        assert found is not None
        assert found.coming is not None
        runs = [f"{run.event.planned_date:%m-%d}" for run in found.coming.runs]
        assert runs[:3] == ["01-05", "01-12", "01-26"]

    def test_a_date_on_which_it_was_not_paused_runs(self, flag: str) -> None:
        of = Subscription(onResume="skip")
        of.pause(flag, "2026-01-13", "2026-01-18")
        of.run("2026-01-20T12:00")
        assert of.charged == ["01-05", "01-12", "01-19"]

    @pytest.mark.parametrize(
        ("paused", "rules", "charged"),
        [
            (("01-11", "01-13"), {"onResume": "all", "onMissed": "skip"}, ["01-05", "01-12"]),
            (("01-18", "01-20T06:00"), {"onResume": "all", "onMissed": "skip"}, ["01-05", "01-19"]),
            (("01-13", "01-18"), {"onResume": "all", "onMissed": "skip"}, ["01-05"]),
            (("01-11", "01-13"), {"onResume": "all", "onMissed": "last"}, ["01-05", "01-12", "01-19"]),
            (("01-18", "01-20T06:00"), {"onResume": "skip", "onMissed": "last"}, ["01-05", "01-12"]),
            (("01-11", "01-13"), {"onResume": "skip", "onMissed": "last"}, ["01-05", "01-19"]),
        ],
    )
    def test_each_rule_decides_about_its_dates_when_the_charge_ends(
        self, flag: str, paused: tuple[str, str], rules: Json, charged: list[str]
    ) -> None:
        of = Subscription(**rules)
        of.pause(flag, *(f"2026-{date}" for date in paused))
        of.run("2026-01-20T12:00")
        assert of.charged == charged

    def test_it_decides_when_a_pause_of_the_instance_ends_by_itself(self, flag: str) -> None:
        """12 January is within the pause of the instance, and 19 January within that of the flag."""
        of = Subscription(onResume="all", onMissed="skip")
        of.run("2026-01-10")
        until = Pause(by=ANN, sets_until=True, until=at("2026-01-17"))
        command_or_preview(of.ports, of.sid, until, dry_run=False)
        of.pause(flag, "2026-01-18", "2026-01-20T06:00")
        of.run("2026-01-20T12:00")
        assert of.charged == ["01-05", "01-12", "01-19"]


class TestAnOutage:
    """No runner is there for weeks, and a flag is paused and cleared meanwhile."""

    def test_the_flags_are_read_before_a_late_event_is_claimed(self) -> None:
        of = Subscription(onResume="skip")
        of.run("2026-01-20T12:00")
        of.pause("strategy", "2026-01-25", "2026-01-27")
        of.run("2026-02-10")
        assert of.charged == ["01-05", "01-12", "01-19", "02-02", "02-09"]
        instance = of.ports.instances.load(of.sid)
        assert instance is not None
        assert explain_at(of.ports, instance, at("2026-01-26")).finding.reason == "SKIPPED"
