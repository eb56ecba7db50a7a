"""Exact costs: the table of docs/performance.md is measured here.

DynamoDB is moto with our own meter; calls of Scheduler and Lambda are counted by the test doubles.
"""

import base64
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dev.gateway import HttpRequest, event_of
from functions.core_api.handler import lambda_handler as core_api
from shared import bootstrap
from shared.adapters.dynamodb.items import instance_item
from shared.application.audit import Window, from_the_end, page_with_creation
from shared.application.bulk.select import SelectionScan, next_batch
from shared.application.bulk.start import BulkRequest, begin_bulk
from shared.application.control import control
from shared.application.explain import explain_at
from shared.application.flags import pause_queue, resume_queue
from shared.application.history import history_page
from shared.application.list_instances import ByAccount, ByStrategy, page_of
from shared.application.ports import all_readable
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.access import AccessKey, Role
from shared.domain.bulk.selection import OfIds, OfStrategy
from shared.domain.ids import AccountId, InstanceSid, OperationSid, event_sid
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, CancelAt, Command, Pause, Resume
from shared.domain.limits.state import LimitChange, Member, micros_of
from tests.application.sweeps import swept
from tests.bench.rig import NOON, Rig, put
from tests.dialects.core.client import WATER
from tests.dialects.wire import TEMPLATE, Context
from tests.engines import DynamoDb

DOC, REST = (Path(__file__).parents[2] / "docs" / "performance.md").read_text().split("## Whatever the size")
WHATEVER_THE_SIZE, REQUESTS_TEXT = REST.split("## Requests of the core dialect")
ROW = re.compile(
    r"^\| (?P<what>[^|]+?) \| (?P<writes>\d+) \| (?P<trips>\d+) \| (?P<schedules>\d+) \|", re.MULTILINE
)
READ_ROW = re.compile(
    r"^\| (?P<what>[^|]+?) \| (?P<reads>[\d.]+) \| (?P<writes>\d+) \| (?P<trips>\d+) \|$", re.MULTILINE
)
READS, REQUESTS = (
    {m["what"]: (float(m["reads"]), int(m["writes"]), int(m["trips"])) for m in READ_ROW.finditer(text)}
    for text in (WHATEVER_THE_SIZE, REQUESTS_TEXT)
)
TABLE = {m["what"]: (int(m["writes"]), int(m["trips"]), int(m["schedules"])) for m in ROW.finditer(DOC)}
MANY = int(os.environ.get("INSTANCES", "10000"))
"""How many instances there are in the large tables."""
WAITING = {timedelta(seconds=30): 11, timedelta(minutes=10): 12}
"""The write units of a run of one step that waits for its permit, by how far ahead that is."""
ANN = Actor(name="key-1")
DATE = NOON + timedelta(hours=6)
PAUSE_UNTIL, CANCEL_AT = Pause(by=ANN, sets_until=True, until=DATE), CancelAt(by=ANN, at=DATE)


@dataclass
class Requests:
    """A client with an administrator's key for the core API, on the ports of the rig."""

    rig: Rig

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """Return the decoded answer, which must be a success."""
        headers = {
            "authorization": "Bearer admin.secret",
            "strategy-secret": base64.b64encode(WATER["secret"].encode()).decode(),
        }
        data = b"" if body is None else json.dumps(body).encode()
        request = HttpRequest(method=method, target=path, headers=headers, body=data, source="127.0.0.1")
        found = event_of(request, TEMPLATE.routes())
        assert found is not None
        answer = core_api(found[1], Context())  # type: ignore[arg-type]
        assert answer["statusCode"] < 300, answer
        return json.loads(answer["body"])

    def measure(self, method: str, path: str, body: Any = None) -> tuple[float, int, int]:
        """Return read units, write units and trips to DynamoDB of one request."""
        return self.rig.reads(lambda: self(method, path, body))


@pytest.fixture
def requests(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Requests]:
    for name, value in TEMPLATE.environment("CoreApi").items():
        monkeypatch.setenv(name, value)
    bootstrap.forget()
    bootstrap.use_ports(rig)
    rig.access.put_key(
        AccessKey(
            key_id="admin",
            account_id=AccountId("a-1"),
            role=Role.ADMIN,
            secret_hash=bootstrap.hasher().hash("secret"),
            created_at=NOON,
        )
    )
    yield Requests(rig)
    bootstrap.forget()


