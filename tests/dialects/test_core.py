"""The first operations of the core dialect, through the handler, as API Gateway calls it."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.gateway import HttpRequest, event_of
from dev.template import Template
from functions.core_api.handler import lambda_handler
from shared import bootstrap
from shared.adapters.crypto import SecretHasher
from shared.adapters.memory.world import ManualClock, MemoryPorts
from shared.api.core.routes import ROUTES
from shared.application.run import run_due_events
from shared.domain.access import AccessKey, Role
from shared.domain.call import Answered, CallOutcome, ServiceRequest
from shared.domain.ids import AccountId, InstanceSid

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PARAMETERS = {"Stage": "test", "Environment": "dev", "SettingsKeyArn": "k", "Pepper": "p" * 32}
TEMPLATE = Template(ROOT / "template.yaml", PARAMETERS)
WATER = json.loads((ROOT / "events" / "water-filter-refill.json").read_text())
GYM = json.loads((ROOT / "events" / "gym-membership.json").read_text())


class Shop:
    """A service that takes every order."""

    def call(self, request: ServiceRequest) -> CallOutcome:
        assert request.url
        return Answered(status=201, body={"id": "s-1"})


@dataclass
class Context:
    """A Lambda context."""

    function_name: str = "core-api"
    memory_limit_in_mb: int = 128
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:core-api"
    aws_request_id: str = "request-1"


class Client:
    """Requests to the handler, with the keys of three roles and of another account at hand."""

    def __init__(self, ports: MemoryPorts, hasher: SecretHasher) -> None:
        self.ports = ports
        for name, account, role in (
            ("admin", "a-1", Role.ADMIN),
            ("operator", "a-1", Role.OPERATOR),
            ("viewer", "a-1", Role.VIEWER),
            ("stranger", "a-2", Role.ADMIN),
        ):
            ports.access.put_key(
                AccessKey(
                    key_id=name,
                    account_id=AccountId(account),
                    role=role,
                    secret_hash=hasher.hash("secret"),
                    created_at=NOON,
                )
            )

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = "admin.secret",
        secret: str | None = WATER["secret"],
        raw: bytes | None = None,
        more: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Status and decoded body."""
        headers = dict(more or {})
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        if secret is not None:
            headers["strategy-secret"] = base64.b64encode(secret.encode()).decode()
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        request = HttpRequest(method=method, target=path, headers=headers, body=data, source="127.0.0.1")
        found = event_of(request, TEMPLATE.routes())
        assert found is not None, f"no route for {method} {path}"
        answer = lambda_handler(found[1], Context())  # type: ignore[arg-type]
        assert answer["headers"]["Content-Type"] == "application/json"
        return answer["statusCode"], json.loads(answer["body"])

    def saved(self, strategy: dict[str, Any] = WATER) -> dict[str, Any]:
        status, answer = self("POST", "/execution-strategy", strategy)
        assert status == 201
        return dict(answer)

    def started(self, **more: Any) -> dict[str, Any]:
        body = {"strategyId": "water-filter-refill", "attributes": {"customerId": "c-1"}, **more}
        status, answer = self("POST", "/execution-instance", body)
        assert status == 201
        return dict(answer)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of an empty account."""
    for name, value in next(iter(TEMPLATE.functions())).environment.items():
        monkeypatch.setenv(name, value)
    bootstrap.forget()
    ports = MemoryPorts(caller=Shop(), clock=ManualClock(NOON))
    bootstrap.use_ports(ports)
    yield Client(ports, SecretHasher(("p" * 32).encode()))
    bootstrap.forget()


class TestStrategies:
    """S1: a new strategy is checked whole, and stored once."""

    def test_answers_without_settings_or_secret(self, client: Client) -> None:
        assert client.saved() == {
            "sid": "i0001",
            "name": "water-filter-refill",
            "description": "Ships one filter cartridge a month",
            "version": 1,
            "folder": "/",
            "createdAt": "2026-01-01T12:00:00.000Z",
            "updatedAt": "2026-01-01T12:00:00.000Z",
        }

    def test_every_problem_of_the_settings_is_told_at_once(self, client: Client) -> None:
        settings = {**WATER["settings"], "config": {"timezone": "Europe/Lisboa"}, "extra": 1}

        status, answer = client("POST", "/execution-strategy", {**WATER, "settings": settings})

        assert status == 400
        assert answer["error"] == "Bad Request"
        assert [problem["pointer"] for problem in answer["problems"]] == [
            "/settings/config/timezone",
            "/settings/extra",
        ]
        assert client.ports.strategies.heads == {}

    def test_a_second_one_of_that_name_is_refused(self, client: Client) -> None:
        client.saved()

        assert client("POST", "/execution-strategy", WATER)[0] == 409

    @pytest.mark.parametrize(
        ("change", "pointer", "rule"),
        [
            ({"secret": "short"}, "/secret", "string_too_short"),
            ({"name": "a b"}, "/name", "string_pattern_mismatch"),
            ({"colour": "red"}, "/colour", "unknown-field"),
            ({"description": 7}, "/description", "string_type"),
        ],
    )
    def test_wrong_fields_are_told(
        self, client: Client, change: dict[str, Any], pointer: str, rule: str
    ) -> None:
        status, answer = client("POST", "/execution-strategy", {**WATER, **change})

        assert status == 400
        assert [(p["pointer"], p["rule"]) for p in answer["problems"]] == [(pointer, rule)]

    @pytest.mark.parametrize(
        ("raw", "status"),
        [
            (b"{", 400),
            (b'{"name": "a", "name": "b"}', 400),
            (b'{"name": NaN}', 400),
            (b"[]", 400),
            (b"\xff", 400),
            (b" " * (256 * 1024 + 1), 413),
        ],
    )
    def test_what_is_no_body_is_refused(self, client: Client, raw: bytes, status: int) -> None:
        assert client("POST", "/execution-strategy", raw=raw)[0] == status


class TestInstances:
    """I1, I2, I3, I4 and resume, in their shapes."""

    def test_a_new_one_comes_with_its_events(self, client: Client) -> None:
        client.saved()

        answer = client.started(startDate="2026-01-31T10:00:00Z", description="d")

        assert answer["executionInstance"]["cycle"] == 1
        assert answer["executionInstance"]["executionDay"] == 31
        assert answer["executionInstance"]["nextEvent"] == {
            "sid": "i0002-1",
            "date": "2026-01-31T10:00:00.000Z",
        }
        assert answer["createdEvents"]["onCreateEvents"] == []
        assert answer["createdEvents"]["mainEvent"]["status"] == "PENDING"
        assert answer["createdEvents"]["mainEvent"]["main"] is True

    def test_dates_and_attributes_are_checked_and_nothing_is_stored(self, client: Client) -> None:
        client.saved()
        body = {
            "strategyId": "water-filter-refill",
            "attributes": {"a": [1]},
            "startDate": "2026-01-31T10:00:00Z",
        }

        status, answer = client("POST", "/execution-instance", body)
        assert (status, answer["problems"][0]["pointer"]) == (400, "/attributes/a")
        status, answer = client(
            "POST", "/execution-instance", {**body, "startDate": "soon", "endDate": "later"}
        )
        assert [p["pointer"] for p in answer["problems"]] == ["/startDate", "/endDate"]

        assert client.ports.instances.instances == {}

    def test_is_read_unwrapped(self, client: Client) -> None:
        client.saved()
        sid = client.started()["executionInstance"]["sid"]

        status, answer = client("GET", f"/execution-instance/{sid}", key="viewer.secret")

        assert status == 200
        assert answer["sid"] == sid
        assert answer["attributes"] == {"customerId": "c-1"}
        assert answer["draining"] is False

    def test_pause_embeds_the_strategy_and_pausing_twice_changes_nothing(self, client: Client) -> None:
        client.saved()
        sid = client.started()["executionInstance"]["sid"]

        status, paused = client(
            "POST", f"/execution-instance/{sid}/pause", more={"audit-comment": "holidays"}
        )
        again = client("POST", f"/execution-instance/{sid}/pause")

        assert status == 200
        assert (paused["status"], paused["stoppedBy"], paused["note"]) == ("PAUSED", "admin", "holidays")
        assert paused["strategy"]["name"] == "water-filter-refill"
        assert "settings" not in paused["strategy"]
        assert again == (200, paused)
        assert len(client.ports.instances.audit) == 1

    def test_resume_tells_what_was_left_out(self, client: Client) -> None:
        client.saved()
        sid = client.started()["executionInstance"]["sid"]
        client("POST", f"/execution-instance/{sid}/pause")
        client.ports.clock.at += timedelta(days=100)

        status, answer = client("POST", f"/execution-instance/{sid}/resume", {"onResume": "last"})

        assert status == 200
        assert answer["status"] == "ACTIVE"
        assert answer["skippedCycles"] == {"first": 1, "last": 3}

    def test_a_resume_body_with_a_wrong_word_is_refused(self, client: Client) -> None:
        client.saved()
        sid = client.started()["executionInstance"]["sid"]

        status, answer = client("POST", f"/execution-instance/{sid}/resume", {"onResume": "never"})

        assert (status, answer["problems"][0]["pointer"]) == (400, "/onResume")

    def test_a_plan_too_late_to_walk_is_unprocessable(self, client: Client) -> None:
        client.saved()
        sid = client.started()["executionInstance"]["sid"]
        client("POST", f"/execution-instance/{sid}/pause")
        client.ports.clock.at += timedelta(days=365 * 90)

        assert client("POST", f"/execution-instance/{sid}/resume")[0] == 422

    def test_cancel_counts_and_cancelling_twice_changes_nothing(self, client: Client) -> None:
        client.saved()
        sid = client.started()["executionInstance"]["sid"]

        status, answer = client("POST", f"/execution-instance/{sid}/cancel")
        again = client("POST", f"/execution-instance/{sid}/cancel")[1]

        assert status == 200
        assert answer["executionInstance"]["status"] == "CANCELED"
        assert answer["executionInstance"]["cancelReason"] == "HTTP_REQUEST"
        assert answer["createdEvents"] == {"onCancelEvents": []}
        assert (answer["numCanceledEvents"], again["numCanceledEvents"]) == (1, 0)

    def test_what_the_state_does_not_allow_is_a_conflict(self, client: Client) -> None:
        client.saved()
        sid = client.started()["executionInstance"]["sid"]
        client("POST", f"/execution-instance/{sid}/cancel")

        status, answer = client("POST", f"/execution-instance/{sid}/resume")

        assert (status, answer["message"]) == (409, ["the instance is CANCELED"])


class TestEvents:
    """E1: an event, wrapped, finished or not."""

    def test_an_open_one_and_a_finished_one(self, client: Client) -> None:
        client.saved()
        sid = client.started()["executionInstance"]["sid"]
        _, opened = client("GET", f"/execution-event/{sid}-1")
        client.ports.clock.at += timedelta(seconds=2)
        run_due_events(client.ports, InstanceSid(sid), job="job-1", time_left=lambda: timedelta(seconds=900))

        status, answer = client("GET", f"/execution-event/{sid}-1")

        assert opened["event"]["status"] == "PENDING"
        assert opened["event"]["taskStatus"] == {"lastStep": None, "taskResults": []}
        event = answer["event"]
        assert status == 200
        assert (event["status"], event["attempt"], event["jobId"]) == ("PROCESSED", 1, "job-1")
        assert (event["scheduleDelta"], event["finishDelta"], event["executionTime"]) == (2000, 2000, 0)
        assert event["taskStatus"]["lastStep"] == "ship"
        assert event["taskStatus"]["taskResults"][0]["response"] == {"id": "s-1"}

    @pytest.mark.parametrize("sid", ["nonsense", "i0002-9", "i9999-1"])
    def test_an_unknown_one_is_not_found(self, client: Client, sid: str) -> None:
        client.saved()
        client.started()

        assert client("GET", f"/execution-event/{sid}")[0] == 404


class TestWhoGetsIn:
    """Key, role, existence, secret, in this order; a stranger learns nothing."""

    READS = ("GET", "/execution-instance/i0002", "/execution-event/i0002-1")

    @pytest.mark.parametrize("path", [path for _, path in ROUTES], ids=str)
    @pytest.mark.parametrize(
        "key", [None, "admin", "admin.", ".secret", "admin.wrong", "nobody.secret"], ids=str
    )
    def test_without_a_valid_key_nobody(self, client: Client, path: str, key: str | None) -> None:
        method = next(method for method, known in ROUTES if known == path)

        assert client(method, path.replace("<sid>", "i0002"), {}, key=key)[0] == 401

    @pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route[0] == "POST"], ids=str)
    def test_a_viewer_changes_nothing(self, client: Client, method: str, path: str) -> None:
        assert client(method, path.replace("<sid>", "i0002"), {}, key="viewer.secret")[0] == 403

    def test_only_an_admin_saves_strategies(self, client: Client) -> None:
        assert client("POST", "/execution-strategy", WATER, key="operator.secret")[0] == 403

    @pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if "<sid>" in route[1]], ids=str)
    def test_a_stranger_finds_nothing(self, client: Client, method: str, path: str) -> None:
        client.saved()
        client.started()
        target = path.replace("<sid>", "i0002-1" if "event" in path else "i0002")

        assert client(method, target, key="stranger.secret")[0] == 404

    @pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if "<sid>" in route[1]], ids=str)
    @pytest.mark.parametrize("secret", [None, "wrong-secret-wrong"], ids=str)
    def test_without_the_strategys_secret_nobody(
        self, client: Client, method: str, path: str, secret: str | None
    ) -> None:
        client.saved()
        client.started()
        target = path.replace("<sid>", "i0002-1" if "event" in path else "i0002")

        assert client(method, target, secret=secret)[0] == 403

    def test_a_secret_that_cannot_be_decoded_is_wrong(self, client: Client) -> None:
        client.saved()
        client.started()
        headers = {"strategy-secret": "%%%"}

        assert client("GET", "/execution-instance/i0002", secret=None, more=headers)[0] == 403

    def test_an_unknown_strategy_is_not_found(self, client: Client) -> None:
        assert client("POST", "/execution-instance", {"strategyId": "nothing"})[0] == 404


class TestTheEdges:
    """What no route fits is 404 in the dialect's own shape; what breaks says nothing of the inside."""

    def test_an_unknown_path(self) -> None:
        event = {
            "version": "2.0",
            "rawPath": "/x",
            "requestContext": {"http": {"method": "GET", "path": "/x"}},
        }
        event["requestContext"]["stage"] = "$default"  # type: ignore[index]

        answer = lambda_handler(event, Context())  # type: ignore[arg-type]

        assert answer["statusCode"] == 404
        assert json.loads(answer["body"])["error"] == "Not Found"

    def test_a_failure_of_ours(self, client: Client, caplog: pytest.LogCaptureFixture) -> None:
        client.saved()
        client.ports.instances.instances = None  # type: ignore[assignment]

        status, answer = client("GET", "/execution-instance/i0002")

        assert status == 500
        assert answer["message"] == ["something failed on our side"]
        assert [record.__dict__["errorId"] for record in caplog.records] == [answer["errorId"]]

    def test_every_route_of_the_template_has_its_operation(self) -> None:
        served = {
            (route.method, route.path.replace("{", "<").replace("}", ">")) for route in TEMPLATE.routes()
        }

        assert served == set(ROUTES)
