"""Seventeen months of three strategies in less than a minute: ``make demo``.

WAKEUPS=off leaves all to the sweeper.

Every date and every call is checked. The exit status is 0 if all of them are right.
"""

import os
import shutil
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dev.client import Api, Processes, advance, example
from dev.emulator import free_port
from dev.history_reader import HistoryReader, contradictions
from dev.workers import ROOT
from shared.domain.instance.event import EventStatus

WATER_DATES = [
    "2026-01-31T10:00",
    "2026-02-28T10:00",
    "2026-03-31T09:00",
    "2026-04-30T09:00",
    "2026-05-31T09:00",
]
MEMBER = {"monthlyFee": 29.5, "marketingOptIn": True}
POLICY = {"firstDueDate": "2026-05-20T02:15:00Z", "premium": 12.0}
A_WHILE = timedelta(minutes=5)
"""How long the gateway takes to answer for a payment."""


class WrongError(Exception):
    """The demo did not produce the expected result."""


def say(text: str) -> None:
    """Print a line."""
    print(text, flush=True)  # noqa: T201 - the demo's output


def must(holds: bool, rule: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Stop the demo if a condition does not hold."""
    if not holds:
        raise WrongError(rule)


@dataclass
class Year:
    """The stack, the services, and a client for each strategy.

    ``insured`` is the instance the gateway answers for.
    """

    stack: Api
    downstream: Api
    water: Api
    gym: Api
    pets: Api
    insured: str | None = None
    declines: int = 0
    answered: set[str] = field(default_factory=set)

    def until(self, at: str, why: str) -> None:
        """Advance time. The gateway answers each premium that is charged in between."""
        while (due := self._next_premium()) is not None and due < datetime.fromisoformat(at):
            advance(self.stack, due.isoformat())
            self._answer_premiums()
        advance(self.stack, at)
        say(f"\n== {at[:16]}Z  {why}")

    def _next_premium(self) -> datetime | None:
        """Return when the gateway has its next answer, or None."""
        if self.insured is None:
            return None
        coming = self.pets.call("GET", f"/execution-instance/{self.insured}").get("nextEvent")
        return None if coming is None else datetime.fromisoformat(coming["date"]) + A_WHILE

    def _answer_premiums(self) -> None:
        """Send the gateway's answer for each payment without one, and wait until the engine has processed it."""
        before = self._next_premium()
        for line in self.downstream.call("GET", "/_ledger"):
            if "/recurring/" not in line["path"] or line["key"] in self.answered:
                continue
            self.answered.add(line["key"])
            status, self.declines = ("DECLINED", self.declines - 1) if self.declines else ("CONFIRMED", 0)
            body = {"status": status, "paymentId": line["answer"]["body"]["id"]}
            self.pets.call("POST", line["request"]["callback"]["path"], body)
        ends = time.monotonic() + 20
        while self._next_premium() == before and time.monotonic() < ends:
            time.sleep(0.02)

    def insure(self, policy: str, **attributes: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        """Start a policy for a pet."""
        known = {"policyNumber": policy, "recurringId": f"r-{policy}", **POLICY, **attributes}
        body = {"strategyId": "pet-cover", "attributes": known}
        answer: dict[str, Any] = self.pets.call("POST", "/execution-instance", body)
        return answer

    def join(self, member: str, start: str) -> dict[str, Any]:
        """Start a membership of the gym."""
        attributes = {"memberId": member, "email": f"{member}@example.test", **MEMBER}
        body = {"strategyId": "gym-membership", "startDate": start, "attributes": attributes}
        answer: dict[str, Any] = self.gym.call("POST", "/execution-instance", body)
        return answer

    def fail(self, path: str, times: int) -> None:
        """Make the next calls of a path fail with 402."""
        self.downstream.call("POST", "/_fail", {"path": path, "times": times, "status": 402})


def opened(processes: Processes) -> Year:
    """Save the three strategies and return their clients."""
    apis = {}
    for name in ("water-filter-refill", "gym-membership", "pet-cover"):
        strategy = example(name, processes.downstream)
        apis[name] = replace(processes.stack, secret=strategy["secret"])
        saved = processes.stack.call("POST", "/execution-strategy", strategy)
        say(f"saved {saved['name']} version {saved['version']}")
    return Year(
        stack=processes.stack,
        downstream=processes.downstream,
        water=apis["water-filter-refill"],
        gym=apis["gym-membership"],
        pets=apis["pet-cover"],
    )


def play_year(year: Year) -> list[str]:
    """Play all that happens and return the sids of the instances."""
    water = year.water.call(
        "POST",
        "/execution-instance",
        {
            "strategyId": "water-filter-refill",
            "startDate": "2026-01-31T10:00:00Z",
            "attributes": {"customerId": "c-1"},
        },
    )["executionInstance"]
    must(water["executionDay"] == 31, "executionDay is the 31st")

    year.until("2026-02-24T18:45:00Z", "Ann joins the gym; her first charge will be declined twice")
    ann = year.join("ann", "2026-02-24T18:45:10Z")
    events = ann["createdEvents"]
    must(events["onCreateEvents"][0]["date"] == "2026-02-24T18:50:10.000Z", "the welcome")
    must(events["mainEvent"]["date"] == "2026-03-03T08:00:00.000Z", "the first charge")
    must(events["leadingUpEvents"][0]["date"] == "2026-02-28T08:00:00.000Z", "the first reminder")
    year.fail("/4020/charges", 2)

    year.until("2026-04-10T12:00:00Z", "Ben joins; all four attempts of his first charge will be declined")
    ben = year.join("ben", "2026-04-10T12:00:00Z")["executionInstance"]["sid"]
    year.fail("/4020/charges", 4)

    year.until("2026-04-25T10:00:00Z", "Ben is on hold; an operator resumes him")
    paused = year.gym.call("GET", f"/execution-instance/{ben}")
    must(paused["status"] == "PAUSED", "used-up attempts pause the instance")
    year.gym.call("POST", f"/execution-instance/{ben}/resume")

    ann_sid = ann["executionInstance"]["sid"]
    year.until("2026-05-01T08:00:00Z", "Rex and Mia are insured; the trial ends on the 20th")
    rex = year.insure("rex", hasVetVisit=True)
    must(
        [(e["task"], e["status"], e["date"][:16]) for e in rex["createdEvents"]["onCreateEvents"]]
        == [
            ("register-policy", "PENDING", "2026-05-01T08:01"),
            ("book-vet", "PENDING", "2026-05-01T09:00"),
            ("call-customer", "ONHOLD", "2026-05-01T08:00"),
        ],
        f"the events of a new policy: {rex['createdEvents']}",
    )
    mia = year.insure("mia")["executionInstance"]["sid"]

    year.until("2026-05-10T09:00:00Z", "Ann is pausing for the summer")
    year.gym.call("POST", f"/execution-instance/{ann_sid}/pause")
    year.until(
        "2026-06-19T00:00:00Z",
        "Mia's policy is unknown; Rex's first premium will be declined once",
    )
    year.downstream.call("POST", "/_fail", {"path": "/4031/policies/mia", "times": 1, "status": 404})
    year.insured, year.declines = rex["executionInstance"]["sid"], 1
    year.until(
        "2026-06-21T00:00:00Z", "Mia's cover has stopped; Rex's premium was paid at the second attempt"
    )
    stopped = year.pets.call("GET", f"/execution-instance/{mia}")
    must(stopped["cancelReason"] == "CONTROLLER_HELPER", f"an unknown policy ends: {stopped}")
    paid = year.pets.call("GET", f"/execution-instance/{year.insured}")
    must(paid["cycle"] == 3, f"Rex's first premium is paid: {paid}")

    year.until("2026-08-20T09:00:00Z", "Ann is back: of the three dates she missed, the last one runs")
    back = year.gym.call("POST", f"/execution-instance/{ann_sid}/resume")
    must(back["skippedCycles"] == {"first": 4, "last": 5}, f"cycles 4 and 5 are skipped: {back}")

    year.until("2026-12-01T09:00:00Z", "Ann cancels; a day later she is asked to come back")
    canceled = year.gym.call("POST", f"/execution-instance/{ann_sid}/cancel")
    must(canceled["executionInstance"]["cancelReason"] == "HTTP_REQUEST", "the reason of the cancelation")
    must(
        canceled["createdEvents"]["onCancelEvents"][0]["date"].startswith("2026-12-02T09:00"),
        "the win-back's date",
    )
    year.until("2027-05-20T04:30:00Z", "the end; Rex's premium was reviewed in April")
    return [water["sid"], ann_sid, ben, year.insured, mia]


def check_history(year: Year, sids: list[str]) -> None:
    """Print the timeline of each instance and check it."""
    history = HistoryReader.of(year.stack)
    for name, sid in zip(("water filters", "Ann", "Ben", "Rex", "Mia"), sids, strict=True):
        say(f"\n-- {name}")
        for line in history.lines(sid):
            outcome, intent = line.entry.outcome, line.entry.intent
            result = (
                "done" if outcome.success else f"FAILED: {outcome.error.message if outcome.error else '?'}"
            )
            ran, cycle = f"{line.at:%Y-%m-%d %H:%M:%S}", line.event.created_cycle
            say(f"   {ran}  cycle {cycle:2}  {line.event.task:14} {intent.step:14} {result}")
        for event, _, _ in history.events(sid):
            if event.status is EventStatus.PENDING:
                say(f"   to come: {event.task} on {event.date:%Y-%m-%d %H:%M}Z, cycle {event.created_cycle}")
    _check_water(history, sids[0])
    _check_ann(history, sids[1])
    _check_ben(history, sids[2])
    _check_rex(history, sids[3])
    _check_mia(history, sids[4])
    ledger = [line for line in year.downstream.call("GET", "/_ledger") if not line["path"].endswith("/token")]
    contradicting_calls = contradictions(history, sids, ledger)
    must(not contradicting_calls, "; ".join(contradicting_calls))
    say(f"\nthe downstream's ledger and the engine's record agree on all {len(ledger)} calls")


def _mains(history: HistoryReader, sid: str) -> list[tuple[int, str, str, int]]:
    """Return cycle, date, status and attempts of every main event."""
    return [
        (event.created_cycle, f"{event.date:%Y-%m-%dT%H:%M}", event.status.value, event.attempt)
        for event, _, _ in history.events(sid)
        if event.is_main
    ]


def _check_water(history: HistoryReader, sid: str) -> None:
    mains = _mains(history, sid)
    must([date for _, date, _, _ in mains[:5]] == WATER_DATES, f"the dates of the filters: {mains}")
    must(
        [cycle for cycle, _, _, _ in mains] == list(range(1, 18)),
        f"sixteen cycles and the one to come: {mains}",
    )


def _check_ann(history: HistoryReader, sid: str) -> None:
    first = [
        line
        for line in history.lines(sid)
        if line.event.task == "charge-fee" and line.event.created_cycle == 1
    ]
    steps = [line.entry.intent.step for line in first]
    must(
        steps == ["charge", "mail-failed", "charge", "mail-failed", "charge", "crm-paid", "mail-receipt"],
        f"two declined charges with their mails, then a paid one: {steps}",
    )
    charges = [line.entry for line in first if line.entry.intent.step == "charge"]
    failures = [entry.then.failure for entry in charges if entry.then.failure is not None]
    waits = [f.retry_at - f.failed_at for f in failures if f.retry_at is not None]
    must(waits == [timedelta(hours=1), timedelta(days=1)], f"an hour, then a day after the failure: {waits}")
    for failed, retried in zip(failures, charges[1:], strict=True):
        late = retried.started_at - (failed.retry_at or retried.started_at)
        must(timedelta() <= late < timedelta(minutes=5), f"a retry is at most minutes late: {late}")
    statuses = {cycle: status for cycle, _, status, _ in _mains(history, sid)}
    paid = [cycle for cycle, status in statuses.items() if status == "PROCESSED"]
    must(paid == [1, 2, 3, 6, 7, 8, 9], f"the cycles Ann paid for: {statuses}")
    mains = {cycle: date for cycle, date, _, _ in _mains(history, sid)}
    must(
        (mains[2], mains[3]) == ("2026-04-03T07:00", "2026-05-03T07:00"),
        f"the dates of cycles 2 and 3: {mains}",
    )
    reminders = [f"{e.date:%Y-%m-%dT%H:%M}" for e, _, _ in history.events(sid) if e.task == "send-reminder"]
    must(
        reminders[:2] == ["2026-02-28T08:00", "2026-03-31T07:00"], f"the dates of the reminders: {reminders}"
    )
    tasks = [line.event.task for line in history.lines(sid)]
    must(tasks.count("send-welcome") == 1 and tasks[-1] == "send-winback", "the welcome and the win-back")
    must(tasks.count("send-reminder") == 7, f"a reminder before each charge that was not late: {tasks}")


def _check_ben(history: HistoryReader, sid: str) -> None:
    first = [
        line
        for line in history.lines(sid)
        if line.event.task == "charge-fee" and line.event.created_cycle == 1
    ]
    steps = [line.entry.intent.step for line in first]
    declined = ["charge", "mail-failed"] * 3 + ["charge", "crm-on-hold"]
    must(
        steps == [*declined, "charge", "crm-paid", "mail-receipt"],
        f"exhausted, then resumed and paid: {steps}",
    )


def _check_rex(history: HistoryReader, sid: str) -> None:
    mains = {cycle: (date, status) for cycle, date, status, _ in _mains(history, sid)}
    must(mains[1] == ("2026-05-20T04:00", "PROCESSED"), f"the end of the trial: {mains}")
    must(mains[3] == ("2026-07-20T04:00", "PROCESSED"), f"a monthly premium: {mains}")
    must(mains[12] == ("2027-04-20T02:30", "PROCESSED"), f"the review: {mains}")
    must(mains[13][0] == "2027-05-20T04:00", f"the cycle after it: {mains}")
    must({status for _, (_, status) in list(mains.items())[:12]} == {"PROCESSED"}, f"all are paid: {mains}")
    first = [
        line
        for line in history.lines(sid)
        if line.event.task == "collect-premium" and line.event.created_cycle == 2
    ]
    steps = [f"{line.entry.intent.step}{'?' if line.entry.intent.awaits else ''}" for line in first]
    must(
        steps
        == [
            *["check-policy", "charge", "charge?", "notify-retry"],
            *["check-policy", "charge", "charge?", "record-success", "notify-paid"],
        ],
        f"declined, then paid: {steps}",
    )
    dates = {(e.task, f"{e.date:%Y-%m-%dT%H:%M}") for e, _, _ in history.events(sid) if not e.is_main}
    for task, date in (
        ("remind-premium", "2026-06-18T04:00"),
        ("remind-premium", "2027-04-18T02:30"),
        ("ask-vet-report", "2027-04-06T02:30"),
    ):
        must((task, date) in dates, f"{task} on {date}: {sorted(dates)}")
    must(history.instance(sid).attributes["premium"] == 12.48, "the premium of 12 has become 12.48")


def _check_mia(history: HistoryReader, sid: str) -> None:
    steps = [line.entry.intent.step for line in history.lines(sid) if line.event.created_cycle == 2]
    must(steps.count("charge") == 0, f"an unknown policy is not charged: {steps}")
    must(history.lines(sid)[-1].event.task == "close-policy", "and is closed")


def main() -> int:
    """Run the demo. Return 0 if everything was right."""
    began = time.monotonic()
    folder = ROOT / ".state" / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    processes = Processes(folder, downstream_port=free_port(), stack_port=free_port())
    start_at = os.environ.get("START_AT", "2026-01-01T00:00:00Z")
    switches = [f"--{name}={os.environ.get(name.upper(), 'on')}" for name in ("wakeups", "sweeper")]
    try:
        processes.start_downstream()
        processes.start_stack("--start-at", start_at, *switches)
        year = opened(processes)
        check_history(year, play_year(year))
        started = processes.stack.call("GET", "/_local/clock")["started"]
        say("started by: " + ", ".join(f"{name} {number}" for name, number in sorted(started.items())))
        must(started.get("failures", 0) == 0, _failures(folder))
        if "--wakeups=on" in switches:
            must(started.get("wakeup events", 0) > 0, "no scheduled wakeup started an event")
    except WrongError as error:
        say(f"\nWRONG: {error}")
        return 1
    finally:
        processes.stop()
    say(f"right in every point, in {time.monotonic() - began:.1f} s")
    return 0


def _failures(folder: Path) -> str:
    log = folder / "stack" / "failures.log"
    return log.read_text() if log.exists() else "nothing"


if __name__ == "__main__":
    sys.exit(main())
