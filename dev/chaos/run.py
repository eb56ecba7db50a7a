"""One run of ``make chaos``: begin, play the faults, heal, let everything end, and compare."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

from dev.chaos import facts, flows
from dev.chaos.commands import Clients, soon
from dev.chaos.faults import Disturb, Fail, Fault, Kill, Stop, Timed
from dev.chaos.judge import Commands, InstanceFact, judge
from dev.chaos.machine import Machine
from dev.chaos.report import Report
from dev.chaos.stops import Operation, judge_stops, latest_real, stops_of
from dev.client import Api, RefusedError, advance
from dev.history_reader import HistoryReader
from shared.domain.ids import StrategySid

COMMANDED = {5: 3, 15: 6, 45: 10}
"""How many instances there are of each period, in seconds, that clients command."""
UNTOUCHED = {5: 2, 15: 4, 45: 6}
"""How many there are that no client commands. Faults make them late, and pauses of their strategy or of the queue."""

FIRST_SECONDS = 15
"""How far ahead the first date is of those instances that begin by a schedule."""

HANG_SECONDS = flows.TIMEOUT_SECONDS + 3
JUMP = timedelta(minutes=10)
MAX_JUMPS = 24
MAX_TRIES = 60

Result = TypeVar("Result")


class Run:
    """One run: begin, play the faults, and end with everything healthy."""

    def __init__(self, machine: Machine, *, seed: int, seconds: float) -> None:
        self._machine, self._seed, self._seconds = machine, seed, seconds
        self._periods: dict[StrategySid, timedelta] = {}

    @property
    def _stack(self) -> Api:
        return Api(url=self._machine.processes.stack.url, secret=flows.SECRET)

    def begin(self) -> None:
        """Start everything, and create the first instances while nothing fails."""
        self._machine.start()
        ends = soon(self._seconds)
        downstream = self._machine.processes.downstream.url
        for period in flows.PERIODS:
            saved = self._stack.call("POST", "/execution-strategy", flows.strategy(period, downstream))
            self._periods[StrategySid(saved["sid"])] = period
        definition = self._stack.call(
            "POST", "/api/v1/accounts/dev/definitions", flows.definition(downstream)
        )
        shared = self._create(COMMANDED, ends)
        self._untouched = self._create(UNTOUCHED, ends)
        self._clients = Clients(
            self._stack.url, seed=self._seed, shared=shared, definition=definition["id"], ends=ends
        )
        self._clients.log.created += [*shared, *self._untouched]
        self._began = time.monotonic()
        self._clients.start()

    def play(self, faults: list[Timed], *, deadline: float) -> None:
        """Let each fault happen at its time, and return when the time is over.

        On a busy machine the start takes time from the faults: none happens after ``deadline``, by the monotonic clock.
        """
        rng = random.Random(self._seed)
        for timed in faults:
            self._wait(min(self._began + timed.at, deadline))
            if time.monotonic() > min(self._began + self._seconds, deadline):
                break
            self._cause(timed.fault, rng)
        self._wait(min(self._began + self._seconds, deadline))

    def end(self) -> Report:
        """Heal everything, let everything end, and return the report."""
        until = datetime.now(UTC)
        faulty_seconds = time.monotonic() - self._began
        self._clients.stop()
        self._machine.heal()
        began = time.monotonic()
        operations, resumed_all_at = self._resumes(), datetime.now(UTC)
        instances, marks = self._settle()
        lines = self._machine.processes.downstream.call("GET", "/_ledger")
        ledger = facts.calls_of(lines)
        log = self._clients.log
        commands = Commands(
            created=log.created,
            starts=log.starts(),
            cancels_sent=sorted(log.cancels_sent),
            cancels_answered=sorted(log.cancels_answered),
        )
        (self._machine.folder / "facts.json").write_text(
            json.dumps([asdict(instance) for instance in instances], indent=1, default=str)
        )
        (self._machine.folder / "commands.json").write_text(log.as_json())
        now, _ = self._clock()
        drained = {
            one.sid: drained_at
            for one in instances
            if one.drained_at is not None and (drained_at := latest_real(one.drained_at, marks)) is not None
        }
        stops = stops_of(
            log.to_instances, operations=operations, drained=drained, resumed_all_at=resumed_all_at
        )
        after_stops = judge_stops(instances, ledger, stops, freezes=self._machine.freezes)
        violations = [*judge(instances, ledger, commands, now=now), *after_stops.violations]
        disturbed = sum((proxy.disturbed for proxy in self._machine.proxies.values()), Counter[Any]())
        events = [event for instance in instances for event in instance.events]
        untouched = set(self._untouched)
        late = facts.late_by_trigger(
            [one for one in instances if one.sid in untouched],
            facts.invocations_of(self._machine.invocations),
            until=until,
        )
        settled = time.monotonic() - began
        return Report(
            seed=self._seed,
            seconds=faulty_seconds,
            settle_seconds=settled,
            kills={target.value: count for target, count in self._machine.killed.items()},
            stops={target.value: count for target, count in self._machine.stopped.items()},
            disturbed={how.value: count for how, count in disturbed.items()},
            failures=facts.failures_of(lines),
            commands=dict(log.sent),
            answers=dict(log.answers),
            instances=dict(Counter(instance.status for instance in instances)),
            events=dict(Counter(event.status for event in events)),
            calls=len(ledger),
            effects=sum(call.effect for call in ledger),
            marked=sum(event.is_marked for event in events),
            late=late,
            judged_stops=after_stops.judged,
            excused=after_stops.excused,
            violations=violations,
        )

    def _create(self, counts: dict[int, int], ends: datetime) -> list[str]:
        found = []
        for seconds, count in counts.items():
            body = {"strategyId": flows.name_of(timedelta(seconds=seconds)), "endDate": ends.isoformat()}
            for number in range(count):
                # Half of them begin at once, by an invocation that a kill may lose; half by a schedule.
                body["startDate"] = soon(FIRST_SECONDS * (number % 2)).isoformat()
                created = self._stack.call("POST", "/execution-instance", body)
                found.append(created["executionInstance"]["sid"])
        return found

    @staticmethod
    def _wait(until: float) -> None:
        time.sleep(max(0.0, until - time.monotonic()))

    def _cause(self, fault: Fault, rng: random.Random) -> None:
        match fault:
            case Kill(target=target):
                # A process that cannot be killed now, because the stack is starting, is killed a moment later.
                for _ in range(MAX_TRIES):
                    if self._machine.kill(target):
                        return
                    time.sleep(0.5)
            case Stop(target=target, seconds=seconds):
                self._machine.stop(target, seconds)
            case Disturb(link=link):
                self._machine.proxies[link].disturb(fault)
            case Fail():
                self._fail(fault, rng.choice(flows.PATHS))

    def _fail(self, fault: Fail, path: str) -> None:
        failure: dict[str, Any] = {"path": path, "times": fault.times}
        if fault.status is not None:
            failure |= {"status": fault.status, "lie": fault.lie}
        if fault.hang:
            failure["delaySeconds"] = HANG_SECONDS
        failure["drop"] = fault.drop
        self._machine.processes.downstream.call("POST", "/_fail", failure)

    def _resumes(self) -> list[Operation]:
        """Return all bulk operations that resume instances, as they are now."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            path = f"/bulk-operation?limit=100{cursor}"
            page = _repeated(lambda path=path: self._stack.call("GET", path))  # type: ignore[misc]
            found += page["items"]
            if "nextCursor" not in page:
                return facts.resumes_of(found)
            cursor = f"&cursor={quote(page['nextCursor'])}"

    def _settle(self) -> tuple[list[InstanceFact], list[tuple[datetime, datetime]]]:
        """Resume all that is paused, and advance the clock until nothing is left to do.

        Return the instances, and pairs of simulated and real time as ``latest_real`` takes them.
        """
        marks = [self._clock()]
        _repeated(lambda: self._stack.call("POST", "/queue"))
        for sid in self._periods:
            _repeated(lambda sid=sid: self._stack.call("POST", f"/execution-strategy/{sid}/resume"))  # type: ignore[misc]
        for _ in range(MAX_JUMPS):
            self._resume_paused()
            now, _ = self._clock()
            _repeated(lambda to=now + JUMP: advance(self._stack, to.isoformat()))  # type: ignore[misc]
            marks.append(self._clock())
            instances = facts.instances_of(HistoryReader.of(self._stack), self._periods)
            if all(_is_at_rest(instance) for instance in instances):
                break
        return instances, marks

    def _clock(self) -> tuple[datetime, datetime]:
        """Return the simulated time, and a real time at which it has passed."""
        now = _repeated(lambda: self._stack.call("GET", "/_local/clock"))["now"]
        return datetime.fromisoformat(now), datetime.now(UTC)

    def _resume_paused(self) -> None:
        history = HistoryReader.of(self._stack)
        paused = [
            sid
            for sid in history.sids(facts.ACCOUNT, limit=facts.MAX_INSTANCES)
            if history.instance(sid).status.value == "PAUSED"
        ]
        for begin in range(0, len(paused), 25):
            body = {"selection": {"ids": paused[begin : begin + 25]}, "command": {"name": "resume"}}
            _repeated(lambda body=body: self._stack.call("POST", "/bulk-operation", body))  # type: ignore[misc]


def _is_at_rest(instance: InstanceFact) -> bool:
    return instance.status != "PAUSED" and not any(event.is_open for event in instance.events)


def _repeated(request: Callable[[], Result]) -> Result:
    """Return the result of a request that may fail while processes are still starting.

    Raises: RefusedError, OSError: it failed for half a minute.
    """
    for _ in range(MAX_TRIES):
        try:
            return request()
        except (OSError, RefusedError):
            time.sleep(0.5)
    return request()
