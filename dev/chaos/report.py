"""The report of a run: counts, lateness, violations. As text and as JSON."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dev.chaos.judge import Rule, Violation

MAX_SHOWN = 20
"""How many violations are printed. The JSON has all of them."""

MIN_SECONDS = 120
"""A run of this length fails if a kind of fault never happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """How late events began, in seconds."""

    events: int
    p50: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a run says.

    ``late`` is by the trigger of the runner that began the events, of instances that no client commands by themselves.
    A pause of their strategy or of the queue delays them, too.

    ``judged_stops`` are the cancels and pauses of instances after which nothing may be called. ``excused`` are the
    calls after them that may come from a frozen process. ``failures`` are those that calls met at the services.
    ``planned_seconds`` is how long the run was to last with its start.
    """

    seed: int
    seconds: float
    settle_seconds: float
    kills: Mapping[str, int]
    stops: Mapping[str, int]
    disturbed: Mapping[str, int]
    failures: Mapping[str, int]
    commands: Mapping[str, int]
    answers: Mapping[str, int]
    instances: Mapping[str, int]
    events: Mapping[str, int]
    calls: int
    effects: int
    marked: int
    late: Mapping[str, Lateness]
    judged_stops: Mapping[str, int] = field(default_factory=dict)
    excused: int = 0
    planned_seconds: float = 0
    leftovers: Sequence[str] = ()
    violations: Sequence[Violation] = field(default_factory=list)

    @property
    def untested(self) -> list[str]:
        """What a run of this length must have tested and has not: it shows nothing. A shorter run may have gaps."""
        if self.planned_seconds < MIN_SECONDS:
            return []
        has_succeeded = any(self.answers.get(str(status)) for status in range(200, 300))
        gaps = {
            "no process was killed": not sum(self.kills.values()),
            "no request was disturbed": not sum(self.disturbed.values()),
            "no call failed at a service": not sum(self.failures.values()),
            "no command was answered with success": not has_succeeded,
            "no pause or cancel of an instance could be judged": not sum(self.judged_stops.values()),
        }
        return [gap for gap, is_open in gaps.items() if is_open]

    @property
    def exit_status(self) -> int:
        """1 if anything is wrong or untested, else 0."""
        return 1 if self.violations or self.leftovers or self.untested else 0

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON."""
        by_rule = Counter(violation.rule.value for violation in self.violations)
        return {
            **asdict(self),
            "untested": self.untested,
            "violationsByRule": {rule.value: by_rule[rule.value] for rule in Rule},
        }

    def lines(self) -> list[str]:
        """Return the report as text."""
        by_rule = Counter(violation.rule for violation in self.violations)
        shown = [f"  {violation.rule}: {violation.what}" for violation in self.violations[:MAX_SHOWN]]
        hidden = len(self.violations) - MAX_SHOWN
        return [
            f"seed {self.seed}: {self.seconds:.0f} s of faults, settled in {self.settle_seconds:.0f} s",
            f"kills        {_counted(self.kills)}",
            f"stops        {_counted(self.stops)}",
            f"requests     {_counted(self.disturbed)} disturbed",
            f"downstream   {_counted(self.failures)}",
            f"commands     {_counted(self.commands)}",
            f"answers      {_counted(self.answers)}",
            f"instances    {_counted(self.instances)}",
            f"events       {_counted(self.events)}",
            f"calls        {self.calls} received, {self.effects} took effect, {self.marked} events marked in doubt",
            f"judged       {_counted(self.judged_stops)} stops of instances, {self.excused} calls after them excused",
            *(
                f"late         {name}: {late.events} events, p50 {late.p50:.1f} s, p99 {late.p99:.1f} s, "
                f"max {late.max:.1f} s"
                for name, late in sorted(self.late.items())
            ),
            f"lost         {by_rule[Rule.LOST]}",
            f"doubled      {by_rule[Rule.DOUBLED]} unmarked",
            f"violations   {len(self.violations)}",
            *shown,
            *([f"  and {hidden} more"] if hidden > 0 else []),
            *(f"  untested: {one} in {self.planned_seconds:.0f} seconds" for one in self.untested),
            *(f"  left behind: {one}" for one in self.leftovers),
        ]


def lateness(seconds: Iterable[float]) -> Lateness | None:
    """Return the figures of some lateness, by nearest rank, or None if there is nothing to measure."""
    sorted_seconds = sorted(seconds)
    if not sorted_seconds:
        return None

    def rank(share: float) -> float:
        return sorted_seconds[max(0, math.ceil(share * len(sorted_seconds)) - 1)]

    return Lateness(events=len(sorted_seconds), p50=rank(0.5), p99=rank(0.99), max=sorted_seconds[-1])


def _counted(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    parts = ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))
    return f"{total} ({parts})" if parts else "0"
