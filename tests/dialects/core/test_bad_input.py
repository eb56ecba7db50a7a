"""Invalid input: every problem is reported at once, and nothing is stored.

Source: docs/contracts/core.md section 1.3.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.dialects.core.client import GYM, MEMBER, WATER, Client
from tests.dialects.core.test_matrix import stored_items

Json = dict[str, Any]
Change = Callable[[Json], Any]

BODIES = [
    ("POST", "/execution-strategy"),
    ("POST", "/execution-strategy/validate"),
    ("PATCH", "/execution-strategy/{shop}"),
    ("POST", "/execution-instance"),
    ("PATCH", "/execution-instance/{one}"),
    ("POST", "/execution-instance/{one}/resume"),
    ("POST", "/execution-instance/{one}/events"),
    ("POST", "/access-key"),
    ("PUT", "/webhook"),
    ("POST", "/bulk-operation"),
    ("POST", "/execution-strategy/{shop}/simulate-execution"),
    ("POST", "/execution-event/{one}-1/resolve"),
]
NO_BODIES = [
    (b"{", 400, "json"),
    (b"\xff\xfe", 400, "json"),
    (b'{"name": NaN}', 400, "json"),
    (b'{"name": 1e999}', 400, "json"),
    (b'{"name": ' + b"1" * 5000 + b"}", 400, "json"),
    (b"[" * 100_000, 400, "json"),
    (b'{"a": 1, "a": 2}', 400, "repeated-member"),
    (b'{"settings": {"a": {"b": 1, "b": 1}}}', 400, "repeated-member"),
    (b"[]", 400, "type"),
    (b'"text"', 400, "type"),
    (b"null", 400, "type"),
    (b" " * (256 * 1024 + 1), 413, None),
]


class TestInvalidJson:
    """If a body is not a JSON object, every operation refuses it."""

    @pytest.mark.parametrize(("method", "path"), BODIES, ids=str)
    @pytest.mark.parametrize(("raw", "status", "rule"), NO_BODIES, ids=lambda part: repr(part)[:24])
    def test_a_body_that_is_not_a_json_object_is_refused(
        self, client: Client, method: str, path: str, raw: bytes, status: int, rule: str | None
    ) -> None:
        shop, one = client.saved()["sid"], client.started()["executionInstance"]["sid"]
        before = stored_items(client)

        found, answer = client(method, path.format(shop=shop, one=one), raw=raw)

        assert found == status
        assert [problem["rule"] for problem in answer["problems"]] == ([] if rule is None else [rule])
        assert stored_items(client) == before


def put(*path: str | int, value: Any) -> Change:
    """Return a change that sets a value in the gym's settings."""

    def change(settings: Json) -> None:
        at: Any = settings
        for part in path[:-1]:
            at = at[part]
        at[path[-1]] = value

    return change


def lacking(*path: str | int) -> Change:
    def change(settings: Json) -> None:
        at: Any = settings
        for part in path[:-1]:
            at = at[part]
        del at[path[-1]]

    return change


def again(name: str) -> Change:
    """Return a change that repeats the first entry of a list."""
    return lambda settings: settings[name].append(settings[name][0])


def step(**members: Any) -> Json:
    return {"key": "new", "action": "mail-receipt", **members}


def extra_step(**members: Any) -> Change:
    return lambda settings: settings["tasks"][1]["steps"].append(step(**members))


