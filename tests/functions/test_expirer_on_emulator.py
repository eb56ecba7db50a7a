"""From a run to its expiry: the real runner, expirer and API's use cases on an emulator with a server of its own."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import boto3
import pytest

from dev.memory.world import ManualClock
from dev.template import Template
from shared import bootstrap
from shared.adapters.system import SystemClock
from shared.application.control import control
from shared.application.history import history_page
from shared.application.retry_event import RetryEvent, retry_event
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.application.strategies import NewStrategy, create_strategy
from shared.domain.ids import AccountId, InstanceSid
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import EventHistory
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Actor, Applied
from shared.domain.lifecycle.commands import AddEvent
from tests.functions.environments import PARAMETERS, ROOT
from tests.functions.expiring import expired, handled, history

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

NUMBERS = count(1)
ANN = Actor(name="ann")
MONTH = {"unit": "months", "amount": 1}
SETTINGS = {
    "schedule": {"calendars": [{"key": "monthly", "task": "bill", "scheduleAfter": MONTH}]},
    # Nothing is called: every step is decided by its controller.
    "services": [
        {
            "key": "none",
            "baseUrls": [{"environment": "dev", "url": "https://none.example"}],
            "methods": [{"key": "call", "method": "post", "url": "/"}],
        }
    ],
    "actions": [{"key": "call", "service": "none", "method": "call"}],
    "tasks": [
        {
            "key": "bill",
            "initialStep": "first",
            "steps": [
                {"key": "first", "controllerCallback": '{"attributes": {"n": 1}}', "nextStep": "second"},
                {"key": "second", "controllerCallback": '{"response": {"ok": true}}'},
            ],
        },
        {
            "key": "side",
            "initialStep": "no",
            "steps": [{"key": "no", "controllerCallback": '{"fail": "not today"}'}],
        },
    ],
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, roto_address: str) -> Iterator[ManualClock]:
    """Create empty tables of a deployment that keeps records for ninety days."""
    parameters = {**PARAMETERS, "Stage": f"expiry-{next(NUMBERS)}", "RecordRetentionDays": "90"}
    key = "local:" + "a2tr" * 10 + "a2s="
    template = Template(ROOT / "template.yaml", {**parameters, "SettingsKeyArn": key})
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    # The emulator knows neither the group of schedules nor the runner; wakeups are best effort.
    monkeypatch.setenv("AWS_ENDPOINT_URL", roto_address)
    for name, value in template.environment("CoreApi").items():
        monkeypatch.setenv(name, value)
    for table in template.tables():
        boto3.client("dynamodb").create_table(**table)
    bootstrap.forget()
    clock = ManualClock(SystemClock().now())
    bootstrap.use_clock(clock)
    yield clock
    bootstrap.forget()


def run(sid: InstanceSid) -> Instance:
    ports = bootstrap.ports()
    run_due_events(ports, sid, job="job", time_left=lambda: timedelta(minutes=15))
    found = ports.instances.load(sid)
    assert found is not None
    return found


@pytest.fixture
def instance(clock: ManualClock) -> Instance:
    """Return an instance that has run twice, a month apart, and whose side task has failed."""
    ports = bootstrap.ports()
    new = NewStrategy(
        account_id=AccountId("a-1"), name="club", settings=SETTINGS, secret="sixteen characters"
    )
    head, _ = create_strategy(ports, bootstrap.hasher(), new, environment="dev")
    strategy = ports.strategies.load(head.sid, 1)
    sid = start_instance(ports, strategy, StartInstance(strategy_id="club", attributes={})).instance.sid
    clock.at += timedelta(seconds=1)
    run(sid)
    assert isinstance(control(ports, sid, AddEvent(task="side", by=ANN, date=clock.at)), Applied)
    after = run(sid)
    assert [failed.task for failed in after.failed_events] == ["side"]
    clock.at = after.events[0].due_at + timedelta(seconds=1)
    return run(sid)


def seqs(instance: Instance) -> list[int]:
    page = history_page(bootstrap.ports(), instance, before=None, limit=25)
    assert page.after is None
    return [one.event.seq for one in page.events]


def test_what_has_run_is_forgotten_ninety_days_later(clock: ManualClock, instance: Instance) -> None:
    first, second = history(instance, 1), history(instance, 2)
    assert (len(first.entries), len(second.entries)) == (1, 1)
    assert seqs(instance) == [4, 3, 2, 1]
    clock.at += timedelta(days=61)

    records = expired(until=clock.at)
    assert [record["dynamodb"]["Keys"]["sk"]["S"] for record in records] == ["e#00000001", "e#00000003"]
    assert seqs(instance) == [4, 2]
    assert handled(records) == {"batchItemFailures": []}

    # The first run is forgotten. The failed side task is a problem, so it can still be retried.
    assert history(instance, 1) == EventHistory()
    assert seqs(instance) == [4, 3, 2]
    assert retry_event(bootstrap.ports(), RetryEvent(sid=instance.sid, seq=1, by=ANN)) is None
    assert isinstance(retry_event(bootstrap.ports(), RetryEvent(sid=instance.sid, seq=3, by=ANN)), Applied)
    again = history(run(instance.sid), 3)
    assert again.record is not None
    assert (again.record.event.status, again.record.event.run) == (EventStatus.FAILED, 2)
    assert [(entry.run, entry.intent.step) for entry in again.entries] == [(1, "no")]
