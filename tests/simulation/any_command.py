"""Random commands of an operator, as requests to the core API."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shared.domain.calendar.dates import format_instant
from shared.domain.instance.model import Instance, InstanceStatus
from tests.simulation.subscriptions import ZONES, any_closed, any_day


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A command as a request. ``name`` is its kind, for the statistics. ``has_dry_run`` is False for one without."""

    name: str
    method: str
    path: str
    body: dict[str, Any] = field(default_factory=dict)
    has_dry_run: bool = True


@dataclass(frozen=True, slots=True)
class AnyCommand:
    """The commands on an instance as it is now. One of its cycles has about ``days`` days."""

    rng: random.Random
    instance: Instance
    now: datetime
    days: int

    def _path(self, rest: str = "") -> str:
        return f"/execution-instance/{self.instance.sid}{rest}"

    def any(self) -> Sent:
        """Return a random command, preferably one that the state allows."""
        rng, instance = self.rng, self.instance
        if instance.status is InstanceStatus.PAUSED and rng.random() < 0.5:
            return self._resume()
        if instance.cancellation is not None and rng.random() < 0.7:
            return Sent(name="revoke", method="DELETE", path=self._path("/cancel"), has_dry_run=False)
        main = instance.main_event
        if main is not None and main.has_begun and rng.random() < 0.3:
            return rng.choice([self._patch_zone, self._cancel_at_end_of_cycle])()
        commands = [
            (3, self._skip),
            (5, self._reschedule),
            (2, self._reschedule_another),
            (2, self._pause),
            (3, self._pause_until),
            (2, self._resume),
            (1.5, self._cancel_at),
            (2, self._cancel_at_end_of_cycle),
            (0.15, self._cancel),
            (1, self._revoke),
            (3, self._patch_zone),
            (2, self._patch_dates),
            (1.5, self._patch_end),
        ]
        (chosen,) = rng.choices([made for _, made in commands], [weight for weight, _ in commands])
        return chosen()

    def _post(self, name: str, rest: str, **body: Any) -> Sent:
        return Sent(name=name, method="POST", path=self._path(rest), body=body)

    def _date(self) -> str:
        """Return a date some time within the next cycles, seldom one in the past."""
        hours = self.rng.choice([-1, 1, 5, 24, 24 * 3, self.days * 12, self.days * 24, self.days * 40])
        at = self.now + timedelta(hours=hours, minutes=self.rng.randint(0, 59))
        return format_instant(at.replace(second=0, microsecond=0))

    def _skip(self) -> Sent:
        return self._post("skip", "/skip", cycles=self.rng.choice([1, 1, 2, 3]))

    def _reschedule(self) -> Sent:
        keeps = self.rng.random() < 0.6
        name = "reschedule" if keeps else "reschedule anchor"
        return self._post(name, "/reschedule", date=self._date(), keepAnchor=keeps)

    def _reschedule_another(self) -> Sent:
        instance = self.instance
        events = [event for event in instance.events if not event.is_main]
        seq = self.rng.choice(events).seq if events else 1
        return self._post("reschedule event", "/reschedule", date=self._date(), event=f"{instance.sid}-{seq}")

    def _pause(self) -> Sent:
        return self._post("pause", "/pause")

    def _pause_until(self) -> Sent:
        return self._post("pause until", "/pause", until=self.rng.choice([self._date(), self._date(), None]))

    def _resume(self) -> Sent:
        rule = self.rng.choice([None, None, "last", "all", "skip", "shift"])
        return self._post("resume", "/resume", **({} if rule is None else {"onResume": rule}))

    def _cancel(self) -> Sent:
        return self._post("cancel", "/cancel")

    def _cancel_at(self) -> Sent:
        return self._post("cancel at", "/cancel", at=self._date())

    def _cancel_at_end_of_cycle(self) -> Sent:
        return self._post("cancel endOfCycle", "/cancel", at="endOfCycle")

    def _revoke(self) -> Sent:
        return Sent(name="revoke", method="DELETE", path=self._path("/cancel"), has_dry_run=False)

    def _patch(self, name: str, **body: Any) -> Sent:
        return Sent(name=name, method="PATCH", path=self._path(), body=body)

    def _patch_zone(self) -> Sent:
        return self._patch("patch zone", attributes={"zone": self.rng.choice(ZONES)})

    def _patch_dates(self) -> Sent:
        change = self.rng.choice(
            [
                {"trialEnd": any_day(self.rng, self.now, -2, 20)},
                {"closed": any_closed(self.rng, self.now)},
            ]
        )
        return self._patch(f"patch {next(iter(change))}", attributes=change)

    def _patch_end(self) -> Sent:
        return self._patch("patch endDate", endDate=self.rng.choice([None, None, self._date()]))
