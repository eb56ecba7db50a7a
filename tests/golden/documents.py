"""Golden documents: data that outlive a release outside the tables, and the meaning of stored settings.

Schedules wait for years, messages for days. Stored settings must not change their meaning when a default does.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time, timedelta
from enum import Enum
from typing import Any

from msgspec import NODEFAULT, Struct, field
from msgspec.structs import fields

from dev.memory.world import ManualClock
from dev.stream_records import record_of
from shared.adapters.delivery_queue import SqsDeliveries
from shared.adapters.dynamodb import bulk_documents, documents
from shared.adapters.dynamodb.shapes import Shape
from shared.adapters.dynamodb.strategies import DynamoDbStrategies
from shared.adapters.dynamodb.tables import LAYOUTS
from shared.adapters.wakeups import AwsWakeups, WakeupTargets
from shared.application.webhooks import Delivery
from shared.domain.calendar.cron import Cron
from shared.domain.notifications.decide import notifications_of
from shared.domain.notifications.message import message_of
from shared.domain.notifications.model import InstanceWrite
from shared.domain.strategy.model import Definition, Json
from shared.domain.strategy.parse import stored_definition
from tests.engines import DynamoDb
from tests.golden import settings
from tests.golden.files import items_in
from tests.golden.golden import ACCOUNT, SID, STRATEGY, at, under_local_key
from tests.golden.instances import NEW
from tests.golden.operations import BULK_SID

PAUSED = "instances/paused-by-operator"


class Document(Struct, frozen=True, kw_only=True):
    """A document under the name of its file. ``write`` returns the document that today's code writes."""

    name: str
    write: Callable[[], Json]


def plain(value: object) -> Json:
    """Return a value of the domain as JSON, with every field, also those with their defaults."""
    if isinstance(value, Cron | Enum | date | time | timedelta):
        return _plain_scalar(value)
    if isinstance(value, Mapping):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, tuple | list | frozenset):
        members = [plain(member) for member in value]
        return sorted(members) if isinstance(value, frozenset) else members
    return (
        {each.name: plain(getattr(value, each.name)) for each in fields(value)}
        if isinstance(value, Struct)
        else value
    )


def _plain_scalar(value: Cron | Enum | date | time | timedelta) -> Json:
    match value:
        case Cron():
            return value.text
        case Enum():
            return value.value
        case date():
            return value.isoformat()
        case time():
            return value.isoformat(timespec="minutes")
        case timedelta():
            return value.total_seconds()


def changes(golden: Json, today: Json, place: str = "") -> list[str]:
    """Return the places at which a document of today differs from the golden one. It may have further members."""
    if isinstance(golden, dict) and isinstance(today, dict):
        lost = [f"{place}/{name} is gone" for name in golden if name not in today]
        both = [name for name in golden if name in today]
        return lost + [
            each for name in both for each in changes(golden[name], today[name], f"{place}/{name}")
        ]
    if isinstance(golden, list) and isinstance(today, list) and len(golden) == len(today):
        pairs = enumerate(zip(golden, today, strict=True))
        return [each for n, (old, new) in pairs for each in changes(old, new, f"{place}/{n}")]
    return [] if golden == today else [f"{place} was {golden!r} and is {today!r}"]


def loaded_definition(dynamodb: DynamoDb, version: int) -> Definition:
    """Return the definition of a version of the golden strategy that the tables hold."""
    strategies = under_local_key(dynamodb).strategies
    assert isinstance(strategies, DynamoDbStrategies)
    return strategies.load(STRATEGY, version).definition


