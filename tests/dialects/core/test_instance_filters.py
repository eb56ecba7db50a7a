"""Lists of instances by each filter, and the combinations of filters that one index serves.

Source: docs/contracts/core.md section 5.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryInstances
from shared.application.ports import Unreadable
from shared.domain.ids import InstanceSid
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.steps.call import Answered
from tests.dialects.automation.client import Services
from tests.dialects.core.client import WATER, Client
from tests.domain.strategy.definitions import changed
from tests.factories import settings, step, task

SECRET = WATER["secret"]
FLOW = changed(
    "/tasks/0/retryConfig", {"times": 0, "pauseBeforeCancel": True}, of=settings(task("charge", step("pay")))
)
SEARCHABLE = changed("/config", {"searchable": ["customerId", "plan"]}, of=FLOW)


def saved(client: Client, name: str = "flow", of: Any = FLOW, **more: Any) -> str:
    body = {"name": name, "secret": SECRET, "settings": of, **more}
    return str(client.saved(body)["sid"])


def started(client: Client, strategy: str = "flow", **more: Any) -> str:
    client.ports.clock.at += timedelta(seconds=1)
    return str(client.started(strategyId=strategy, **more)["executionInstance"]["sid"])


def sids_of(client: Client, key: str = "admin.secret", **query: Any) -> list[str]:
    """Return the sids of a list, page by page of two."""
    sids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        params = {**query, "limit": 2, **cursor}
        status, page = client("GET", f"/execution-instance?{urlencode(params)}", key=key)
        assert status == 200, page
        sids += [one["sid"] for one in page["items"]]
        if "nextCursor" not in page:
            return sids
        cursor = {"cursor": page["nextCursor"]}


def problems(client: Client, **query: Any) -> list[tuple[str, str]]:
    status, answer = client("GET", f"/execution-instance?{urlencode(query)}")
    assert status == 400, answer
    return [(problem["pointer"], problem["rule"]) for problem in answer["problems"]]


class Town:
    """Instances of two strategies in every phase that lists know."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.flow, self.other = saved(client), saved(client, "other", folder="/a")
        self.healthy = started(client)
        self.paused = started(client)
        client("POST", f"/execution-instance/{self.paused}/pause", key="operator.secret")
        self.canceled = started(client, "other")
        client("POST", f"/execution-instance/{self.canceled}/cancel")
        self.declined = self.failing("flow", 402)
        self.failed = self.failing("flow", 422)
        self.elsewhere = self.failing("other", 402)

    def failing(self, strategy: str, status: int) -> str:
        sid = started(self.client, strategy)
        services = Services()
        services.answers = [Answered(status=status)]
        self.client.ports.caller = services
        self.client.run(sid)
        return sid


@pytest.fixture
def town(client: Client) -> Town:
    return Town(client)


