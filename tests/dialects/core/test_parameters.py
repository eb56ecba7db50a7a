"""Every parameter of every operation acts, and unknown ones are refused. Source: docs/contracts/core.md section 1.1.

Two requests that differ only in a parameter differ in the stored state, or in the answer if nothing is stored.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from dev.memory.world import ManualClock, MemoryPorts
from shared import bootstrap
from shared.api.core.routes import ROUTES
from shared.domain.steps.call import Answered, TimedOut
from tests.dialects.automation.client import Services
from tests.dialects.core.client import WATER, Client
from tests.dialects.core.test_matrix import stored_items
from tests.dialects.parameters import MISSING, Json, Pair, cells, members_of, query_of, target_of
from tests.dialects.wire import NOON
from tests.domain.strategy.definitions import changed
from tests.factories import settings, step, task

SECRET = WATER["secret"]
FLOW = changed(
    "/schedule/calendars/0/nextCycleDateCallback",
    "has(attributes.late) && attributes.late == true ? addDays(date, 1, 'UTC') : date",
    of=changed(
        "/services/0/methods/1/inDoubt",
        "pause",
        of=changed(
            "/actions/0/headers",
            {"X-Api-Key": "k"},
            of=settings(
                task("charge", step("pay", nextStep="send"), step("send")),
                task("mail", step("only")),
                config={"anyAttributes": True, "searchable": ["city"]},
            ),
        ),
    ),
)
OTHER = changed("/tasks/1/description", "changed", of=FLOW)
DAY = timedelta(days=1)


class Account:
    """An account with two strategies and five instances. It is the same whenever it is made."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = Services()
        client.ports.caller = self.services
        post = self.post
        self.flow = post("/execution-strategy", {"name": "flow", "secret": SECRET, "settings": FLOW})["sid"]
        self.one = self.started("flow", "2026-01-05T12:00:00Z")
        self.client("PATCH", f"/execution-strategy/{self.flow}", {"settings": OTHER})
        self.two = self.started("flow", "2026-01-05T12:00:00Z")
        folder = {"name": "other", "secret": SECRET, "settings": FLOW, "folder": "/a"}
        self.other = post("/execution-strategy", folder)["sid"]
        self.three = self.started(
            "other", "2026-01-05T12:00:00Z", reference="o-1", attributes={"city": "Bonn"}
        )
        post(f"/execution-instance/{self.two}/pause")
        post(f"/execution-instance/{self.one}/events", {"task": "mail", "manualTrigger": True})
        self.services.answers = [Answered(status=201), Answered(status=402)]
        self.failed = self.started("flow")
        client.run(self.failed)
        self.services.answers = [TimedOut(why="silence")]
        self.doubtful = self.started("flow")
        client.run(self.doubtful)
        for role in ("viewer", "operator"):
            post("/access-key", {"role": role})
        for _ in range(2):
            self.bulk = post("/bulk-operation", _selected({"ids": [self.two]}, "pause"))["sid"]

    def post(self, path: str, body: Any = None) -> Any:
        self.client.ports.clock.at += timedelta(minutes=1)
        status, answer = self.client("POST", path, body)
        assert status in (200, 201), answer
        return answer

    def started(self, strategy: str, start: str | None = None, **more: Any) -> str:
        body = {"strategyId": strategy, **({} if start is None else {"startDate": start}), **more}
        return str(self.post("/execution-instance", body)["executionInstance"]["sid"])

    def cursor(self, path: str) -> str:
        """Return the cursor after the first item of a list."""
        return str(self.client("GET", f"{path}?limit=1")[1]["nextCursor"])


@pytest.fixture
def make(client: Client) -> Callable[[], Account]:
    def made() -> Account:
        services = Services()
        ports = MemoryPorts(caller=services, clock=ManualClock(NOON))
        bootstrap.use_ports(ports)
        return Account(Client(ports, client.hasher, client.shop))

    return made


def _selected(selection: Any, command: Any, **more: Any) -> Json:
    named = {"name": command} if isinstance(command, str) else command
    return {"selection": selection, "command": named, **more}


def _list(**filters: Pair) -> dict[str, Pair]:
    """Return the rows of a list. A cursor of ``MISSING`` is that of the second page."""
    more = {f"?{name}": pair for name, pair in filters.items()}
    return {"?limit": Pair("1", "2"), "?cursor": Pair("", MISSING, {"?limit": "1"}), **more}