class TestTheTable:
    """Each row of docs/performance.md is measured, and within its budget."""

    def test_creating_an_instance(self, rig: Rig) -> None:
        strategy = rig.strategies.load(rig.saved(3), 1)
        asked = StartInstance(strategy_id="n", attributes={}, start_date=NOON + timedelta(days=1))

        with rig.measuring() as measured:
            start_instance(rig, strategy, asked)
            found = measured()

        assert found == TABLE["create an instance with one main event"]
        assert found[0] <= 4
        assert found[2] <= 1

    @pytest.mark.parametrize("steps", [1, 3, 10])
    def test_running_an_event(self, rig: Rig, steps: int) -> None:
        sid = rig.started(steps, NOON)

        with rig.measuring() as measured:
            run_due_events(rig, sid, job="job-1", time_left=lambda: timedelta(seconds=900))
            found = measured()

        assert rig.caller.times == steps
        assert (
            found == TABLE[f"run a main event of {steps} step{'s' if steps > 1 else ''}, next cycle included"]
        )
        assert found[0] <= steps + 5
        assert found[1] <= 2 * steps + 5  # 11 for three steps
        assert found[2] <= 1

    @pytest.mark.parametrize(
        ("limit", "row"),
        [
            ({"perSecond": 200}, "the same of 3 steps, if their service has a limit"),
            ({}, "the same of 3 steps, if its limit has no rate"),
            ({"circuit": {}}, "the same of 3 steps, if its limit is a circuit"),
            ({"concurrent": 5}, "the same of 3 steps, if its limit is of calls in flight"),
            ({"concurrent": 5, "perSecond": 200}, "the same of 3 steps, if its limit is of both"),
        ],
    )
    def test_running_an_event_under_a_limit(self, rig: Rig, limit: dict[str, Any], row: str) -> None:
        sid = rig.started(3, NOON, limit)

        with rig.measuring() as measured:
            run_due_events(rig, sid, job="job-1", time_left=lambda: timedelta(seconds=900))
            found = measured()

        assert rig.caller.times == 3
        assert found == TABLE[row]
        # One write for a call at most, and one read. A slot is returned once.
        slots = "concurrent" in limit
        assert found[0] <= 8 + 3 + slots
        assert found[1] <= 10 + 6 + slots

    def test_a_probe_that_closes_the_circuit(self, rig: Rig) -> None:
        """The right to probe and its outcome are a write each."""
        sid = rig.started(3, NOON, {"circuit": {}})
        opened = LimitChange(at=0, guards={}, sets={Member.OPEN_UNTIL: micros_of(NOON), Member.OPEN_FOR: 1})
        rig.limits.change(AccountId("a-1"), "https://shop.example.test", opened)

        with rig.measuring() as measured:
            run_due_events(rig, sid, job="job-1", time_left=lambda: timedelta(seconds=900))
            found = measured()

        assert rig.caller.times == 3
        assert found == TABLE["the same of 3 steps, if the first one closes the circuit"]

    @pytest.mark.parametrize(("per_second", "writes"), [(None, 6 + 4), (200, 7 + 5)])
    def test_a_call_that_waits_for_a_circuit(self, rig: Rig, per_second: int | None, writes: int) -> None:
        """A wait costs four, a place in the line of a rate one more. The circuit is closed when the call returns."""
        sid = rig.started(1, NOON, {"perSecond": per_second, "circuit": {}})
        origin = AccountId("a-1"), "https://shop.example.test"
        until = micros_of(NOON + timedelta(minutes=10))
        rig.limits.change(*origin, LimitChange(at=0, guards={}, sets={Member.OPEN_UNTIL: until}))

        with rig.meter.counting() as usage:
            run_due_events(rig, sid, job="job-1", time_left=lambda: timedelta(seconds=900))
        first = usage.write_units
        rig.limits.change(*origin, LimitChange(at=0, guards={}, sets={Member.OPEN_UNTIL: 0}))
        rig.clock.at = max(rig.clock.at, NOON + timedelta(minutes=10, seconds=10))
        with rig.meter.counting() as usage:
            run_due_events(rig, sid, job="job-2", time_left=lambda: timedelta(seconds=900))

        assert rig.caller.times == 1
        assert first + usage.write_units == writes

    @pytest.mark.parametrize("until", [timedelta(seconds=30), timedelta(minutes=10)])
    def test_a_call_that_waits_for_its_permit(self, rig: Rig, until: timedelta) -> None:
        """Within fifty seconds the permit is kept, else a place in the line is one more write."""
        sid = rig.started(1, NOON, {"perSecond": 200})
        ahead = LimitChange(at=0, guards={}, sets={Member.NEXT_AT: micros_of(NOON + until)})
        rig.limits.change(AccountId("a-1"), "https://shop.example.test", ahead)

        with rig.meter.counting() as usage:
            run_due_events(rig, sid, job="job-1", time_left=lambda: timedelta(seconds=900))
            rig.clock.at = max(rig.clock.at, NOON + until - timedelta(seconds=2))
            run_due_events(rig, sid, job="job-2", time_left=lambda: timedelta(seconds=900))
        assert rig.caller.times == 1
        # Without a wait it is 7. The wait moves the entry in the due index, and the event is claimed again.
        assert usage.write_units == WAITING[until]

    @pytest.mark.parametrize(
        ("command", "row", "budget"),
        [(Pause(by=ANN), "pause", 9), (Resume(by=ANN), "resume", 9), (Cancel(by=ANN), "cancel", 12)],
        ids=["pause", "resume", "cancel"],
    )
    def test_commands_on_an_instance_with_one_open_event(
        self, rig: Rig, command: Command, row: str, budget: int
    ) -> None:
        sid = rig.started(3, NOON + timedelta(days=1))
        if isinstance(command, Resume):
            control(rig, sid, Pause(by=ANN))

        with rig.measuring() as measured:
            control(rig, sid, command)
            found = measured()

        assert found == TABLE[f"{row}, one open event"]
        assert found[0] <= budget
        assert found[2] == 0

    @pytest.mark.parametrize(
        ("command", "row", "by_runner"),
        [
            (PAUSE_UNTIL, "pause until a date", "end a pause at its date"),
            (CANCEL_AT, "cancel at a date", "cancel at the date"),
        ],
    )
    def test_commands_whose_effect_has_a_date(
        self, rig: Rig, command: Command, row: str, by_runner: str
    ) -> None:
        sid = rig.started(3, NOON + timedelta(days=1))
        with rig.measuring() as measured:
            control(rig, sid, command)
            assert measured() == TABLE[f"{row}, one open event"]
        rig.clock.at = DATE
        with rig.measuring() as measured:
            run_due_events(rig, sid, job="job-1", time_left=lambda: timedelta(seconds=900))
            assert measured() == TABLE[f"{by_runner}, one open event"]
        assert rig.caller.times == 0

    @pytest.mark.parametrize("others", [0, MANY])
    def test_reading_and_commanding_costs_the_same_however_many_there_are(
        self, rig: Rig, moto: DynamoDb, others: int
    ) -> None:
        strategy = rig.strategies.load(rig.saved(3), 1)
        asked = StartInstance(strategy_id="n", attributes={}, start_date=NOON + timedelta(days=1))
        sids = [start_instance(rig, strategy, asked).instance.sid for _ in range(30)]
        sid = sids[29]
        instance = rig.instances.load(sid)
        assert instance is not None
        copies = [
            replace(instance, sid=InstanceSid(f"copy-{number:06}"), shard=number % 16)
            for number in range(others)
        ]
        put(moto, moto.tables.instances, [instance_item(copy) for copy in copies])
        account = strategy.account_id
        active = ByStrategy(strategy=strategy.sid, statuses=(InstanceStatus.ACTIVE,))

        measured = {
            "get an instance": rig.reads(lambda: rig.instances.load(sid)),
            "list 25 instances of a strategy and status": rig.reads(
                lambda: page_of(rig, account, active, after=None, limit=25)
            ),
            "list 25 instances of a strategy": rig.reads(
                lambda: page_of(rig, account, ByStrategy(strategy=strategy.sid), after=None, limit=25)
            ),
            "list 25 instances of an account": rig.reads(
                lambda: page_of(rig, account, ByAccount(), after=None, limit=25)
            ),
            "list 25 events of an instance": rig.reads(
                lambda: history_page(rig, instance, before=None, limit=25)
            ),
            "explain an instance": rig.reads(lambda: explain_at(rig, instance, NOON)),
            "sweep 16 shards and the operations without anything due": rig.reads(lambda: swept(rig)),
            "find a slice of 25 instances of a strategy": rig.reads(
                lambda: next_batch(
                    rig,
                    SelectionScan(
                        account=account, selection=OfStrategy(strategy=strategy.sid), begun_at=NOON
                    ),
                    size=25,
                )
            ),
            "cancel 25 instances in bulk": rig.reads(
                lambda: begin_bulk(
                    rig,
                    BulkRequest(
                        account=account, selection=OfIds(ids=tuple(sids[:25])), command=Cancel(by=ANN)
                    ),
                )
            ),
            "pause an instance": rig.reads(lambda: control(rig, sid, Pause(by=ANN))),
            "read a year of audit about an instance": rig.reads(lambda: self.audit(rig, account, sid)),
            "read a year of audit about an event": rig.reads(
                lambda: self.audit(rig, account, event_sid(sid, 1))
            ),
            "pause the queue": rig.reads(lambda: pause_queue(rig, account, by=ANN)),
            "resume the queue": rig.reads(lambda: resume_queue(rig, account, by=ANN)),
        }

        operation = self.operation(rig, account)
        measured["read a year of audit about a bulk operation of 25"] = rig.reads(
            lambda: self.audit(rig, account, operation)
        )

        assert measured == READS

    @staticmethod
    def audit(rig: Rig, account: AccountId, target: str) -> None:
        """Read the audit of a target until there is no next page."""
        until = rig.clock.now() + timedelta(days=1)
        window = Window(account=account, since=until - timedelta(days=366), target=target)
        page = page_with_creation(rig, window, before=from_the_end(until), limit=50)
        assert page.after is None

    @staticmethod
    def operation(rig: Rig, account: AccountId) -> OperationSid:
        (operation,) = all_readable(rig.operations.of_account(account, before=None, limit=1))
        return operation.sid

    def test_every_row_of_the_table_is_measured(self) -> None:
        assert len(TABLE) == 17


