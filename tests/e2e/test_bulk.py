"""Canceling thousands of instances on the local stack: as fast as it goes, and while it is killed twice.

``BULK_INSTANCES=10000`` runs it at full length and waits for the sweeper in real time. By default there are fewer
instances, and the clock is advanced to the next sweep.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from dev.client import Api, Processes, RefusedError, advance, example
from dev.emulator import cpu_seconds_of
from dev.template import REGION
from shared.adapters.dynamodb.audit import DynamoDbAudit
from shared.adapters.dynamodb.instances import DynamoDbInstances
from shared.adapters.dynamodb.items import instance_item
from shared.adapters.dynamodb.tables import Tables
from shared.application.audit import from_the_end
from shared.application.ports import all_readable
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.due import SHARDS
from shared.domain.instance.event import EventKind
from shared.domain.instance.model import Instance, Origin
from shared.domain.planning.start import NewInstance, start
from shared.domain.strategy.model import Strategy
from shared.domain.strategy.parse import read_definition

MANY = int(os.environ.get("BULK_INSTANCES", "300"))
AT_FULL_LENGTH = "BULK_INSTANCES" in os.environ
PACE = () if AT_FULL_LENGTH else ("--bulk-per-second", "25")
"""Few instances would all be canceled before the operation can be paused, or its processes killed."""
NO_PACE = ("--bulk-per-second", "0", "--sweeper", "off")
"""Without a sweeper, because the emulator reads tens of thousands of entries for each of its 33 queries."""
DEV = AccountId("dev")
MEMBER = {"memberId": "m", "email": "m@example.test", "monthlyFee": 29.5, "marketingOptIn": True}
FAR = datetime(2040, 1, 1, tzinfo=UTC)
TWO_MINUTES = timedelta(minutes=2)
WRITTEN_AT_ONCE = 25
"""As many items as one request to DynamoDB writes."""

pytestmark = pytest.mark.timeout(2400 if AT_FULL_LENGTH else 200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gym:
    """A gym on the stack, and its history. ``api`` sends the gym's secret."""

    api: Api
    sid: str
    strategy: Strategy
    database: Any
    tables: Tables

    def join(self, count: int) -> list[InstanceSid]:
        """Write ``count`` members into the tables, as the API would store them one by one."""
        now = datetime.now(UTC).replace(microsecond=0)
        sids = [InstanceSid(f"{self.sid[:18]}-{number:06}") for number in range(count)]
        for begin in range(0, count, WRITTEN_AT_ONCE):
            puts = [
                {"PutRequest": {"Item": instance_item(self._member(sid, now, begin))}}
                for sid in sids[begin : begin + WRITTEN_AT_ONCE]
            ]
            answer = self.database.batch_write_item(RequestItems={self.tables.instances: puts})
            assert answer.get("UnprocessedItems", {}) == {}
        return sids

    def members(self, sids: Sequence[InstanceSid]) -> list[Instance]:
        """Return the members as they are now."""
        store = DynamoDbInstances(client=self.database, tables=self.tables)
        parts = [store.load_many(sids[begin : begin + 100]) for begin in range(0, len(sids), 100)]
        return [one for part in parts for one in all_readable(part)]

    def canceled(self, sids: Sequence[InstanceSid]) -> int:
        return sum(one.status.value == "CANCELED" for one in self.members(sids))

    def audited(self, operation: str) -> Counter[str]:
        """Return how often each target is in the audit trail as changed by an operation."""
        store, day = DynamoDbAudit(client=self.database, tables=self.tables), datetime.now(UTC)
        found: Counter[str] = Counter()
        for at in (day, day - timedelta(days=1)):
            since, before = at - timedelta(days=2), from_the_end(at + timedelta(days=1))
            entries = store.of_day(DEV, at.date(), since=since, before=before, limit=10 * MANY)
            readable = all_readable(entry for _, entry in entries)
            found.update(entry.target for entry in readable if entry.operation == operation)
        return found

    def begin(self, **command: Any) -> str:
        """Begin an operation on all ACTIVE instances and return its sid."""
        selection = {"strategyId": self.strategy.name, "statuses": ["ACTIVE"]}
        body = {"selection": selection, "command": command, "comment": "the gym closes"}
        answer = self.api.call("POST", "/bulk-operation", body)
        assert answer["status"] == "ACTIVE", answer
        return str(answer["sid"])

    def operation(self, sid: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.call("GET", f"/bulk-operation/{sid}")
        return found

    def done(self, sid: str) -> int:
        return int(self.operation(sid)["counts"]["done"])

    def _member(self, sid: InstanceSid, now: datetime, number: int) -> Instance:
        new = NewInstance(
            sid=sid,
            origin=Origin(strategy_id=self.strategy.name),
            shard=number % SHARDS,
            attributes=MEMBER,
            start_date=FAR,
        )
        return start(self.strategy, new, now=now - timedelta(minutes=1)).instance


def open_gym(processes: Processes, *options: str) -> Gym:
    """Return a gym whose members are first charged in 2040.

    Its on-cancel events are on hold, because the local stack reads each scheduled wakeup twice when it starts.
    """
    processes.start_stack(*options)
    body = example("gym-membership", processes.downstream)
    body["settings"]["onCancelTasks"][0]["manualTrigger"] = True
    saved = processes.stack.call("POST", "/execution-strategy", body)
    database = processes.stack.call("GET", "/_local/database")
    strategy = Strategy(
        sid=StrategySid(saved["sid"]),
        account_id=DEV,
        name=saved["name"],
        version=1,
        definition=read_definition(body["settings"], environment="dev"),
        environment="dev",
    )
    return Gym(
        api=replace(processes.stack, secret=body["secret"]),
        sid=saved["sid"],
        strategy=strategy,
        database=client_of(database["endpoint"]),
        tables=Tables(**database["tables"]),
    )


def client_of(endpoint: str) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


def restarted(processes: Processes, gym: Gym) -> Gym:
    """Kill the whole stack, start it again, and return the gym. Its emulator has a new address."""
    processes.kill_stack()
    processes.start_stack(*PACE)
    database = processes.stack.call("GET", "/_local/database")
    return replace(gym, database=client_of(database["endpoint"]))


def let_the_sweeper_come(processes: Processes) -> None:
    """Let two minutes pass, in real time or at once."""
    if AT_FULL_LENGTH:
        return
    now = datetime.fromisoformat(processes.stack.call("GET", "/_local/clock")["now"])
    threading.Thread(target=_move, args=(processes.stack, now + TWO_MINUTES), daemon=True).start()


def _move(stack: Api, to: datetime) -> None:
    """Advance time until the stack is killed."""
    try:
        advance(stack, to.isoformat())
    except (OSError, RefusedError):
        return


def seconds_until(holds: Callable[[], bool], seconds: float) -> float:
    """Return when a condition holds, and after how many seconds."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(0.1)
    return time.monotonic() - began


def await_done(gym: Gym, sid: str, count: int, seconds: float) -> float:
    """Return when an operation has done ``count`` instances, and after how many seconds."""
    return seconds_until(lambda: gym.done(sid) >= count, seconds)


class TestCancelingMany:
    """Each instance is canceled, audited, given its on-cancel event and counted exactly once."""

    def test_two_operations_cancel_each_instance_once_despite_kills(self, processes: Processes) -> None:
        gym = open_gym(processes, *PACE)
        sids = gym.join(MANY)
        began = time.monotonic()

        first = gym.begin(name="cancel")
        stopped_at = paused_resumed_and_canceled(gym, first, sids)
        second = gym.begin(name="cancel")
        gym = killed_twice(processes, gym, second, MANY - stopped_at)
        await_done(gym, second, MANY - stopped_at, 1200)

        tell(f"{MANY} canceled in {time.monotonic() - began:.0f} s")
        assert gym.operation(second)["status"] == "COMPLETED"
        assert gym.operation(second)["counts"]["changed"] == MANY - stopped_at
        assert gym.operation(second)["itemProblems"] == []
        assert sum(gym.audited(first).values()) == stopped_at
        assert gym.audited(first) + gym.audited(second) == dict.fromkeys(sids, 1)
        members = gym.members(sids)
        assert len(members) == MANY
        for member in members:
            assert (member.status, member.stop_note) == ("CANCELED", "the gym closes")
            assert [event.kind for event in member.events] == [EventKind.ON_CANCEL]


class TestSpeed:
    """An operation without a pace cancels each instance once. ``-s`` shows the speed, and the emulator's share."""

    def test_one_operation_cancels_all(self, processes: Processes) -> None:
        gym = open_gym(processes, *NO_PACE)
        sids = gym.join(MANY)
        pids = processes.stack.call("GET", "/_local/processes")
        before = cpu_seconds_of(pids["emulator"])
        began = time.monotonic()

        sid = gym.begin(name="cancel")
        await_done(gym, sid, MANY, 1200)

        seconds, emulators = time.monotonic() - began, cpu_seconds_of(pids["emulator"]) - before
        tell(
            f"{MANY} canceled in {seconds:.1f} s, {MANY / seconds:.0f} a second; "
            f"the emulator's processor time is {emulators:.1f} s, {emulators / seconds:.0%} of that"
        )
        assert gym.operation(sid)["status"] == "COMPLETED"
        assert gym.operation(sid)["counts"] == {
            "matched": MANY,
            "done": MANY,
            "changed": MANY,
            "alreadyThere": 0,
            "refused": 0,
            "unknown": 0,
            "failed": 0,
        }
        assert gym.audited(sid) == dict.fromkeys(sids, 1)
        assert gym.canceled(sids) == MANY


def paused_resumed_and_canceled(gym: Gym, sid: str, sids: Sequence[InstanceSid]) -> int:
    """Pause, resume and cancel an operation. Return how many instances it has canceled."""
    path = f"/bulk-operation/{sid}"
    await_done(gym, sid, 1, 60)
    gym.api.call("POST", f"{path}/pause")
    paused_at = rested(gym, sid)
    assert 0 < paused_at == gym.canceled(sids) < MANY

    gym.api.call("POST", f"{path}/resume")
    await_done(gym, sid, paused_at + 1, 60)
    gym.api.call("POST", f"{path}/cancel")
    canceled_at = rested(gym, sid)
    assert gym.operation(sid)["status"] == "CANCELED"
    assert paused_at < canceled_at == gym.canceled(sids) < MANY, "canceled too late: the test proves nothing"
    return canceled_at


def killed_twice(processes: Processes, gym: Gym, sid: str, count: int) -> Gym:
    """Kill the stack when a fifth and when half of the operation is done; it continues each time."""
    for part in (count // 5, count // 2):
        await_done(gym, sid, part, 600)
        gym = restarted(processes, gym)
        left_at = gym.done(sid)
        assert part <= left_at < count, "killed too late: the test proves nothing"
        let_the_sweeper_come(processes)
        taken_up = await_done(gym, sid, left_at + 1, 125)
        tell(f"killed at {left_at} of {count}, taken up after {taken_up:.0f} s")
    return gym


def rested(gym: Gym, sid: str) -> int:
    """Return the progress of an operation after its runner has saved its batch."""
    seconds_until(lambda: batch_sids(gym, sid) == 0, 30)
    done = gym.done(sid)
    time.sleep(1)
    assert gym.done(sid) == done
    return done


def batch_sids(gym: Gym, sid: str) -> int:
    counts = gym.operation(sid)["counts"]
    return int(counts["matched"] - counts["done"])


def tell(text: str) -> None:
    """Print progress, for a run with ``-s``."""
    print(text, flush=True)  # noqa: T201 - the figures of a run at full length
