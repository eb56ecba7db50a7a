"""Tries a deployment: a strategy is made, runs, is paused, resumed, canceled and removed. ``make smoke URL= KEY=``.

It needs an administrator's key, and calls no service: its steps only change attributes. Whatever happens, it cancels
its instances and removes its strategy. It uses the deployment's clock, not this machine's.
"""

import argparse
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from dev.client import Api, RefusedError
from shared.domain.calendar.dates import format_instant, parse_instant
from shared.domain.instance.due import GRACE, SHORT_NOTICE

AHEAD = SHORT_NOTICE + timedelta(seconds=30)
"""How far ahead the second instance is planned: EventBridge Scheduler wakes its runner; it is not invoked at once."""

AT_ONCE_SECONDS = 60.0
POLL_SECONDS = 1.0
INDEX_SECONDS = 30.0


def settings(environment: str) -> dict[str, Any]:
    """Return settings for a deployment with that environment. They need a service, which no step calls."""
    return {
        "config": {"timezone": "UTC"},
        "schedule": {
            "calendars": [
                {"key": "monthly", "task": "greet", "scheduleAfter": {"unit": "months", "amount": 1}}
            ]
        },
        "services": [
            {
                "key": "unused",
                "baseUrls": [{"environment": environment, "url": "https://service.invalid"}],
                "methods": [{"key": "get", "url": "/", "method": "get"}],
            }
        ],
        "actions": [{"key": "unused", "service": "unused", "method": "get"}],
        "tasks": [
            {
                "key": "greet",
                "initialStep": "note",
                "steps": [
                    {"key": "note", "controllerCallback": '{"attributes": {"greeted": true}}', "final": True}
                ],
            }
        ],
    }


class SmokeError(Exception):
    """The deployment does not work as it should. The text names the fault, and where to look."""


@dataclass(slots=True)
class Smoke:
    """One trial. ``say`` takes a line for each thing that works. ``sleep`` waits some seconds."""

    api: Api
    say: Callable[[str], object]
    sleep: Callable[[float], object] = time.sleep
    name: str = field(default_factory=lambda: f"smoke-{secrets.token_hex(4)}")

    def run(self, *, ahead: timedelta = AHEAD) -> None:
        """Try everything. Raises: SmokeError. RefusedError: the API refused a request. OSError: it is not reached."""
        about = self.api.call("GET", "/app")
        environment = about["configuration"]["environment"]
        self.say(f"answers: version {about['application']['version']}, environment {environment}")
        with self._strategy(environment) as (api, now):
            with self._instance(api, None) as sid:
                lateness = self._await_greeting(api, sid, AT_ONCE_SECONDS)
                self.say(f"runs at once: {lateness.total_seconds():.1f} s after its date")
                self._pause_and_resume(api, sid)
            due = now() + ahead
            with self._instance(api, due) as sid:
                longest = (ahead + GRACE + timedelta(seconds=90)).total_seconds()
                lateness = self._await_greeting(api, sid, longest)
                if lateness > GRACE:
                    raise SmokeError(
                        f"the event of {format_instant(due)} ran {lateness.total_seconds():.0f} s late: no wakeup "
                        "came, and the sweeper had to start it. See the alarms and the dead letters"
                    )
                self.say(f"wakes up for a date: {lateness.total_seconds():.1f} s after it")
        self.say("removed its strategy")

    @contextmanager
    def _strategy(self, environment: str) -> Iterator[tuple[Api, Callable[[], datetime]]]:
        secret = secrets.token_urlsafe(24)
        body = {"name": self.name, "secret": secret, "settings": settings(environment)}
        made = self.api.call("POST", "/execution-strategy", body)
        api = replace(self.api, secret=secret)
        # The clock of a local stack is not this machine's.
        began, at = time.monotonic(), parse_instant(made["createdAt"])
        self.say(f"saved a strategy: {self.name}")
        try:
            yield api, lambda: at + timedelta(seconds=time.monotonic() - began)
        finally:
            self._remove(api, f"/execution-strategy/{made['sid']}")

    def _remove(self, api: Api, path: str) -> None:
        deadline = time.monotonic() + INDEX_SECONDS
        while True:
            try:
                api.call("DELETE", path)
            except RefusedError as error:
                # The index of unfinished instances lags a little behind their end.
                if error.status != HTTPStatus.CONFLICT or time.monotonic() > deadline:
                    raise
                self.sleep(POLL_SECONDS)
            else:
                return

    @contextmanager
    def _instance(self, api: Api, start: datetime | None) -> Iterator[str]:
        body = {"strategyId": self.name, "attributes": {"greeted": False}}
        if start is not None:
            body["startDate"] = format_instant(start)
        sid = str(api.call("POST", "/execution-instance", body)["executionInstance"]["sid"])
        try:
            yield sid
        finally:
            canceled = api.call("POST", f"/execution-instance/{sid}/cancel")["executionInstance"]
        self._expect(canceled, "status", "CANCELED")

    def _await_greeting(self, api: Api, sid: str, seconds: float) -> timedelta:
        """Return how long after its date the first event ran. Raises: SmokeError: it did not in time."""
        deadline = time.monotonic() + seconds
        path = f"/execution-event/{sid}-1"
        while (event := api.call("GET", path)["event"])["status"] != "PROCESSED":
            if time.monotonic() > deadline:
                raise SmokeError(
                    f"event {sid}-1 is {event['status']} after {seconds:.0f} s, not PROCESSED: "
                    "see the log of step_runner"
                )
            self.sleep(POLL_SECONDS)
        instance = api.call("GET", f"/execution-instance/{sid}")
        self._expect(instance["attributes"], "greeted", expected=True)
        self._expect(instance, "cycle", 2)
        return parse_instant(event["executedAt"]) - parse_instant(event["date"])

    def _pause_and_resume(self, api: Api, sid: str) -> None:
        for command, status in (("pause", "PAUSED"), ("resume", "ACTIVE")):
            answer = api.call("POST", f"/execution-instance/{sid}/{command}")
            self._expect(answer.get("executionInstance", answer), "status", status)
        self.say("pauses and resumes")

    def _expect(self, shape: Mapping[str, Any], member: str, expected: object) -> None:
        if shape.get(member) != expected:
            raise SmokeError(f"`{member}` is {shape.get(member)!r}, not {expected!r}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the deployment. Return 1 if something does not work, 2 if the arguments cannot be used."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--url", default="", help="where the API is served")
    parser.add_argument(
        "--ahead", type=float, default=AHEAD.total_seconds(), help="seconds until the second event"
    )
    options = parser.parse_args(arguments)
    # Not an argument: those of a process are shown to every user of the machine.
    key = os.environ.get("KEY", "")
    if not options.url.startswith(("https://", "http://")) or "." not in key:
        sys.stderr.write(
            "make smoke: URL= must be the API's address, and KEY= an administrator's <keyId>.<secret>\n"
        )
        return 2
    api = Api(url=options.url.rstrip("/"), key=key)
    try:
        Smoke(api, say=_say).run(ahead=timedelta(seconds=options.ahead))
    except (SmokeError, RefusedError, OSError) as error:
        sys.stderr.write(f"make smoke: {error}\n")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"- {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