LOOP = put(
    "tasks",
    1,
    "steps",
    value=[step(key="mail-reminder", nextStep="b"), step(key="b", nextStep="mail-reminder")],
)
SETTINGS: list[tuple[str, Change, str, str]] = [
    ("a wrong type", put("config", "requestDelayTime", value="250"), "/config/requestDelayTime", "type"),
    ("an unknown field", put("config", "colour", value="red"), "/config/colour", "unknown-field"),
    ("a missing part", lacking("tasks", 0, "initialStep"), "/tasks/0/initialStep", "required"),
    ("a missing list", lacking("services"), "/services", "required"),
    ("equal keys", again("actions"), "/actions/8/key", "repeated-key"),
    ("equal keys of services", again("services"), "/services/3/key", "repeated-key"),
    (
        "a task that does not exist",
        put("schedule", "calendars", 0, "task", value="x"),
        "/schedule/calendars/0/task",
        "reference",
    ),
    (
        "an action that does not exist",
        put("tasks", 1, "steps", 0, "action", value="x"),
        "/tasks/1/steps/0/action",
        "reference",
    ),
    (
        "a service that does not exist",
        put("actions", 0, "service", value="x"),
        "/actions/0/service",
        "reference",
    ),
    (
        "a method that does not exist",
        put("actions", 0, "method", value="x"),
        "/actions/0/method",
        "reference",
    ),
    (
        "a step that does not exist",
        put("tasks", 0, "steps", 0, "nextStep", value="x"),
        "/tasks/0/steps/0/nextStep",
        "reference",
    ),
    ("a step out of reach", extra_step(), "/tasks/1/steps/1/key", "unreachable"),
    ("a loop without a wait", LOOP, "/tasks/1/steps/0/key", "loop"),
    ("an unknown zone", put("config", "timezone", value="Europe/Lisboa"), "/config/timezone", "zone"),
    (
        "no base URL here",
        put("services", 0, "baseUrls", value=[{"environment": "x", "url": "https://x.test"}]),
        "/services/0/baseUrls",
        "environment",
    ),
    (
        "a callback that does not compile",
        put("onCancelTasks", 0, "createIf", value="attributes.x >"),
        "/onCancelTasks/0/createIf",
        "syntax",
    ),
    (
        "a callback of the wrong type",
        put("onCancelTasks", 0, "createIf", value="'yes'"),
        "/onCancelTasks/0/createIf",
        "type",
    ),
    (
        "a callback in JavaScript",
        put("onCancelTasks", 0, "createIf", value="(i) => i.ok"),
        "/onCancelTasks/0/createIf",
        "javascript",
    ),
    (
        "a number out of range",
        put("config", "requestDelayTime", value=5001),
        "/config/requestDelayTime",
        "range",
    ),
    (
        "a number below range",
        put("tasks", 0, "retryConfig", "times", value=-1),
        "/tasks/0/retryConfig/times",
        "range",
    ),
]


class TestSettings:
    """If settings are invalid, both operations that take them report each mistake with its pointer."""

    @pytest.mark.parametrize(
        ("what", "change", "pointer", "rule"), SETTINGS, ids=[row[0] for row in SETTINGS]
    )
    def test_a_mistake_in_settings_is_reported_with_its_pointer(
        self, client: Client, what: str, change: Change, pointer: str, rule: str
    ) -> None:
        assert what
        strategy = json.loads(json.dumps(GYM))
        change(strategy["settings"])

        status, answer = client("POST", "/execution-strategy", strategy)
        _, validated = client("POST", "/execution-strategy/validate", {"settings": strategy["settings"]})

        assert status == 400
        found = [(problem["pointer"], problem["rule"]) for problem in answer["problems"]]
        assert (f"/settings{pointer}", rule) in found, found
        assert validated == {"valid": False, "problems": answer["problems"], "warnings": []}
        assert client.ports.strategies.heads == {}

    def test_all_mistakes_are_reported_together(self, client: Client) -> None:
        strategy = json.loads(json.dumps(GYM))
        chosen = [
            row
            for row in SETTINGS
            if row[0] in ("a wrong type", "an unknown field", "an unknown zone", "a step out of reach")
        ]
        for _, change, _, _ in chosen:
            change(strategy["settings"])

        _, answer = client("POST", "/execution-strategy", {**strategy, "name": "a b", "secret": "short"})

        assert {p["pointer"] for p in answer["problems"]} >= {
            "/name",
            "/secret",
            *(f"/settings{pointer}" for _, _, pointer, _ in chosen),
        }

    def test_an_invalid_callback_is_reported_with_a_caret(self, client: Client) -> None:
        strategy = json.loads(json.dumps(GYM))
        strategy["settings"]["onCancelTasks"][0]["createIf"] = "attributes.total >"

        _, answer = client("POST", "/execution-strategy", strategy)

        assert answer["problems"][0]["caret"].splitlines()[0] == "attributes.total >"
        assert answer["problems"][0]["caret"].splitlines()[1].strip() == "^"