def _select(one: Any, other: Any, command: Any = "cancel") -> Pair:
    return Pair(_selected(one, command), _selected(other, command))


def _command(one: Any, other: Any) -> Pair:
    ids = {"ids": ["{one}"]}
    return Pair(_selected(ids, one), _selected(ids, other))


NEW: Json = {"name": "new", "secret": SECRET, "settings": FLOW}
OF_FLOW: Json = {"strategyId": "flow"}
IN_FOLDER: Json = {"folder": "/"}
HOOK: Json = {"url": "https://hooks.example.com/"}
HOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LATE, EARLY = "2026-01-01T12:02:30Z", "2025-01-01T00:00:00Z"
DATES = Pair("2026-02-01T12:00:00Z", "2026-03-01T12:00:00Z")
TEXTS = ("a text", "another text")
UNTIL = ("2026-06-01", "2026-06-02T12:00:00Z")
STATUSES = (["ACTIVE"], ["PAUSED"])

TABLE: Mapping[str, Mapping[str, Pair]] = {
    "POST /execution-strategy": {
        "name": Pair("new", "new-2", NEW),
        "secret": Pair("x" * 16, "y" * 16, NEW),
        "settings": Pair(FLOW, OTHER, NEW),
        "description": Pair(*TEXTS, NEW),
        "folder": Pair("/a", MISSING, NEW),
    },
    "GET /execution-strategy": _list(),
    "POST /execution-strategy/validate": {
        "settings": Pair(FLOW, {}),
        "name": Pair("new", "a b", {"settings": FLOW}),
        "secret": Pair("x" * 16, "short", {"settings": FLOW}),
        "description": Pair("d", "d" * 5_000, {"settings": FLOW}),
        "folder": Pair("/a", "a", {"settings": FLOW}),
    },
    "PATCH /execution-strategy/{flow}": {
        "settings": Pair(FLOW, OTHER),
        "description": Pair(*TEXTS, {"settings": FLOW}),
        "secret": Pair("x" * 16, MISSING, {"settings": FLOW}),
    },
    "POST /execution-strategy/{flow}/simulate-execution": {
        "cycles": Pair(2, 3),
        "startDate": Pair(DATES.one, DATES.other, {"cycles": 2}),
        "dateFormat": Pair("YYYY", MISSING, {"cycles": 2}),
        "attributes": Pair({"late": True}, {"late": False}, {"cycles": 2}),
    },
    "GET /execution-strategy/{flow}/versions": _list(),
    "POST /execution-instance": {
        "strategyId": Pair("flow", "other"),
        "attributes": Pair({"n": 1}, {"n": 2}, OF_FLOW),
        "description": Pair(*TEXTS, OF_FLOW),
        "startDate": Pair(DATES.one, DATES.other, OF_FLOW),
        "endDate": Pair(DATES.one, MISSING, OF_FLOW),
        "reference": Pair("o-1", "o-2", OF_FLOW),
        "missed": Pair("last", "skip", {**OF_FLOW, "startDate": "2020-01-01T00:00:00Z"}),
        "dryRun": Pair(False, True, OF_FLOW),  # noqa: FBT003 - a value
    },
    "GET /execution-instance": _list(
        strategyId=Pair("flow", "other"),
        status=Pair("ACTIVE", "PAUSED"),
        phase=Pair("PAUSED", "STUCK"),
        reason=Pair("operator", "in-doubt"),
        stoppedBy=Pair("admin", "engine"),
        folder=Pair("/", "/a"),
        createdFrom=Pair(EARLY, LATE),
        createdTo=Pair(EARLY, LATE),
        reference=Pair("o-1", "o-2"),
        attribute=Pair({"city": "Bonn"}, {"city": "Ulm"}),
    ),
    "PATCH /execution-instance/{one}": {
        "description": Pair(*TEXTS),
        "attributes": Pair({"n": 1}, {"n": 2}),
        "endDate": Pair(DATES.one, DATES.other),
        "dryRun": Pair(one=True, other=False, beside={"description": "d"}),
    },
    "GET /execution-instance/{one}/forecast": {"?cycles": Pair("2", MISSING)},
    "POST /execution-instance/{one}/cancel-tasks": {"?tasks": Pair("charge", "mail")},
    "POST /execution-instance/{one}/events": {
        "task": Pair("charge", "mail"),
        "date": Pair(DATES.one, MISSING, {"task": "mail"}),
        "data": Pair({"a": "1"}, {"a": "2"}, {"task": "mail"}),
        "manualTrigger": Pair(one=True, other=False, beside={"task": "mail"}),
    },
    "POST /execution-instance/{two}/pause": {
        "?include": Pair("settings", MISSING),
        "until": Pair(*UNTIL),
        "dryRun": Pair(one=True, other=False, beside={"until": UNTIL[0]}),
    },
    "POST /execution-instance/{one}/cancel": {
        "at": Pair(UNTIL[0], "endOfCycle"),
        "reason": Pair(*TEXTS),
        "dryRun": Pair(one=True, other=False, beside={}),
    },
    "POST /execution-instance/{failed}/dismiss": {"comment": Pair(*TEXTS)},
    "GET /overview": _list(),
    "GET /problems": _list(
        kind=Pair("EXHAUSTED", "IN_DOUBT"),
        strategyId=Pair("flow", "other"),
        error=Pair("http-402", "timeout"),
    ),
    "GET /execution-instance/{one}/events": _list(),
    "GET /execution-instance/{one}/explain": {"?at": Pair(EARLY, DATES.one)},
    "POST /execution-instance/{two}/resume": {
        "onResume": Pair("all", "skip"),
        "dryRun": Pair(one=True, other=False),
    },
    "POST /execution-instance/{one}/reschedule": {
        "date": Pair("2026-01-20T12:00:00Z", "2026-01-21T12:00:00Z"),
        "event": Pair("{one}-1", "{one}-2", {"date": "2026-01-20T12:00:00Z", "keepAnchor": True}),
        "keepAnchor": Pair(one=True, other=False, beside={"date": "2026-01-20T12:00:00Z"}),
        "dryRun": Pair(one=True, other=False, beside={"date": "2026-01-20T12:00:00Z"}),
    },
    "POST /execution-instance/{one}/skip": {
        "cycles": Pair(1, 2),
        "dryRun": Pair(one=True, other=False),
    },
    "POST /execution-instance/{one}/migrate": {
        "version": Pair(1, 2),
        "dryRun": Pair(one=True, other=False, beside={"version": 2}),
    },
    "POST /execution-event/{doubtful}-1/resolve": {"decision": Pair("retry", "skip")},
    "POST /execution-event/{failed}-1/retry": {"fromStep": Pair("pay", MISSING)},
    "POST /bulk-operation": {
        "selection": Pair({"ids": ["{one}"]}, {"ids": ["{three}"]}, {"command": {"name": "pause"}}),
        "command": Pair({"name": "pause"}, {"name": "cancel"}, {"selection": {"ids": ["{one}"]}}),
        "comment": Pair(*TEXTS, _selected({"ids": ["{one}"]}, "pause")),
        "dryRun": Pair(one=True, other=False, beside=_selected({"ids": ["{one}"]}, "pause")),
        "SelectIds.ids": _select({"ids": ["{one}"]}, {"ids": ["{one}", "{three}"]}),
        "SelectStrategy.strategyId": _select(OF_FLOW, {"strategyId": "other"}),
        "SelectStrategy.version": _select({**OF_FLOW, "version": 1}, OF_FLOW),
        "SelectStrategy.statuses": _select(*({**OF_FLOW, "statuses": one} for one in STATUSES)),
        "SelectStrategy.createdFrom": _select({**OF_FLOW, "createdFrom": LATE}, OF_FLOW),
        "SelectStrategy.createdTo": _select({**OF_FLOW, "createdTo": LATE}, OF_FLOW),
        "SelectStrategy.phase": _select({**OF_FLOW, "phase": "PAUSED"}, {**OF_FLOW, "phase": "STUCK"}),
        "SelectStrategy.reason": _select(
            *({**OF_FLOW, "reason": reason} for reason in ("operator:admin", "exhausted:http-402"))
        ),
        "SelectStrategy.stoppedBy": _select(
            {**OF_FLOW, "stoppedBy": "admin", "phase": "PAUSED"}, {**OF_FLOW, "phase": "STUCK"}
        ),
        "SelectFound.phase": _select({"phase": "PAUSED"}, {"phase": "STUCK"}),
        "SelectFound.reason": _select({"reason": "operator"}, {"reason": "in-doubt"}),
        "SelectFound.stoppedBy": _select({"stoppedBy": "admin"}, {"stoppedBy": "engine"}),
        "SelectFound.reference": _select({"reference": "o-1"}, {"reference": "o-2"}),
        "SelectFound.attribute": _select({"attribute": {"city": "Bonn"}}, {"attribute": {"city": "Ulm"}}),
        "SelectFolder.phase": _select({**IN_FOLDER, "phase": "PAUSED"}, {**IN_FOLDER, "phase": "STUCK"}),
        "SelectFolder.folder": _select({"folder": "/a"}, {"folder": "/"}),
        "SelectFolder.statuses": _select(*({**IN_FOLDER, "statuses": one} for one in STATUSES)),
        "SelectFolder.createdFrom": _select({**IN_FOLDER, "createdFrom": LATE}, IN_FOLDER),
        "SelectFolder.createdTo": _select({**IN_FOLDER, "createdTo": LATE}, IN_FOLDER),
        "PauseMany.name": _command("pause", "resume"),
        "ResumeMany.name": _select({"ids": ["{two}"]}, {"ids": ["{three}"]}, "resume"),
        "PauseMany.until": _command(*({"name": "pause", "until": date} for date in UNTIL)),
        "CancelMany.at": _command(*({"name": "cancel", "at": date} for date in (UNTIL[0], "endOfCycle"))),
        "CancelMany.name": _command("cancel", "pause"),
        "CancelTasksOfMany.name": _command({"name": "cancel-tasks", "tasks": ["mail"]}, "pause"),
        "MigrateMany.name": _command({"name": "migrate", "version": 2}, "pause"),
        "ResumeMany.onResume": Pair(
            *(_selected({"ids": ["{two}"]}, {"name": "resume", "onResume": one}) for one in ("all", "skip"))
        ),
        "CancelTasksOfMany.tasks": _command(
            *({"name": "cancel-tasks", "tasks": [one]} for one in ("charge", "mail"))
        ),
        "RetryMany.name": _select({"ids": ["{failed}"]}, {"ids": ["{one}"]}, "retry"),
        "RetryMany.fromStep": Pair(
            _selected({"ids": ["{failed}"]}, {"name": "retry", "fromStep": "pay"}),
            _selected({"ids": ["{failed}"]}, "retry"),
        ),
        "ResolveMany.name": _select(
            {"ids": ["{doubtful}"]}, {"ids": ["{one}"]}, {"name": "resolve", "decision": "skip"}
        ),
        "ResolveMany.decision": Pair(
            *(
                _selected({"ids": ["{doubtful}"]}, {"name": "resolve", "decision": decision})
                for decision in ("retry", "skip")
            )
        ),
        "UpdateMany.name": _command({"name": "update", "attributes": {"n": 1}}, "pause"),
        "UpdateMany.attributes": _command(*({"name": "update", "attributes": {"n": n}} for n in (1, 2))),
        "RescheduleMany.name": _command({"name": "reschedule", "date": "2026-01-20T12:00:00Z"}, "pause"),
        "RescheduleMany.date": _command(
            *({"name": "reschedule", "date": f"2026-01-{day}T12:00:00Z"} for day in (20, 21))
        ),
        "RescheduleMany.keepAnchor": _command(
            *(
                {"name": "reschedule", "date": "2026-01-20T12:00:00Z", "keepAnchor": keeps}
                for keeps in (True, False)
            )
        ),
        "SkipMany.name": _command("skip", "pause"),
        "SkipMany.cycles": _command(*({"name": "skip", "cycles": cycles} for cycles in (1, 2))),
        "DismissMany.name": _select({"ids": ["{failed}"]}, {"ids": ["{one}"]}, "dismiss"),
        "MigrateMany.version": _command(*({"name": "migrate", "version": one} for one in (1, 2))),
    },
    "GET /bulk-operation": _list(),
    "POST /access-key": {
        "role": Pair("viewer", "operator"),
        "description": Pair(*TEXTS, {"role": "viewer"}),
    },
    "GET /access-key": _list(),
    "PUT /webhook": {
        "url": Pair("https://one.example.com/", "https://other.example.com/"),
        "secret": Pair(HOOK_SECRET, MISSING, HOOK),
        "kinds": Pair(["event.failed"], MISSING, HOOK),
    },
    "GET /audit": _list(
        **{"from": Pair(LATE, MISSING), "to": Pair(LATE, MISSING), "target": Pair("{two}", "{three}")}
    ),
}
COMMANDED_LATE = ("POST /execution-instance/{two}/resume", "POST /bulk-operation")
"""Operations that decide about missed dates. They are called when some have been missed."""


