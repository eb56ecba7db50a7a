"""The schedules of the emulator, in simulated time.

The emulator knows real times only. The simulated instant is stored in each schedule's description, where it survives
a restart, and the schedules are rewritten when the offset has changed.
"""

import heapq
import json
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dev.clock import ClockFile

_AT = "%Y-%m-%dT%H:%M:%S"
_READ_ONLY = ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata")


@dataclass(frozen=True, slots=True, order=True)
class Scheduled:
    """A schedule: its simulated instant, its name, and the input of the invocation, as JSON."""

    at: datetime
    name: str
    input: str

    @property
    def sid(self) -> str:
        """The instance whose runner it wakes."""
        sid: str = json.loads(self.input)["sid"]
        return sid


class Schedules:
    """All schedules of one group.

    ``lock`` is held while the offset is read to create a schedule, or while it changes.
    """

    def __init__(self, scheduler: Any, group: str, clock: ClockFile) -> None:  # noqa: ANN401 - a boto3 client
        self._scheduler = scheduler
        self._group = group
        self._clock = clock
        self._armed: dict[str, Scheduled] = {}
        self.lock = threading.RLock()
        with suppress(scheduler.exceptions.ConflictException):
            scheduler.create_schedule_group(Name=group)
        self._load()
        self.rewrite()

    def arm(self, name: str, request: dict[str, Any]) -> None:
        """Create a schedule requested in simulated time. Raises: ClientError: as the emulator's own."""
        at = datetime.strptime(request["ScheduleExpression"], f"at({_AT})").replace(tzinfo=UTC)
        with self.lock:
            self._scheduler.create_schedule(
                **{
                    **request,
                    "Name": name,
                    "Description": at.strftime(_AT),
                    "ScheduleExpression": f"at({self._real(at)})",
                }
            )
            self._armed[name] = Scheduled(at, name, request["Target"]["Input"])

    def first(self, limit: int, *, until: datetime) -> list[Scheduled]:
        """Return the next schedules up to an instant, at most ``limit``, in the order of simulated time."""
        with self.lock:
            return heapq.nsmallest(limit, (one for one in self._armed.values() if one.at <= until))

    def at(self, name: str) -> datetime | None:
        """Return the simulated instant of a schedule, or None if there is none of that name."""
        armed = self._armed.get(name)
        return None if armed is None else armed.at

    def take(self, name: str) -> dict[str, Any] | None:
        """Delete a schedule and return its input, or None if the emulator has run it already."""
        with self.lock:
            armed = self._armed.pop(name)
            # The delete decides between the clock's advance and the emulator, so no wakeup is sent twice.
            try:
                self._scheduler.delete_schedule(Name=name, GroupName=self._group)
            except self._scheduler.exceptions.ResourceNotFoundException:
                return None
        event: dict[str, Any] = json.loads(armed.input)
        return event

    def rewrite(self) -> None:
        """Set every schedule to its simulated instant minus the offset. It may be repeated."""
        with self.lock:
            for name, armed in list(self._armed.items()):
                found = self._get(name)
                expression = f"at({self._real(armed.at)})"
                if found is None:
                    del self._armed[name]
                elif found["ScheduleExpression"] != expression:
                    # UpdateSchedule replaces the whole schedule.
                    kept = {k: v for k, v in found.items() if k not in _READ_ONLY}
                    self._scheduler.update_schedule(**{**kept, "ScheduleExpression": expression})

    def _load(self) -> None:
        pages = self._scheduler.get_paginator("list_schedules").paginate(GroupName=self._group)
        for page in pages:
            for entry in page["Schedules"]:
                found = self._get(entry["Name"])
                if found is not None:
                    at = datetime.strptime(found["Description"], _AT).replace(tzinfo=UTC)
                    self._armed[entry["Name"]] = Scheduled(at, entry["Name"], found["Target"]["Input"])

    def _get(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._scheduler.get_schedule(Name=name, GroupName=self._group)
        except self._scheduler.exceptions.ResourceNotFoundException:
            return None
        return found

    def _real(self, at: datetime) -> str:
        return (at - timedelta(seconds=self._clock.read())).strftime(_AT)
