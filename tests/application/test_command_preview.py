"""Commands that list the coming runs, and their dry run. Source: docs/decisions/0062."""

from datetime import timedelta

from dev.memory.world import ManualClock, MemoryPorts
from shared.application.command_preview import Commanded, command_or_preview
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import InstanceSid
from shared.domain.instance.verdict import AlreadyThere, Applied, Refused
from shared.domain.lifecycle.commands import Cancel, Command, Pause, Resume
from tests.application.lives import Shop
from tests.lifecycle_factories import ANN, at, strategy

START = at("2026-01-31")


class Town:
    """An instance of a monthly plan in memory."""

    def __init__(self) -> None:
        clock = ManualClock(START)
        self.ports = MemoryPorts(caller=Shop([], clock), clock=clock)
        self.ports.strategies.add(strategy())
        self.sid = start_instance(
            self.ports, strategy(), StartInstance(strategy_id="shop", attributes={})
        ).instance.sid

    def command(self, command: Command, *, dry_run: bool = False) -> Commanded:
        found = command_or_preview(self.ports, self.sid, command, dry_run=dry_run)
        assert found is not None
        return found


class TestDryRun:
    """It loads and decides, and stores nothing and wakes no runner."""

    def test_it_returns_what_the_command_then_returns(self) -> None:
        town = Town()
        town.command(Pause(by=ANN))
        town.ports.clock.at += timedelta(days=70)
        before, audit = town.ports.instances.load(town.sid), len(town.ports.instances.audit)
        woken = list(town.ports.wakeups.invoked)

        preview = town.command(Resume(by=ANN), dry_run=True)

        assert town.ports.instances.load(town.sid) is before
        assert (len(town.ports.instances.audit), town.ports.wakeups.invoked) == (audit, woken)
        assert isinstance(preview.verdict, Applied)
        assert preview == town.command(Resume(by=ANN))
        assert town.ports.wakeups.invoked == [*woken, town.sid]

    def test_a_command_without_effect_still_says_what_will_run(self) -> None:
        found = Town().command(Resume(by=ANN), dry_run=True)
        assert isinstance(found.verdict, AlreadyThere)
        assert found.coming is not None
        assert [run.event.created_cycle for run in found.coming.runs] == [1, 2, 3]

    def test_a_refused_command_says_only_why(self) -> None:
        town = Town()
        town.command(Cancel(by=ANN))
        for dry_run in (True, False):
            found = town.command(Resume(by=ANN), dry_run=dry_run)
            assert isinstance(found.verdict, Refused)
            assert found.coming is None

    def test_an_unknown_instance(self) -> None:
        town = Town()
        unknown = InstanceSid("i-404")
        for dry_run in (True, False):
            assert command_or_preview(town.ports, unknown, Pause(by=ANN), dry_run=dry_run) is None

    def test_a_pause_takes_effect_even_if_the_settings_cannot_be_read(self) -> None:
        town = Town()
        town.ports.strategies.strategies.clear()
        found = town.command(Pause(by=ANN))
        assert isinstance(found.verdict, Applied)
        assert found.coming is None
