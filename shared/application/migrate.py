"""Move one instance to another version of its strategy, or preview its new dates.

Source: docs/design.md section 7; docs/contracts/core.md section 5.
"""

from msgspec import Struct, field
from msgspec.structs import replace

from shared.application.commit import MAX_RACES, ContentionError, save, strategy_of
from shared.application.control import wake_runner
from shared.application.ports import Ports
from shared.domain.ids import InstanceSid
from shared.domain.instance.event import Event
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Actor, AlreadyThere, Refused, Verdict
from shared.domain.lifecycle.commands import Migrate
from shared.domain.lifecycle.decide import decide
from shared.domain.lifecycle.migrate import PlanChanges, plan_changes
from shared.domain.planning.forecast import ComingRuns, coming_runs, forecast
from shared.domain.strategy.model import Strategy

CYCLES = 12
"""How many coming cycles are compared."""


_CANCELED = (ClosedBy.MIGRATION, ClosedBy.MAIN_EVENT)
"""Why a migration cancels events. It may skip others as it plans the next cycle."""


class Migrated(Struct, frozen=True, kw_only=True):
    """The result of a migration or of its preview.

    ``before`` is the version before it. ``canceled`` are events whose task does not exist in the new version.
    ``coming`` are the coming runs after it.
    """

    verdict: Verdict
    before: int
    changes: PlanChanges
    canceled: tuple[Event, ...] = ()
    coming: ComingRuns = field(default_factory=ComingRuns)


def migrate_instance(
    ports: Ports,
    sid: InstanceSid,
    version: int,
    *,
    by: Actor,
    dry_run: bool,
    known: Instance | None = None,
) -> Migrated | None:
    """Move an instance, or with ``dry_run`` only preview that. Return None if there is no such instance.

    ``known`` is the instance if the caller has just loaded it by a strong read. It is loaded again only after a lost
    race.
    Raises: UnknownStrategyError: there is no such version. ContentionError: nothing was written.
    """
    for _ in range(MAX_RACES):
        instance, known = known or ports.instances.load(sid), None
        if instance is None:
            return None
        strategy = strategy_of(ports, instance, now=ports.clock.now())
        target = ports.strategies.load(instance.strategy_sid, version)
        target = replace(target, flag_pauses=strategy.flag_pauses)
        now = ports.clock.now()
        verdict = decide(strategy, instance, Migrate(to=target, by=by), now=now)
        if isinstance(verdict, Refused):
            return Migrated(verdict=verdict, before=instance.strategy_version, changes=PlanChanges())
        coming = coming_runs(target, verdict.instance, now=now)
        if isinstance(verdict, AlreadyThere):
            return Migrated(
                verdict=verdict, before=instance.strategy_version, changes=PlanChanges(), coming=coming
            )
        found = Migrated(
            verdict=verdict,
            before=instance.strategy_version,
            changes=_changes(ports, strategy, instance, target, verdict.instance),
            canceled=tuple(record.event for record in verdict.records if record.closed_by in _CANCELED),
            coming=coming,
        )
        if dry_run:
            return found
        if save(ports, verdict):
            wake_runner(ports, verdict)
            return found
    raise ContentionError(f"instance {sid} changed {MAX_RACES} times during one migration; repeat it")


def _changes(
    ports: Ports, strategy: Strategy, before: Instance, target: Strategy, after: Instance
) -> PlanChanges:
    now = ports.clock.now()
    return plan_changes(
        forecast(strategy, before, cycles=CYCLES, now=now), forecast(target, after, cycles=CYCLES, now=now)
    )