class TestPhaseAndReason:
    """Stopped instances are found by phase, by cause, by reason, and by who stopped them."""

    def test_instances_of_a_phase(self, client: Client, town: Town) -> None:
        assert sids_of(client, phase="STUCK")[0] == town.failed
        assert set(sids_of(client, phase="STUCK")) == {town.failed, town.elsewhere, town.declined}
        assert sids_of(client, phase="PAUSED") == [town.paused]
        assert sids_of(client, phase="CANCELED") == [town.canceled]
        assert sids_of(client, phase="COMPLETED") == []

    def test_instances_of_a_cause_and_of_a_reason(self, client: Client, town: Town) -> None:
        assert set(sids_of(client, reason="exhausted")) == {town.declined, town.failed, town.elsewhere}
        assert set(sids_of(client, reason="exhausted:http-402")) == {town.declined, town.elsewhere}
        assert sids_of(client, reason="exhausted:http-422", phase="STUCK") == [town.failed]
        assert sids_of(client, reason="exhausted:http-402", strategyId="other") == [town.elsewhere]
        assert sids_of(client, reason="in-doubt") == []

    def test_instances_by_who_stopped_them(self, client: Client, town: Town) -> None:
        assert set(sids_of(client, stoppedBy="engine")) == {town.declined, town.failed, town.elsewhere}
        assert sids_of(client, stoppedBy="operator") == [town.paused]
        assert sids_of(client, stoppedBy="admin", phase="CANCELED") == [town.canceled]
        assert sids_of(client, stoppedBy="controller") == []
        assert sids_of(client, stoppedBy="engine", reason="exhausted:http-422") == [town.failed]
        assert sids_of(client, stoppedBy="operator", reason="operator") == [town.paused]

    def test_a_phase_of_a_strategy_or_folder(self, client: Client, town: Town) -> None:
        assert sids_of(client, strategyId="flow", phase="STUCK") == [town.failed, town.declined]
        assert sids_of(client, strategyId="flow", phase="PAUSED") == [town.paused]
        assert sids_of(client, folder="/a", phase="STUCK") == [town.elsewhere]
        assert sids_of(client, folder="/a", status="PAUSED") == [town.elsewhere]

    def test_retrying_instances(self, client: Client) -> None:
        retry = {"times": 1, "retryAfter": {"unit": "hours", "amount": 1}}
        saved(client, of=changed("/tasks/0/retryConfig", retry, of=FLOW))
        sid, _ = started(client), started(client)
        services = Services()
        services.answers = [Answered(status=500)]
        client.ports.caller = services
        client.run(sid)

        assert sids_of(client, phase="RETRYING") == [sid]
        assert sids_of(client, reason="failed:http-500") == [sid]
        assert sids_of(client, reason="failed:http-500", strategyId="flow") == [sid]

    def test_an_answer_has_phase_and_reason(self, client: Client, town: Town) -> None:
        _, stuck = client("GET", f"/execution-instance/{town.declined}")
        _, healthy = client("GET", f"/execution-instance/{town.healthy}")

        assert (stuck["phase"], stuck["reason"]) == ("STUCK", "exhausted:http-402")
        assert healthy["phase"] == "OVERDUE"
        assert "reason" not in healthy

    def test_an_instance_that_has_left_its_phase_is_left_out(
        self, client: Client, town: Town, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load_many = MemoryInstances.load_many

        def resumed(
            store: MemoryInstances, sids: Sequence[InstanceSid]
        ) -> list[Instance | Unreadable[InstanceSid]]:
            """Return the instances as they are after the index was read: the paused one has been resumed."""
            return [
                replace(one, status=InstanceStatus.ACTIVE, stop=None)
                if isinstance(one, Instance) and one.sid == town.paused
                else one
                for one in load_many(store, sids)
            ]

        monkeypatch.setattr(MemoryInstances, "load_many", resumed)

        assert sids_of(client, phase="PAUSED") == []
        assert sids_of(client, reason="operator") == [town.canceled]
        assert sids_of(client, strategyId="flow", phase="PAUSED") == []


class TestReferenceAndAttributes:
    """An instance is found by its reference and by its searchable attributes, without them in the answer."""

    def test_an_instance_is_found_by_its_reference(self, client: Client) -> None:
        saved(client)
        first, _, last = (started(client, reference=name) for name in ("o-1", "o-2", "o-1"))

        assert sids_of(client, reference="o-1") == [last, first]
        assert sids_of(client, reference="o-3") == []
        assert client("GET", f"/execution-instance/{first}")[1]["reference"] == "o-1"

    @pytest.mark.parametrize("spelling", ["attribute.customerId", "attribute[customerId]"])
    def test_an_instance_is_found_by_an_attribute(self, client: Client, spelling: str) -> None:
        saved(client, of=SEARCHABLE)
        first, other = (started(client, attributes={"customerId": name, "x": 1}) for name in ("c-1", "c-2"))
        _, page = client("GET", f"/execution-instance?{urlencode({spelling: 'c-1'})}", secret=None)

        assert [one["sid"] for one in page["items"]] == [first]
        assert "attributes" not in page["items"][0]
        client("PATCH", f"/execution-instance/{first}", {"attributes": {"customerId": "c-2"}})
        assert sids_of(client, **{spelling: "c-1"}) == []
        assert sids_of(client, **{spelling: "c-2"}) == [other, first]

    def test_a_number_is_found_by_its_text(self, client: Client) -> None:
        saved(client, of=SEARCHABLE)
        sid = started(client, attributes={"customerId": 17, "plan": True})

        assert sids_of(client, **{"attribute.customerId": "17"}) == [sid]
        assert sids_of(client, **{"attribute.plan": "true"}) == [sid]

    def test_another_attribute_finds_nothing(self, client: Client) -> None:
        saved(client, of=SEARCHABLE)
        started(client, attributes={"customerId": "c-1", "city": "Bonn"})

        assert sids_of(client, **{"attribute.city": "Bonn"}) == []

    def test_a_migration_applies_the_version_s_searchable_attributes(self, client: Client) -> None:
        sid = saved(client)
        instance = started(client, attributes={"customerId": "c-1"})
        assert sids_of(client, **{"attribute.customerId": "c-1"}) == []
        client("PATCH", f"/execution-strategy/{sid}", {"settings": SEARCHABLE})

        client("POST", f"/execution-instance/{instance}/migrate", {"version": 2})

        assert sids_of(client, **{"attribute.customerId": "c-1"}) == [instance]


class TestUniqueReference:
    """With ``uniqueReference``, no two unfinished instances of a strategy have the same reference."""

    UNIQUE = changed("/config", {"uniqueReference": True}, of=FLOW)

    def test_a_second_unfinished_instance_is_refused(self, client: Client) -> None:
        saved(client, of=self.UNIQUE)
        first = started(client, reference="o-1")
        body = {"strategyId": "flow", "reference": "o-1"}

        status, answer = client("POST", "/execution-instance", body)

        assert status == 409
        assert answer["message"] == [f"reference is that of the unfinished instance {first}"]
        assert len(client.ports.instances.instances) == 1
        started(client, reference="o-2")
        started(client)
        started(client)

    def test_a_finished_instance_frees_its_reference(self, client: Client) -> None:
        saved(client, of=self.UNIQUE)
        first = started(client, reference="o-1")
        client("POST", f"/execution-instance/{first}/cancel")

        second = started(client, reference="o-1")

        assert sids_of(client, reference="o-1") == [second, first]
        assert client("POST", "/execution-instance", {"strategyId": "flow", "reference": "o-1"})[0] == 409

    def test_instances_of_earlier_versions_count(self, client: Client) -> None:
        sid = saved(client)
        first = started(client, reference="o-1")
        client("PATCH", f"/execution-strategy/{sid}", {"settings": self.UNIQUE})

        status, answer = client("POST", "/execution-instance", {"strategyId": "flow", "reference": "o-1"})

        assert (status, answer["message"]) == (409, [f"reference is that of the unfinished instance {first}"])
        client("POST", f"/execution-instance/{first}/cancel")
        second = started(client, reference="o-1")
        assert sids_of(client, reference="o-1") == [second, first]

    def test_instances_from_a_time_without_the_rule_count(self, client: Client) -> None:
        sid = saved(client, of=self.UNIQUE)
        first = started(client, reference="o-1")
        client("POST", f"/execution-instance/{first}/cancel")
        client("PATCH", f"/execution-strategy/{sid}", {"settings": FLOW})
        second = started(client, reference="o-1")
        client("PATCH", f"/execution-strategy/{sid}", {"settings": self.UNIQUE})

        status, answer = client("POST", "/execution-instance", {"strategyId": "flow", "reference": "o-1"})

        assert (status, answer["message"]) == (
            409,
            [f"reference is that of the unfinished instance {second}"],
        )

    def test_a_repeated_request_returns_its_own_instance(self, client: Client) -> None:
        saved(client, of=self.UNIQUE)
        body, key = {"strategyId": "flow", "reference": "o-1"}, {"idempotency-key": "k-1"}

        first = client("POST", "/execution-instance", body, more=key)
        again = client("POST", "/execution-instance", body, more=key)

        assert (first[0], again[0]) == (201, 200)
        assert first[1]["executionInstance"]["sid"] == again[1]["executionInstance"]["sid"]

    def test_other_strategies_may_use_the_reference(self, client: Client) -> None:
        saved(client, of=self.UNIQUE)
        saved(client, "other", of=self.UNIQUE)

        assert started(client, reference="o-1") != started(client, "other", reference="o-1")


class TestCreation:
    """Lists of a strategy, a folder or the account may be bounded by the creation date, both bounds included."""

    @pytest.mark.parametrize("beside", [{"strategyId": "flow"}, {"folder": "/"}, {}, {"status": "ACTIVE"}])
    def test_instances_created_in_a_range(self, client: Client, beside: Mapping[str, str]) -> None:
        saved(client)
        sids = [started(client) for _ in range(5)]
        at = [client.ports.instances.instances[sid].created_at for sid in sids]  # type: ignore[index]

        def between(first: int, last: int) -> list[str]:
            bounds = {"createdFrom": at[first].isoformat(), "createdTo": at[last].isoformat()}
            return sids_of(client, **beside, **bounds)

        assert between(1, 3) == [sids[3], sids[2], sids[1]]
        assert between(2, 2) == [sids[2]]
        assert sids_of(client, **beside, createdTo=at[1].isoformat()) == [sids[1], sids[0]]
        assert sids_of(client, **beside, createdFrom=at[3].isoformat()) == [sids[4], sids[3]]


class TestFolder:
    """Instances of a folder are listed by folder and name of their strategies, page by page."""

    def test_pages_continue_in_the_next_strategy(self, client: Client) -> None:
        for name, folder in (("c", "/x/y"), ("a", "/x"), ("b", "/x"), ("d", "/z")):
            saved(client, name, folder=folder)
        made = {
            name: [started(client, name) for _ in range(count)]
            for name, count in zip("abcd", (3, 0, 2, 1), strict=True)
        }

        assert sids_of(client, folder="/x") == [*reversed(made["a"]), *reversed(made["c"])]
        assert sids_of(client, folder="/x/y") == [*reversed(made["c"])]
        assert set(sids_of(client, folder="/")) == {sid for sids in made.values() for sid in sids}
        assert sids_of(client, folder="/none") == []

    def test_a_page_that_a_strategy_fills_continues_in_the_next_one(self, client: Client) -> None:
        for name in "ab":
            saved(client, name)
        made = {name: [started(client, name) for _ in range(2)] for name in "ab"}

        _, first = client("GET", "/execution-instance?folder=/&limit=2")
        _, second = client("GET", f"/execution-instance?folder=/&limit=2&cursor={first['nextCursor']}")

        shown = [[item["sid"] for item in page["items"]] for page in (first, second)]
        assert shown == [[*reversed(made["a"])], [*reversed(made["b"])]]

    def test_a_page_looks_at_a_limited_number_of_strategies(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.application.list_instances.MAX_STRATEGIES", 2)
        for name in "abcde":
            saved(client, name)
        last = started(client, "e")

        _, page = client("GET", "/execution-instance?folder=/")

        assert page["items"] == []
        assert sids_of(client, folder="/") == [last]


class TestCombinations:
    """A combination of filters is refused if no index serves it, or if no instance can match it."""

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ({"reference": "o", "status": "ACTIVE"}, "/status"),
            ({"attribute.a": "1", "phase": "STUCK"}, "/phase"),
            ({"reference": "o", "attribute.a": "1"}, "/attribute"),
            ({"phase": "STUCK", "createdFrom": "2026-01-01"}, "/createdFrom"),
            ({"reason": "exhausted", "folder": "/"}, "/folder"),
            ({"reason": "exhausted", "strategyId": "flow"}, "/strategyId"),
            ({"phase": "RETRYING", "strategyId": "flow"}, "/strategyId"),
            ({"phase": "STUCK", "status": "PAUSED"}, "/status"),
            ({"strategyId": "flow", "folder": "/"}, "/strategyId"),
            ({"phase": "COMPLETED", "reason": "exhausted"}, "/reason"),
            ({"phase": "STUCK", "stoppedBy": "ann"}, "/stoppedBy"),
            ({"reason": "exhausted", "stoppedBy": "ann"}, "/stoppedBy"),
            ({"reason": "operator:bob", "stoppedBy": "ann"}, "/stoppedBy"),
        ],
    )
    def test_a_combination_without_index_is_refused(
        self, client: Client, query: dict[str, str], pointer: str
    ) -> None:
        saved(client)
        assert problems(client, **query) == [(pointer, "combination")]

    def test_the_answer_names_the_possible_combinations(self, client: Client) -> None:
        _, answer = client("GET", "/execution-instance?reference=o&folder=/")
        assert answer["problems"][0]["message"].startswith(
            "cannot be combined with the other filters; possible are: reference; attribute;"
        )

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"phase": "AHEAD"}, ("/phase", "enum")),
            ({"reason": "bored"}, ("/reason", "enum")),
            ({"reason": ""}, ("/reason", "enum")),
            ({"stoppedBy": ""}, ("/stoppedBy", "too-short")),
            ({"reference": "x" * 129}, ("/reference", "too-long")),
            ({"attribute.a": "1", "attribute.b": "2"}, ("/attribute", "too-long")),
            ({"attribute": "1"}, ("/attribute", "type")),
            ({"color": "red"}, ("/color", "unknown-field")),
            ({"createdFrom": "2026-02-01", "createdTo": "2026-01-01"}, ("/createdTo", "range")),
        ],
    )
    def test_a_filter_that_cannot_be_read_is_refused(
        self, client: Client, query: dict[str, str], found: tuple[str, str]
    ) -> None:
        assert problems(client, **query) == [found]

    def test_a_strategy_needs_its_secret(self, client: Client, town: Town) -> None:
        query = urlencode({"reason": "exhausted:http-402", "strategyId": town.other})

        assert client("GET", f"/execution-instance?{query}", secret="x" * 16)[0] == 403

    @pytest.mark.parametrize(
        ("searchable", "below", "message"),
        [
            (["a", "b", "c", "d"], "", "must hold at most 3 names"),
            (["a", "a"], "", "must hold each name once"),
            ("a", "", "must be a list"),
            (["a", 1], "/1", "must be a string"),
            (["a", ""], "/1", "must not be empty"),
            (["a", "x" * 101], "/1", "must have at most 100 characters"),
        ],
    )
    def test_searchable_attributes_that_cannot_be_indexed_are_refused(
        self, client: Client, searchable: Any, below: str, message: str
    ) -> None:
        settings_ = changed("/config", {"searchable": searchable}, of=FLOW)
        body = {"name": "n", "secret": SECRET, "settings": settings_}

        status, answer = client("POST", "/execution-strategy", body)

        assert status == 400
        assert [(p["pointer"], p["message"]) for p in answer["problems"]] == [
            (f"/settings/config/searchable{below}", message)
        ]