def effect(account: Account, place: str, name: str, value: Any, beside: Mapping[str, Any]) -> Any:
    """Return the effect of a request: the answer of a reading operation, else all that is stored."""
    method, path = _filled(place, account).split()
    if name == "?cursor" and value is not MISSING:
        value = account.cursor(path)
    query, body = target_of(name, _filled(value, account), _filled(beside, account))
    client = account.client
    client.ports.clock.at += 10 * DAY if place in COMMANDED_LATE else DAY / 24
    before = stored_items(client)
    status, answer = client(method, path + query, body if body or method != "GET" else None)
    assert status in (200, 201), (status, answer)
    after = stored_items(client)
    # The instance is paused already, so its pause stores nothing either.
    is_pause = path.endswith("/pause") and name == "?include"
    if is_pause or method == "GET" or path.endswith(("/validate", "/simulate-execution")):
        assert after == before
        # What is only repeated proves nothing.
        repeated = (name.removeprefix("?"), "nextCursor")
        return {key: one for key, one in answer.items() if key not in repeated or isinstance(one, list)}
    client.ports.operations.bulks.clear()
    client.ports.operations.audit.clear()
    return stored_items(client)


def _filled(value: Any, account: Account) -> Any:
    """Return a value whose texts name objects of an account in braces."""
    if isinstance(value, str):
        for name in ("flow", "other", "one", "two", "three", "failed", "doubtful"):
            value = value.replace(f"{{{name}}}", getattr(account, name))
        return value
    if isinstance(value, Mapping):
        return {key: _filled(one, account) for key, one in value.items()}
    return [_filled(one, account) for one in value] if isinstance(value, list) else value