class TestBodies:
    """If a field of a body is invalid, it is reported with pointer and rule."""

    @pytest.mark.parametrize(
        ("change", "pointer", "rule"),
        [
            ({"secret": "short"}, "/secret", "too-short"),
            ({"secret": "x" * 129}, "/secret", "too-long"),
            ({"name": "a b"}, "/name", "pattern"),
            ({"name": "é"}, "/name", "pattern"),
            ({"name": "n" * 101}, "/name", "pattern"),
            ({"name": "n\n"}, "/name", "pattern"),
            ({"folder": "relative"}, "/folder", "pattern"),
            ({"colour": "red"}, "/colour", "unknown-field"),
            ({"description": 7}, "/description", "type"),
            ({"settings": []}, "/settings", "type"),
        ],
    )
    def test_invalid_fields_of_a_strategy_are_refused(
        self, client: Client, change: Json, pointer: str, rule: str
    ) -> None:
        status, answer = client("POST", "/execution-strategy", {**WATER, **change})

        assert status == 400
        assert [(p["pointer"], p["rule"]) for p in answer["problems"]] == [(pointer, rule)]
        assert client.ports.strategies.heads == {}

    @pytest.mark.parametrize(
        ("change", "problems"),
        [
            ({"startDate": "soon", "endDate": 7}, [("/startDate", "date"), ("/endDate", "date")]),
            ({"startDate": "2026-02-30T00:00:00Z"}, [("/startDate", "date")]),
            ({"startDate": "2026-02-03T00:00:00"}, [("/startDate", "date")]),
            (
                {"startDate": "2026-02-03T00:00:00Z", "endDate": "2026-02-02T00:00:00Z"},
                [("/endDate", "range")],
            ),
            ({"attributes": {**MEMBER, "x": 1}}, [("/attributes/x", "jtd")]),
            ({"attributes": {}}, [("/attributes", "jtd")] * 3),
            (
                {"attributes": {**MEMBER, "a/b~c": []}},
                [("/attributes/a~1b~0c", "type"), ("/attributes/a~1b~0c", "jtd")],
            ),
            ({"attributes": {**MEMBER, "x": None}}, [("/attributes/x", "type"), ("/attributes/x", "jtd")]),
            ({"attributes": []}, [("/attributes", "type")]),
            (
                {"startDate": "soon", "attributes": {**MEMBER, "x": 1}},
                [("/startDate", "date"), ("/attributes/x", "jtd")],
            ),
            (
                {"extra": 1, "attributes": {**MEMBER, "x": 1}},
                [("/extra", "unknown-field"), ("/attributes/x", "jtd")],
            ),
            ({"description": "d" * 4097}, [("/description", "too-long")]),
        ],
        ids=str,
    )
    def test_invalid_fields_of_an_instance_are_refused(
        self, client: Client, change: Json, problems: list[tuple[str, str]]
    ) -> None:
        client.saved(GYM)
        body = {"strategyId": GYM["name"], "attributes": MEMBER, **change}

        status, answer = client("POST", "/execution-instance", body, secret=GYM["secret"])

        assert status == 400
        assert [(p["pointer"], p["rule"]) for p in answer["problems"]] == problems
        assert client.ports.instances.instances == {}

    @pytest.mark.parametrize("strategy", [None, 7, "", "x" * 101])
    def test_an_unusable_strategy_name_is_reported_with_other_problems(
        self, client: Client, strategy: Any
    ) -> None:
        status, answer = client("POST", "/execution-instance", {"strategyId": strategy, "x": 1})

        assert status == 400
        assert {p["pointer"] for p in answer["problems"]} == {"/strategyId", "/x"}

    def test_attributes_that_are_too_large_are_refused(self, client: Client) -> None:
        client.saved()
        body = {"strategyId": WATER["name"], "attributes": {"customerId": "c", "text": "x" * 17_000}}

        status, answer = client("POST", "/execution-instance", body)

        assert (status, answer["problems"][0]["rule"]) == (400, "too-long")

    @pytest.mark.parametrize("number", [10**400, -(10**19), 1.5e308])
    def test_huge_numbers_never_cause_a_failure_of_ours(self, client: Client, number: float) -> None:
        client.saved()
        body = {"strategyId": WATER["name"], "attributes": {"customerId": "c", "n": number}}

        # Either answer is right for such a number; a failure of ours is not.
        assert client("POST", "/execution-instance", body)[0] in (201, 400)