class TestRequests:
    """A command reads key, instance and strategy head once. The use case does not read the instance again."""

    def test_each_request_costs_as_documented(self, requests: Requests) -> None:
        requests("POST", "/execution-strategy", WATER)
        body = {
            "strategyId": WATER["name"],
            "attributes": {"customerId": "c"},
            "startDate": (NOON + timedelta(days=1)).isoformat(),
        }
        one = (
            f"/execution-instance/{requests('POST', '/execution-instance', body)['executionInstance']['sid']}"
        )
        ask = requests.measure

        measured = {
            "get an instance": ask("GET", one),
            "update an instance": ask("PATCH", one, {"description": "d"}),
            "pause an instance": ask("POST", f"{one}/pause"),
            "change when a pause ends": ask("POST", f"{one}/pause", {"until": "2036-01-01"}),
            "remove the end of a pause": ask("POST", f"{one}/pause", {"until": None}),
            "preview a resume": ask("POST", f"{one}/resume", {"dryRun": True}),
            "resume an instance": ask("POST", f"{one}/resume"),
            "preview a migration": ask("POST", f"{one}/migrate", {"version": 1, "dryRun": True}),
        }
        moved = {"date": (NOON + timedelta(days=2)).isoformat()}
        measured["preview a reschedule"] = ask("POST", f"{one}/reschedule", {**moved, "dryRun": True})
        measured["reschedule the next date"] = ask("POST", f"{one}/reschedule", moved)
        measured["skip a cycle"] = ask("POST", f"{one}/skip")
        by_hand = {"task": "send-refill", "manualTrigger": True}
        measured["add an event"] = ask("POST", f"{one}/events", by_hand)
        added = requests("GET", f"{one}/get-tasks")[-1]["sid"]
        measured["execute an event"] = ask("POST", f"/execution-event/{added}/execute")
        measured["cancel an event"] = ask("POST", f"/execution-event/{added}/cancel")
        at = {"at": "endOfCycle"}
        measured["preview a cancellation at a date"] = ask("POST", f"{one}/cancel", {**at, "dryRun": True})
        measured["cancel an instance at a date"] = ask("POST", f"{one}/cancel", at)
        measured["revoke a cancellation"] = ask("DELETE", f"{one}/cancel")
        measured["cancel an instance"] = ask("POST", f"{one}/cancel")

        assert measured == REQUESTS
