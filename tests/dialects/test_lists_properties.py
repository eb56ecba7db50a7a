"""Every list over stored items, with every page size, and none, one, exactly a page and one more item than a page."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dev.gateway import HttpRequest, event_of
from dev.memory.world import ManualClock
from shared import bootstrap
from shared.adapters.crypto import SecretHasher
from shared.api.core.routes import ROUTES as CORE_ROUTES
from shared.api.core.schemas import MAX_LIMIT, PageQuery
from shared.application.strategies import NewStrategy, create_strategy
from shared.domain.access import Role
from shared.domain.ids import AccountId, OperationSid
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.model import FailedEvent, InstanceStatus, Stoppage
from shared.domain.instance.reason import Cause, EventFailure, StopReason
from shared.domain.instance.verdict import AuditEntry
from shared.domain.strategy.model import StrategyHead
from tests import full
from tests.contract.instances import a_record, an_instance
from tests.dialects.automation.client import wait
from tests.dialects.everybody import HANDLERS
from tests.dialects.stored_ports import StoredPorts
from tests.dialects.wire import ROUTES, TEMPLATE, Context
from tests.engines import DynamoDb, on_dynamodb
from tests.factories import settings, step, task

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

ACCOUNT = AccountId("a-1")
SECRET = "sixteen characters"
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ITEMS = MAX_LIMIT + 1
EDGES = (0, 1, 2, 100, 101)
BASE = "/api/v1/accounts/a-1/definitions"
DEFINITION = {
    "trigger": "http_request",
    "status": "enabled",
    "definition": {"name": "a", "steps": [wait("w")]},
}


@dataclass
class Shelf:
    """An account over stored items, with one strategy."""

    ports: StoredPorts
    hasher: SecretHasher
    head: StrategyHead

    def ask(self, method: str, path: str, body: Any = None, headers: Any = None) -> tuple[int, Any]:
        request = HttpRequest(
            method=method,
            target=path,
            headers={
                "authorization": "Bearer key-1.secret",
                "strategy-secret": base64.b64encode(SECRET.encode()).decode(),
                **(headers or {}),
            },
            body=b"" if body is None else json.dumps(body).encode(),
            source="127.0.0.1",
        )
        found = event_of(request, ROUTES)
        assert found is not None, f"no route for {method} {path}"
        answer = HANDLERS[found[0]](found[1], Context())
        self.headers = answer["headers"]
        return answer["statusCode"], json.loads(answer["body"])

    def instance(self, number: int) -> Any:
        """Return an instance of the strategy that is not stored."""
        sid = f"0000{number:04}-0000-4000-8000-000000000000"
        return replace(
            an_instance(sid),
            account_id=ACCOUNT,
            strategy_sid=self.head.sid,
            created_at=BEGUN + timedelta(minutes=number),
            shard=number % 16,
        )


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch, roto: DynamoDb) -> Iterator[Shelf]:
    for name, value in TEMPLATE.environment("CoreApi").items():
        monkeypatch.setenv(name, value)
    bootstrap.forget()
    ports = StoredPorts(stores=on_dynamodb(roto), caller=Never(), clock=ManualClock(BEGUN))
    bootstrap.use_ports(ports)
    hasher = SecretHasher(("p" * 32).encode())
    key = replace(full.KEY, key_id="key-1", account_id=ACCOUNT, role=Role.ADMIN)
    ports.access.put_key(replace(key, created_at=BEGUN, secret_hash=hasher.hash("secret")))
    new = NewStrategy(
        account_id=ACCOUNT, name="first", settings=settings(task("charge", step("only"))), secret=SECRET
    )
    head, _ = create_strategy(ports, hasher, new, environment="dev")
    ports.clock.at = NOON
    yield Shelf(ports, hasher, head)
    bootstrap.forget()


class Never:
    """A service that is not called."""

    def call(self, _: object) -> Any:
        raise AssertionError


# Each adds one item to a list; the second number is that of the items which the list has at first.


def a_strategy(shelf: Shelf, number: int) -> None:
    shelf.ports.clock.at = BEGUN + timedelta(minutes=number)
    new = NewStrategy(account_id=ACCOUNT, name=f"s-{number}", settings=settings(task("charge", step("only"))))
    create_strategy(shelf.ports, shelf.hasher, new, environment="dev")
    shelf.ports.clock.at = NOON


def a_version(shelf: Shelf, number: int) -> None:
    before, store = shelf.ports.strategies.head(shelf.head.sid), shelf.ports.strategies
    assert before is not None
    settings_ = store.settings(before.sid, before.version).plain
    at = BEGUN + timedelta(minutes=number)
    after = replace(before, version=before.version + 1, updated_at=at)
    audit = replace(full.AUDIT, account_id=AccountId("other"), target=before.sid, at=at)
    store.replace(after, settings_, before=before, audit=audit)


def an_instance_of_it(shelf: Shelf, number: int) -> None:
    shelf.ports.instances.create(shelf.instance(number))


def a_paused_one(shelf: Shelf, number: int) -> None:
    reason = StopReason(cause=Cause.OPERATOR, detail="ann")
    stop = Stoppage(at=BEGUN, by="ann", reason=reason, drained_at=BEGUN)
    shelf.ports.instances.create(replace(shelf.instance(number), status=InstanceStatus.PAUSED, stop=stop))


def a_referring_one(shelf: Shelf, number: int) -> None:
    instance = shelf.instance(number)
    shelf.ports.instances.create(replace(instance, origin=replace(instance.origin, reference="o-1")))


def a_failing_one(shelf: Shelf, number: int) -> None:
    at = BEGUN + timedelta(minutes=number)
    failure = EventFailure(message="no", error_class="timeout", at=at)
    failed = FailedEvent(seq=9, kind=EventKind.ON_CREATE, task="mail", failure=failure)
    # Its own event is not due, and so not late.
    shelf.ports.instances.create(replace(shelf.instance(number), events=(), failed_events=(failed,)))


def an_event(shelf: Shelf, number: int) -> None:
    instance = shelf.ports.instances.load(shelf.instance(1).sid)
    if instance is None:
        instance = replace(shelf.instance(1), events=(), next_seq=1)
        shelf.ports.instances.create(instance)
    record = a_record(instance, number)
    after = replace(instance, rev=instance.rev + 1, next_seq=number + 1)
    shelf.ports.instances.commit(after, records=[record])
    shelf.ports.instances.put_answer(after, number, full.ANSWER)


def an_operation(shelf: Shelf, number: int) -> None:
    bulk = replace(
        full.BULK,
        sid=OperationSid(f"op-{number:04}"),
        account_id=ACCOUNT,
        rev=1,
        started_at=BEGUN + timedelta(minutes=number),
    )
    audit = replace(full.AUDIT, account_id=AccountId("other"), target=bulk.sid)
    shelf.ports.operations.create(bulk, audit=audit)


def a_key(shelf: Shelf, number: int) -> None:
    at = BEGUN + timedelta(minutes=number)
    shelf.ports.access.put_key(replace(full.KEY, key_id=f"other-{number}", account_id=ACCOUNT, created_at=at))


def an_audit_entry(shelf: Shelf, number: int) -> None:
    at = BEGUN + timedelta(minutes=number)
    entry: AuditEntry = replace(full.AUDIT, account_id=ACCOUNT, target="t", at=at)
    key = replace(full.KEY, key_id="same", account_id=AccountId("other"))
    shelf.ports.access.put_key(key, audit=entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list of core: its operation and path, and how an item is added. ``at_first`` items are there already."""

    operation: str
    path: str
    add: Callable[[Shelf, int], None]
    at_first: int = 0


