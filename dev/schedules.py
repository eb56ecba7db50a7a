"""The schedules of the emulator, in simulated time.

The emulator knows real times only. The simulated instant is stored in each schedule's description, where it survives
a restart, and the schedules are rewritten when the offset has changed.
"""

import json
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from dev.clock import ClockFile

_AT = "%Y-%m-%dT%H:%M:%S"


class Schedules:
    """All schedules of one group.

    ``lock`` is held while the offset is read to create a schedule, or while it changes.
    """

    def __init__(self, scheduler: Any, group: str, clock: ClockFile) -> None:  # noqa: ANN401 - a boto3 client
        self._scheduler = scheduler
        self._group = group
        self._clock = clock
        self._armed: dict[str, datetime] = {}
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
            self._armed[name] = at

    def earliest(self) -> tuple[datetime, str] | None:
        """Return the next schedule, by simulated time, or None."""
        with self.lock:
            return min(((at, name) for name, at in self._armed.items()), default=None)

    def take(self, name: str) -> dict[str, Any] | None:
        """Delete a schedule and return its input, or None if the emulator has run it already."""
        with self.lock:
            found = self._get(name)
            self._armed.pop(name, None)
            # The delete decides between the clock's advance and the emulator, so no wakeup is sent twice.
            try:
                self._scheduler.delete_schedule(Name=name, GroupName=self._group)
            except self._scheduler.exceptions.ResourceNotFoundException:
                return None
        return None if found is None else json.loads(found["Target"]["Input"])

    def rewrite(self) -> None:
        """Set every schedule to its simulated instant minus the offset. It may be repeated."""
        with self.lock:
            for name, at in list(self._armed.items()):
                found = self._get(name)
                expression = f"at({self._real(at)})"
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
                    self._armed[entry["Name"]] = datetime.strptime(found["Description"], _AT).replace(
                        tzinfo=UTC
                    )

    def _get(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._scheduler.get_schedule(Name=name, GroupName=self._group)
        except self._scheduler.exceptions.ResourceNotFoundException:
            return None
        return found

    def _real(self, at: datetime) -> str:
        return (at - timedelta(seconds=self._clock.read().seconds)).strftime(_AT)


_READ_ONLY = ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata")
