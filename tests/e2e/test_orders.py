"""One request cancels thousands of orders on the local stack.

``ORDERS=20000`` runs it at full length; by default there are fewer.
"""

import base64
import json
import os
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from dev.client import KEY, Processes, example
from shared.adapters.dynamodb.audit import DynamoDbAudit
from shared.adapters.dynamodb.items import instance_item
from shared.application.audit import from_the_end
from shared.application.ports import all_readable
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.ids import InstanceSid, order_sid
from shared.domain.instance.due import SHARDS
from shared.domain.instance.model import Instance, Origin
from shared.domain.instance.verdict import AuditEntry
from shared.domain.planning.start import NewInstance, start
from tests.e2e.test_bulk import DEV, FAR, MEMBER, WRITTEN_AT_ONCE, Gym, open_gym, seconds_until, tell
from tests.programs import output_of

MANY = int(os.environ.get("ORDERS", "300"))
AT_FULL_LENGTH = "ORDERS" in os.environ
WHY = {"comment": "sold out", "timeSpent": 2, "ticketLink": "https://tickets.example/1"}
MOST_SECONDS = 2.0

pytestmark = pytest.mark.timeout(3600 if AT_FULL_LENGTH else 200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joc:
    """A client of the orders dialect, logged in."""

    base: str
    token: str

    def __call__(self, path: str, **body: Any) -> dict[str, Any]:
        return send(f"{self.base}{path}", {"controllerId": DEV, **body}, {"X-Access-Token": self.token})[0]


def send(url: str, body: Any, headers: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return body and headers of the answer to a request. Raises: HTTPError."""
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310 - our own stack
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own stack
        return json.loads(answer.read()), {name.lower(): value for name, value in answer.headers.items()}


def logged_in(gym: Gym) -> Joc:
    base = f"{gym.api.url}/joc/api"
    shown = base64.b64encode(KEY.replace(".", ":", 1).encode()).decode()
    _, headers = send(f"{base}/authentication/login", {}, {"Authorization": f"Basic {shown}"})
    return Joc(base=base, token=headers["x-access-token"])


def placed(gym: Gym, count: int) -> list[InstanceSid]:
    """Write ``count`` orders into the tables, as the API would store them."""
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    names = [f"#2040-01-01#T{number:011}-daily" for number in range(count)]
    orders = [an_order(gym, name, number, now) for number, name in enumerate(names)]
    for begin in range(0, count, WRITTEN_AT_ONCE):
        puts = [
            {"PutRequest": {"Item": instance_item(one)}} for one in orders[begin : begin + WRITTEN_AT_ONCE]
        ]
        answer = gym.database.batch_write_item(RequestItems={gym.tables.instances: puts})
        assert answer.get("UnprocessedItems", {}) == {}
    return [one.sid for one in orders]


def an_order(gym: Gym, name: str, number: int, now: datetime) -> Instance:
    new = NewInstance(
        sid=order_sid(DEV, name),
        origin=Origin(strategy_id=gym.strategy.name, order_id=name),
        shard=number % SHARDS,
        attributes=MEMBER,
        start_date=FAR,
        schedule=OwnSchedule(),
    )
    return start(gym.strategy, new, now=now).instance


def audited(gym: Gym, operation: str) -> list[AuditEntry]:
    """Return the commands that an operation executed on instances."""
    store, day = DynamoDbAudit(client=gym.database, tables=gym.tables), datetime.now(UTC)
    found: list[AuditEntry] = []
    for at in (day, day - timedelta(days=1)):
        since, before = at - timedelta(days=2), from_the_end(at + timedelta(days=1))
        entries = store.of_day(DEV, at.date(), since=since, before=before, limit=10 * MANY)
        readable = all_readable(entry for _, entry in entries)
        found += [entry for entry in readable if entry.operation == operation]
    return found


class TestCancellingMany:
    """One request is answered at once; its operation cancels and audits each order once."""

    def test_orders_of_a_workflow_are_cancelled_and_audited_once(self, processes: Processes) -> None:
        gym = open_gym(processes)
        sids = placed(gym, MANY)
        joc = logged_in(gym)
        workflow = f"/{gym.strategy.name}"
        assert joc("/order", orderId="#2040-01-01#T00000000000-daily")["state"]["_text"] == "SCHEDULED"

        began = time.monotonic()
        answer, headers = send(
            f"{joc.base}/orders/cancel",
            {"controllerId": DEV, "workflowIds": [{"path": workflow}], "auditLog": WHY},
            {"X-Access-Token": joc.token},
        )
        answered = time.monotonic() - began
        operation = headers["x-operation-sid"]
        took = seconds_until(lambda: gym.operation(operation)["status"] == "COMPLETED", 3000)

        tell(f"{MANY} orders: answered in {answered:.2f} s, cancelled in {took:.0f} s")
        assert answer["ok"] is True
        assert answered < MOST_SECONDS
        assert gym.operation(operation)["counts"]["changed"] == MANY
        assert gym.operation(operation)["itemProblems"] == []
        assert all_canceled(gym, sids)
        entries = audited(gym, operation)
        assert Counter(entry.target for entry in entries) == dict.fromkeys(sids, 1)
        assert {(e.by, e.command, e.from_state, e.to_state) for e in entries} == {
            ("dev", "cancel", "ACTIVE", "CANCELED")
        }
        assert {(e.reason, e.minutes_spent, e.ticket) for e in entries} == {tuple(WHY.values())}
        assert joc("/orders", workflowIds=[{"path": workflow}])["orders"] == []


def all_canceled(gym: Gym, sids: Sequence[InstanceSid]) -> bool:
    return gym.canceled(sids) == len(sids)


class TestTheGateway:
    """The statuses of the original pass the gateway, and the walk-through of the page runs as printed."""

    def test_original_statuses_pass_the_gateway(self, processes: Processes) -> None:
        gym = open_gym(processes)
        joc = logged_in(gym)
        token = {"X-Access-Token": joc.token}

        assert refused(f"{joc.base}/orders", {}, {}) == (401, "isAuthenticated")
        assert refused(f"{joc.base}/orders", {"controllerId": "another"}, token) == (420, "error")
        bad = {"controllerId": DEV, "orders": [{"workflowPath": "/gone"}]}
        assert refused(f"{joc.base}/orders/add", bad, token) == (419, "errors")
        assert refused(f"{joc.base}/orders/change", {"controllerId": DEV}, token) == (404, "error")
        processes.stack.call("POST", "/_local/clock", {"advance": {"minutes": 31}})
        assert refused(f"{joc.base}/orders", {"controllerId": DEV}, token) == (440, "isAuthenticated")

    def test_the_example_session_of_the_page_works(self, processes: Processes) -> None:
        processes.start_stack()
        water = example("water-filter-refill", processes.downstream)
        processes.stack.call("POST", "/execution-strategy", water)
        page = (Path(__file__).parents[2] / "docs" / "api" / "orders.md").read_text()
        lines = page.split("## A walk-through\n")[1].split("## Before")[0].splitlines()
        script = "\n".join(line[4:] for line in lines if line.startswith("    "))
        script = script.replace("http://127.0.0.1:8080", processes.stack.url)

        printed = output_of(["bash", "-euc", script], seconds=60)

        decoder, answers, rest = json.JSONDecoder(), [], printed.strip()
        while rest:
            answer, end = decoder.raw_decode(rest)
            answers.append(answer)
            rest = rest[end:].strip()
        added, orders, suspended, cancelled, snapshot = answers
        assert [order["orderId"] for order in orders["orders"]] == added["orderIds"]
        assert (suspended["ok"], cancelled["ok"]) == (True, True)
        assert snapshot["orders"]["terminated"] == 1


def refused(url: str, body: Any, headers: dict[str, str]) -> tuple[int, str]:
    """Return the status of a refusal, and the member that identifies its body."""
    with pytest.raises(HTTPError) as found:
        send(url, body, headers)
    told = json.loads(found.value.read())
    known = ("isAuthenticated", "errors", "error", "message")
    return found.value.code, next(name for name in known if name in told)
