"""Each guard against calls that a stop or a flag forbids is removed once, and a law of the town notices."""

from datetime import datetime

import pytest
from msgspec.structs import replace

import shared.application.runner.progress
import shared.application.runner.step
import shared.domain.lifecycle.decide
from shared.application.commit import save
from shared.application.ports import Ports
from shared.application.runner.progress import Run, refresh
from shared.application.runner.report import Stopped
from shared.domain.ids import AccountId, StrategySid
from shared.domain.instance.event import Event
from shared.domain.instance.flags import Flags
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import Applied, Verdict
from shared.domain.lifecycle.commands import Pause
from shared.domain.lifecycle.pause_resume_cancel import pause
from tests.simulation.bad_towns import bad_town, end_well, live
from tests.simulation.ports import Strategies

MAX_SEEDS = 60


def caught() -> str:
    """Return the message of the first law that fails."""
    for seed in range(1, MAX_SEEDS + 1):
        there = bad_town(seed)
        try:
            live(there)
            end_well(there)
        except AssertionError as error:
            return str(error)
    return ""


class TestARemovedGuardIsCaught:
    """Each of these guards alone keeps a forbidden call from being made, or a history right."""

    def test_a_flag_that_is_not_read_after_the_claim_is_caught(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def blind(_self: Strategies, _account: AccountId, _strategy: StrategySid) -> Flags:
            return Flags()

        monkeypatch.setattr(Strategies, "flags", blind)

        assert "was paused before the claim" in caught()

    def test_a_claim_of_a_paused_instance_is_caught(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def lets_run(instance: Instance, event: Event) -> bool:
            return not instance.status.is_final or event.after_cancellation

        monkeypatch.setattr(Instance, "lets_run", lets_run)

        assert "claimed although stopped" in caught()

    def test_a_pause_that_is_not_read_between_steps_is_caught(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def careless(run: Run, instance: Instance | None) -> Run | Stopped:
            after = refresh(run, instance)
            if isinstance(after, Stopped):
                return after
            return replace(after, instance=replace(after.instance, status=InstanceStatus.ACTIVE, stop=None))

        for module in (shared.application.runner.progress, shared.application.runner.step):
            monkeypatch.setattr(module, "refresh", careless)

        assert "a second step started" in caught()

    def test_an_answer_that_says_too_early_that_nothing_runs_is_caught(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def hasty(instance: Instance, command: Pause, *, now: datetime) -> Verdict:
            verdict = pause(instance, command, now=now)
            stop = verdict.instance.stop
            if not isinstance(verdict, Applied) or stop is None:
                return verdict
            return replace(verdict, instance=replace(verdict.instance, stop=replace(stop, drained_at=now)))

        monkeypatch.setattr(shared.domain.lifecycle.decide, "pause", hasty)

        assert "is drained" in caught()

    def test_a_record_that_is_stored_after_the_instance_is_caught(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def record_last(ports: Ports, verdict: Applied, seq: int) -> bool:
            others = tuple(record for record in verdict.records if record.event.seq != seq)
            is_saved = save(ports, replace(verdict, records=others))
            for record in verdict.records:
                if is_saved and record.event.seq == seq:
                    ports.instances.put_record(verdict.instance, record)
            return is_saved

        monkeypatch.setattr(shared.application.runner.step, "_save_record_first", record_last)

        assert "instance" in caught()