LISTS = [
    Listing(operation="list_strategies", path="/execution-strategy", add=a_strategy, at_first=1),
    Listing(operation="list_versions", path="/execution-strategy/{head}/versions", add=a_version, at_first=1),
    Listing(operation="list_instances", path="/execution-instance", add=an_instance_of_it),
    Listing(operation="list_instances", path="/execution-instance?status=ACTIVE", add=an_instance_of_it),
    Listing(operation="list_instances", path="/execution-instance?strategyId=first", add=an_instance_of_it),
    Listing(operation="list_instances", path="/execution-instance?folder=/", add=an_instance_of_it),
    Listing(operation="list_instances", path="/execution-instance?phase=PAUSED", add=a_paused_one),
    Listing(operation="list_instances", path="/execution-instance?reference=o-1", add=a_referring_one),
    Listing(operation="list_problems", path="/problems?kind=FAILED_EVENT", add=a_failing_one),
    Listing(operation="list_events", path="/execution-instance/{instance}/events", add=an_event),
    Listing(operation="list_bulk_operations", path="/bulk-operation", add=an_operation),
    Listing(operation="list_keys", path="/access-key", add=a_key, at_first=1),
    Listing(operation="list_audit", path="/audit?from=2026-01-01T00:00:00Z&target=t", add=an_audit_entry),
]


def test_every_list_of_core_is_among_these() -> None:
    paged = {
        route.name
        for route in CORE_ROUTES
        if route.method == "GET" and route.query is not None and issubclass(route.query, PageQuery)
    }
    # An overview has a page of strategies, as the list of them has.
    assert {listing.operation for listing in LISTS} == paged - {"get_overview"}