def _place(target: str) -> str:
    for name in ("flow", "one", "two", "doubtful", "failed"):
        target = target.replace(f"{{{name}}}-1", "<sid>").replace(f"{{{name}}}", "<sid>")
    return target


class TestParameters:
    """Every parameter of the query and every member of the body acts."""

    def test_every_parameter_has_a_row(self) -> None:
        declared = {}
        for route in ROUTES:
            body = members_of(route.body) if isinstance(route.body, type) else set()
            if names := query_of(route) | body:
                declared[route.place] = names
        assert {_place(place): set(row) for place, row in TABLE.items()} == declared

    @pytest.mark.parametrize(("place", "name", "pair"), cells(TABLE))
    def test_two_values_have_different_effects(
        self, make: Callable[[], Account], place: str, name: str, pair: Pair
    ) -> None:
        one, other = (effect(make(), place, name, value, pair.beside) for value in (pair.one, pair.other))
        same = effect(make(), place, name, pair.one, pair.beside)

        assert one != other
        assert one == same


class TestUnknownMembers:
    """Unknown members are refused also in parts of a body; those of the body itself are in ``test_door.py``."""

    @pytest.mark.parametrize(
        ("pointer", "body"),
        [
            ("/selection/surplus", _selected({"ids": ["{one}"], "surplus": 1}, "pause")),
            ("/selection/surplus", _selected({**OF_FLOW, "surplus": 1}, "pause")),
            ("/selection/version", _selected({**IN_FOLDER, "version": 1}, "pause")),
            ("/command/surplus", _selected({"ids": ["{one}"]}, {"name": "pause", "surplus": 1})),
            ("/command/onResume", _selected({"ids": ["{one}"]}, {"name": "cancel", "onResume": "all"})),
            ("/command/tasks", _selected({"ids": ["{one}"]}, {"name": "resume", "tasks": ["mail"]})),
        ],
    )
    def test_a_bulk_operation_refuses_them(
        self, make: Callable[[], Account], pointer: str, body: Json
    ) -> None:
        account = make()
        before = stored_items(account.client)
        status, answer = account.client("POST", "/bulk-operation", _filled(body, account))

        assert (status, [one["pointer"] for one in answer["problems"]]) == (400, [pointer])
        assert stored_items(account.client) == before

    @pytest.mark.parametrize(
        "route", [one for one in ROUTES if one.query is not None], ids=lambda one: one.place
    )
    def test_a_parameter_of_another_operation_is_refused(
        self, make: Callable[[], Account], route: Any
    ) -> None:
        account = make()
        path = route.path.replace("<sid>", account.flow if "strategy" in route.path else account.one)
        every = {name for one in ROUTES for name in query_of(one)}
        for name in every - query_of(route):
            status, answer = account.client(route.method, f"{path}{name}=1")
            assert (status, f"/{name[1:]}" in str(answer["problems"])) == (400, True)