class Recorder(Struct, frozen=True):
    """A client of Scheduler, Lambda and SQS that keeps its requests."""

    requests: list[dict[str, Any]] = field(default_factory=list)

    def create_schedule(self, _name: str, schedule: Mapping[str, Any]) -> None:
        self.requests.append(dict(schedule))

    def invoke_later(self, _function: str, payload: Mapping[str, Any]) -> None:
        self.requests.append({"Payload": json.dumps(payload)})

    def send_message_batch(self, _url: str, entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        self.requests.append({"Entries": entries})
        return {}

    def change_message_visibility(self, url: str, receipt: str, *, seconds: int) -> None:
        raise AssertionError(url, receipt, seconds)


def _wakeups(client: Recorder) -> AwsWakeups:
    targets = WakeupTargets(
        group="group",
        runner_arn="arn:runner:live",
        bulk_runner_arn="arn:bulk-runner:live",
        role_arn="arn:role",
        dead_letter_arn="arn:dead",
        report=lambda _what, _sid, error: _fail(error),
    )
    return AwsWakeups(targets, scheduler=lambda: client, invoker=lambda: client, clock=ManualClock(at(1)))


def _fail(error: Exception) -> None:
    raise error


def schedule() -> Json:
    """Return the input of a schedule, which Scheduler sends when it fires."""
    client = Recorder()
    _wakeups(client).arm("name", at(31), SID)
    return json.loads(client.requests[0]["Target"]["Input"])


def invocation() -> Json:
    """Return the payload of an asynchronous invocation of the step runner."""
    client = Recorder()
    _wakeups(client).invoke(SID)
    return json.loads(client.requests[0]["Payload"])


def operation() -> Json:
    """Return the payload of an asynchronous invocation of the bulk runner."""
    client = Recorder()
    _wakeups(client).invoke_operation(BULK_SID)
    return json.loads(client.requests[0]["Payload"])


def delivery() -> Json:
    """Return the body of a message in the queue of webhooks."""
    client = Recorder()
    (created,) = notifications_of(InstanceWrite(before=None, after=NEW))
    message = message_of(created)
    queue = SqsDeliveries(client=lambda: client, url="https://queue", report=_fail)
    queue.put([Delivery(account_id=ACCOUNT, message=message)])
    return json.loads(client.requests[0]["Entries"][0]["MessageBody"])


def stream_of(table: str, before: str | None, after: str) -> Json:
    """Return the record of a write between the items of two goldens."""

    def image(name: str) -> dict[str, Any]:
        items = items_in(1, name)[table]
        # The head is the first of a strategy's items.
        return items[0]

    old = None if before is None else image(before)
    return record_of(table, LAYOUTS[table].key, old, image(after), number=7)


def shapes() -> dict[str, Shape[Any]]:
    """Return the form of each class that is stored in a document, by its name among the documents."""
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": shape
        for module in (documents, bulk_documents)
        for name, shape in vars(module).items()
        if isinstance(shape, Shape)
    }


def absent_members() -> Json:
    """Return the value of each member of each stored document if it is absent. Required members are left out.

    The values of the catalogue are made with the same defaults, and so cannot show that one has changed.
    """
    by_class = {shape._kind: shape for shape in shapes().values()}

    def stored(value: object) -> Json:
        return by_class[type(value)].write(value) if type(value) in by_class else plain(value)

    def absent(shape: Shape[Any]) -> Json:
        names = {field: member for field, member, *_ in shape._rows}
        return {
            member: stored(usual) if same_as is None else f"as {names.get(same_as, same_as)}"
            for _, member, _, usual, same_as in shape._rows
            if same_as is not None or usual is not NODEFAULT
        }

    return {name: absent(shape) for name, shape in shapes().items()}


DEFINITIONS = (
    Document(name="definitions/absent-members", write=absent_members),
    Document(name="definitions/minimal", write=lambda: plain(stored_definition(settings.MINIMAL))),
    Document(name="definitions/full", write=lambda: plain(stored_definition(settings.FULL))),
    Document(name="definitions/sparse", write=lambda: plain(stored_definition(settings.SPARSE))),
    Document(name="definitions/dunning", write=lambda: plain(stored_definition(settings.DUNNING))),
    Document(
        name="definitions/business-days", write=lambda: plain(stored_definition(settings.BUSINESS_DAYS))
    ),
    Document(name="definitions/spread", write=lambda: plain(stored_definition(settings.SPREAD))),
    Document(
        name="definitions/late-reminders", write=lambda: plain(stored_definition(settings.LATE_REMINDERS))
    ),
    Document(
        name="definitions/zone-of-customer", write=lambda: plain(stored_definition(settings.ZONE_OF_CUSTOMER))
    ),
    Document(name="definitions/limited", write=lambda: plain(stored_definition(settings.LIMITED))),
    Document(name="definitions/circuits", write=lambda: plain(stored_definition(settings.CIRCUITS))),
    Document(name="definitions/in-flight", write=lambda: plain(stored_definition(settings.IN_FLIGHT))),
    Document(
        name="definitions/on-missed-last",
        write=lambda: plain(stored_definition(settings.MISSED_RULES["last"])),
    ),
    Document(
        name="definitions/on-missed-skip",
        write=lambda: plain(stored_definition(settings.MISSED_RULES["skip"])),
    ),
)

MESSAGES = (
    Document(name="messages/schedule", write=schedule),
    Document(name="messages/invocation", write=invocation),
    Document(name="messages/operation", write=operation),
    Document(name="messages/delivery", write=delivery),
    Document(name="messages/stream-instance", write=lambda: stream_of("instances", "instances/new", PAUSED)),
    Document(
        name="messages/stream-operation",
        write=lambda: stream_of("operations", "operations/bulk-new", "operations/bulk-completed"),
    ),
    Document(name="messages/stream-strategy", write=lambda: stream_of("strategies", None, "strategies/new")),
)

DOCUMENTS = (*DEFINITIONS, *MESSAGES)
