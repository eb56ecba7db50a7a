"""The rule for each missed date, by why it was missed.

Source: docs/design.md section 4; docs/decisions/0063.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from msgspec import Struct

from shared.domain.instance.downtime import will_be_forgotten
from shared.domain.instance.due import GRACE
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.strategy.model import OnMissed, OnResume, Strategy

ON_RESUME: Final = "onResume"
ON_MISSED: Final = "onMissed"


class MissedRule(Struct, frozen=True, kw_only=True):
    """Which missed dates run: ``value``, and the setting that it comes from."""

    setting: str
    value: OnResume

    @property
    def is_of_pause(self) -> bool:
        """Return whether the date passed during a pause, or before the instance was created."""
        return self.setting == ON_RESUME

    @property
    def text(self) -> str:
        """Return the rule as text for users, for example ``onMissed: skip``."""
        return f"{self.setting}: {self.value.value}"


RuleFor = Callable[[datetime], MissedRule]
"""The rule for a date that has passed."""

EVERY = MissedRule(setting=ON_MISSED, value=OnResume.ALL)
"""The rule under which every missed date runs."""


def missed_rules(strategy: Strategy, instance: Instance, *, paused: Instance | None = None) -> RuleFor:
    """Return the rules for the missed dates of an instance.

    ``onResume`` decides about a date on which the instance, its strategy or the queue was paused, and about a date
    before the instance was created. ``onMissed`` decides about any other: an earlier event was not finished, or no
    runner was there. ``paused`` is the instance before a resume, which has already ended the pause of ``instance``.
    """
    pauses = list(_pauses(strategy, paused or instance))
    of_pause = MissedRule(setting=ON_RESUME, value=resume_rule(strategy, instance))
    # A schedule of the instance's own makes up for all missed dates with one run.
    on_missed = strategy.definition.on_missed if instance.plan.schedule is None else OnMissed.LAST
    other = MissedRule(setting=ON_MISSED, value=OnResume(on_missed.value))

    def rule_for(date: datetime) -> MissedRule:
        # Older pauses are not known any more, and nobody is charged for a date that may have been paused. A resume must
        # decide as the claim after it, for which the pause that it ends is one of those that are remembered.
        if date < instance.created_at or will_be_forgotten(paused or instance, date):
            return of_pause
        is_paused = any(since <= date and (until is None or date < until) for since, until in pauses)
        return of_pause if is_paused else other

    return rule_for


def _pauses(strategy: Strategy, instance: Instance) -> Iterator[tuple[datetime, datetime | None]]:
    """Yield when the instance, its strategy or the queue was paused, from and until; None while it lasts."""
    for flag in strategy.flag_pauses:
        yield flag.since, flag.until
    for downtime in instance.downtimes:
        # A block begins when a runner finds the flag, which is after the date.
        yield downtime.since if downtime.blocked_by is None else downtime.since - GRACE, downtime.until
    if instance.stop is not None and instance.status is InstanceStatus.PAUSED:
        # If the engine is late, dates after the end of the pause are not of the pause.
        yield instance.stop.at, instance.stop.until
    if instance.blocked is not None:
        main, since = instance.main_event, instance.blocked.since - GRACE
        yield since if main is None or main.has_begun else min(since, main.date), None


def resume_rule(strategy: Strategy, instance: Instance) -> OnResume:
    """Return the rule for dates missed by a pause: the last resume's until it has caught up, else the strategy's."""
    return instance.plan.on_late or strategy.definition.on_resume