class TestListsOfCore:
    """A page has at most ``limit`` items, and a cursor exactly if items are left. Every item is listed once."""

    @pytest.mark.parametrize("listing", LISTS, ids=lambda listing: listing.path)
    def test_pages_of_every_size(self, shelf: Shelf, listing: Listing) -> None:
        path = listing.path.format(head=shelf.head.sid, instance=shelf.instance(1).sid)
        path += "&" if "?" in path else "?"
        if listing.operation == "list_events":
            shelf.ports.instances.create(replace(shelf.instance(1), events=(), next_seq=1))
        for count in range(listing.at_first, ITEMS + 1):
            if count > listing.at_first:
                listing.add(shelf, count)
            # Sizes of one item too few and of exactly all items; and every size if there is at most one item.
            sizes = range(1, MAX_LIMIT + 1) if count <= 1 else (count - 1, min(count, MAX_LIMIT))
            for size in sizes:
                assert self.pages(shelf, path, size) == [
                    min(size, count - start) for start in range(0, max(count, 1), size)
                ], (size, count)

    @staticmethod
    def pages(shelf: Shelf, path: str, size: int) -> list[int]:
        """Return the number of items on each page of a list."""
        lengths: list[int] = []
        texts: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            more = f"&cursor={cursor}" if cursor else ""
            status, page = shelf.ask("GET", f"{path}limit={size}{more}")
            assert status == 200, page
            lengths.append(len(page["items"]))
            texts += [json.dumps(item, sort_keys=True) for item in page["items"]]
            cursor = page.get("nextCursor")
        assert len(set(texts)) == len(texts) or path.startswith("/audit")
        return lengths


def sizes(count: int) -> set[int]:
    """Return the sizes to read a list of ``count`` items with. Only at the edges, because each item is a read."""
    return {1, max(count - 1, 1), max(count, 1), count + 1, 500} if count in EDGES else set()


class TestListsOfOtherDialects:
    """A list answers as many items as there are, up to its limit."""

    def test_workflows_and_definitions_of_8x8(self, shelf: Shelf) -> None:
        for count in range(ITEMS + 1):
            if count:
                an_instance_of_it(shelf, count)
                assert shelf.ask("POST", BASE, DEFINITION)[0] == 201
            for size in sizes(count):
                for path in (f"{BASE}/{shelf.head.sid}/workflows?version=1&", f"{BASE}?"):
                    status, found = shelf.ask("GET", f"{path}limit={size}")
                    assert (status, len(found)) == (200, min(size, count)), (path, size, count)
                    rest = shelf.ask("GET", f"{path}limit={size}&offset={size}")[1]
                    assert len(rest) == max(min(size, count - size), 0), (path, size, count)

    def test_versions_of_a_definition_of_8x8(self, shelf: Shelf) -> None:
        made = shelf.ask("POST", BASE, DEFINITION)[1]["id"]
        for count in range(1, ITEMS + 1):
            if count > 1:
                assert shelf.ask("PUT", f"{BASE}/{made}", DEFINITION)[0] == 200
            for size in sizes(count):
                status, found = shelf.ask("GET", f"{BASE}/{made}?limit={size}")
                assert (status, len(found)) == (200, min(size, count)), (size, count)

    def test_orders_and_their_history(self, shelf: Shelf) -> None:
        basic = base64.b64encode(b"key-1:secret").decode()
        for count in range(ITEMS + 1):
            if count:
                self.add_both(shelf, count)
            # A session ends after some time without requests, and the clock stands still here.
            shelf.ask("POST", "/joc/api/authentication/login", {}, {"authorization": f"Basic {basic}"})
            session = {"x-access-token": shelf.headers["X-Access-Token"]}
            for size in sizes(count):
                expected = min(size, count)
                for path, member in (("/orders", "orders"), ("/orders/history", "history")):
                    body = {"controllerId": "a-1", "limit": size}
                    status, found = shelf.ask("POST", f"/joc/api{path}", body, session)
                    assert status == 200, found
                    assert len(found[member]) == expected, (path, size, count)

    @staticmethod
    def add_both(shelf: Shelf, number: int) -> None:
        """Add an order, and a run that has ended."""
        instance = shelf.instance(number)
        instance = replace(instance, next_seq=3)
        begun = replace(full.EVENT, seq=2, kind=EventKind.MAIN, status=EventStatus.PROCESSED)
        at = BEGUN + timedelta(minutes=number)
        record = replace(full.RECORD, instance_sid=instance.sid, event=begun, fence=0, finished_at=at)
        shelf.ports.instances.create(instance, records=[record])
