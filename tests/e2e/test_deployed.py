"""The template deployed by CloudFormation on another engine. Its functions run under their own roles."""

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.message import Message
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from msgspec.structs import astuple

from dev.client import KEY, Api, Processes, RefusedError, example
from dev.deployment import Deployment, Subscription
from dev.emulator import free_port
from dev.history_reader import contradictions
from dev.ministack import Ministack
from dev.packages import built_here
from dev.restore import Restore, Restored, RestoreError
from shared.api.http.pages import PAGES
from shared.domain.instance.due import GRACE
from tests.dialects.paths import NOT_SERVED_PATHS, OPERATIONS
from tests.e2e.identity_provider import AUDIENCE, IdentityProvider, identity_provider

# Sockets for the fixture too, which builds and deploys once for all of these tests: one process runs them.
pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(400)]

A_WEEK_AND_A_DAY = timedelta(days=8)
"""Who joined so long ago was to be welcomed and charged before today, and is in the month to come charged again."""

SOON = timedelta(seconds=62)
"""The nearest that a schedule is armed is 60 seconds ahead."""

A_RING = 120
"""Seconds within which a schedule that is due soon, or the sweeper, has woken a runner that has done its work."""

ROLES_IN_GROUPS = {
    "JwtAccountClaim": "custom:account",
    "JwtRoleClaim": "cognito:groups",
    "JwtRolePrefix": "ritornello-",
}
"""As for a user pool of Cognito."""

EVERY_OPERATION = [operation for operations in OPERATIONS.values() for operation in operations]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of the gym, and the sids of the first events by task."""

    name: str
    sid: str
    events: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Club:
    """The deployed gym with three members. ``armed`` are the schedules after they joined."""

    deployment: Deployment
    downstream: Api
    api: Api
    ann: Member
    ben: Member
    cleo: Member
    armed: list[str]
    subscription: Subscription
    provider: IdentityProvider

    def calls(self, member: Member) -> list[str]:
        """Return the calls for a member in order: the template of a mail, a state, or the path."""
        lines = [line for line in self.ledger() if member.name in f"{line['path']} {line['request']}"]
        return [
            line["request"].get("template") or line["request"].get("state") or line["path"] for line in lines
        ]

    def was_denied(self, sid: str) -> bool:
        """Return whether an instance lacked a secret."""
        history = self.api.call("GET", f"/execution-instance/{sid}/events")
        return "it may not be read" in json.dumps(history)

    def ledger(self) -> list[dict[str, Any]]:
        """Return all calls to the services except those for tokens."""
        lines = self.downstream.call("GET", "/_ledger")
        return [line for line in lines if not line["path"].endswith("/oauth/token")]

    def event(self, sid: str) -> dict[str, Any]:
        """Return an event as the API shows it."""
        found: dict[str, Any] = self.api.call("GET", f"/execution-event/{sid}")["event"]
        return found

    def await_end(self, member: Member, *tasks: str, seconds: float) -> None:
        """Return when the events of these tasks are done."""
        seconds_until(
            lambda: all(self.event(member.events[task])["status"] == "PROCESSED" for task in tasks),
            seconds,
            lambda: [self.event(sid) for sid in member.events.values()],
        )


def seconds_until(holds: Callable[[], bool], seconds: float, tell: Callable[[], Any]) -> None:
    """Return when a condition holds, else fail with the text of ``tell``."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, tell()
        time.sleep(0.5)


@pytest.fixture(scope="module")
def club(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Club]:
    folder = tmp_path_factory.mktemp("deployed")
    processes = Processes(folder / "services", downstream_port=free_port(), stack_port=0)
    engine = Ministack(folder / "ministack")
    try:
        processes.start_downstream()
        with identity_provider() as provider:
            of_tokens = {"JwtIssuer": provider.issuer, "JwtAudience": AUDIENCE, **ROLES_IN_GROUPS}
            with TemporaryDirectory(dir=folder) as built:
                deployment = Deployment(
                    engine, lambda name: built_here(name, Path(built, name)), folder, of_tokens
                )
            yield opened(deployment, processes.downstream, provider)
    finally:
        engine.stop()
        processes.stop()


def opened(deployment: Deployment, downstream: Api, provider: IdentityProvider) -> Club:
    """Return the gym: Ann's charge is due, Ben's reminder is due in a minute, Cleo's charge is due without a wakeup."""
    subscription = deployment.subscribe()
    strategy = example("gym-membership", downstream)
    deployment.api.call("POST", "/execution-strategy", strategy)
    strategy["settings"]["schedule"]["initialDelay"] = {"unit": "days", "amount": 3}
    deployment.api.call("POST", "/execution-strategy", {**strategy, "name": "gym-three-days"})
    api = replace(deployment.api, secret=strategy["secret"])
    long_ago = datetime.now(UTC) - A_WEEK_AND_A_DAY
    ann = joined(api, "ann", start=long_ago)
    with deployment.without("CoreApi", "lambda:InvokeFunction"):
        cleo = joined(api, "cleo", start=long_ago)
    ben = joined(api, "ben", start=datetime.now(UTC) + SOON, strategy="gym-three-days")
    return Club(
        deployment=deployment,
        downstream=downstream,
        api=api,
        ann=ann,
        ben=ben,
        cleo=cleo,
        armed=deployment.schedules(),
        subscription=subscription,
        provider=provider,
    )


def joined(api: Api, name: str, *, start: datetime, strategy: str = "gym-membership") -> Member:
    attributes = {"memberId": name, "email": f"{name}@example.test", "monthlyFee": 29.5}
    body = {"strategyId": strategy, "startDate": start.isoformat(), "attributes": attributes}
    answer = api.call("POST", "/execution-instance", body)
    created = answer["createdEvents"]
    events = [*created["onCreateEvents"], *created["leadingUpEvents"], created["mainEvent"]]
    return Member(
        name=name, sid=answer["executionInstance"]["sid"], events={e["task"]: e["sid"] for e in events}
    )


Speaker = Callable[..., Any]


def spoken(api: Api) -> tuple[Speaker, Speaker, Speaker]:
    """Return a client for the process, the orders and the automation dialect, each with the account's key."""
    account, credentials = "dev", base64.b64encode(KEY.replace(".", ":", 1).encode()).decode()
    basic, bearer = {"Authorization": f"Basic {credentials}"}, {"Authorization": f"Bearer {KEY}"}
    _, headers = answer_of(api, "POST", "/joc/api/authentication/login", {}, basic)
    session = {"X-Access-Token": headers["X-Access-Token"]}

    def processes(method: str, path: str, body: Any = None) -> Any:
        return answer_of(api, method, f"/scheduler/connector-api/process{path}", body, basic)[0]

    def orders(method: str, path: str, body: Any) -> Any:
        return answer_of(api, method, f"/joc/api{path}", {"controllerId": account, **body}, session)[0]

    def workflows(method: str, path: str, body: Any = None) -> Any:
        return answer_of(api, method, f"/api/v1/accounts/{account}{path}", body, bearer)[0]

    return processes, orders, workflows


def answer_of(api: Api, method: str, path: str, body: Any, headers: Mapping[str, str]) -> tuple[Any, Message]:
    """Return body and headers of the answer to a request. Raises: HTTPError."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(api.url + path, data=data, method=method, headers=dict(headers))  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
        return json.loads(answer.read() or b"null"), answer.headers


def status(api: Api, method: str, path: str, **headers: str) -> int:
    """Return the status of a request without a body, with the parameters of its path as they are."""
    url = api.url + path.replace("{", "").replace("}", "")
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


class TestOneDeployment:
    """Every wakeup reaches the runner, which works with the permissions of its role only."""

    def test_events_due_on_creation_run_at_once(self, club: Club) -> None:
        club.await_end(club.ann, "send-welcome", "charge-fee", seconds=60)

        assert club.calls(club.ann) == ["welcome", "/4020/charges", "paid", "receipt"]
        assert club.api.call("GET", f"/execution-instance/{club.ann.sid}")["cycle"] == 2

    def test_a_call_has_secrets_that_the_runners_role_may_read(self, club: Club) -> None:
        club.deployment.keep_secrets("mail/key", '{"key": "k-hush-hush"}', "t-hush-hush")
        strategy = {**example("gym-membership", club.downstream), "name": "gym-secrets"}
        for action in strategy["settings"]["actions"]:
            action["data"] |= {"key": "{{secret.mail/key#key}}", "token": "{{parameter.mail/key}}"}
        club.api.call("POST", "/execution-strategy", strategy)
        gus = joined(club.api, "gus", start=datetime.now(UTC) - A_WEEK_AND_A_DAY, strategy="gym-secrets")
        club.await_end(gus, "send-welcome", "charge-fee", seconds=60)

        sent = [line["request"] for line in club.ledger() if "gus" in f"{line['path']} {line['request']}"]
        assert len(sent) == 4
        assert {(one["key"], one["token"]) for one in sent} == {("k-hush-hush", "t-hush-hush")}
        shown = json.dumps([club.event(sid) for sid in gus.events.values()])
        assert "hush" not in shown + "".join(club.deployment.logged("StepRunner"))

    @pytest.mark.parametrize(
        ("action", "reference"),
        [
            ("secretsmanager:GetSecretValue", "{{secret.denied}}"),
            ("ssm:GetParameter", "{{parameter.denied}}"),
        ],
    )
    def test_a_secret_that_the_role_denies_sends_nothing(
        self, club: Club, action: str, reference: str
    ) -> None:
        name = action.partition(":")[0]
        strategy = {**example("gym-membership", club.downstream), "name": f"gym-{name}"}
        for one in strategy["settings"]["actions"]:
            one["data"] |= {"key": reference}
        club.api.call("POST", "/execution-strategy", strategy)
        start = datetime.now(UTC) - A_WEEK_AND_A_DAY
        with club.deployment.without("StepRunner", action):
            member = joined(club.api, f"hal-{name}", start=start, strategy=f"gym-{name}")
            seconds_until(
                lambda: "it may not be read" in json.dumps(club.event(member.events["charge-fee"])),
                60,
                lambda: [club.event(sid) for sid in member.events.values()],
            )

        assert club.calls(member) == []

    def test_an_event_due_next_month_is_scheduled(self, club: Club) -> None:
        club.await_end(club.ann, "charge-fee", seconds=60)

        seconds_until(
            lambda: any(name.startswith(club.ann.sid) for name in club.deployment.schedules()),
            10,
            club.deployment.schedules,
        )

    def test_a_schedule_wakes_the_runner_and_is_deleted(self, club: Club) -> None:
        wakeup = f"{club.ben.events['send-reminder']}-1"
        assert wakeup in club.armed
        club.await_end(club.ben, "send-reminder", seconds=A_RING)

        assert club.calls(club.ben) == ["reminder"]
        assert wakeup not in club.deployment.schedules()
        reminder = club.event(club.ben.events["send-reminder"])
        assert 0 <= reminder["executionDelta"] < GRACE.total_seconds() * 1000, (
            "the sweeper may have come first"
        )

    def test_the_sweeper_replaces_a_wakeup_that_a_role_denies(self, club: Club) -> None:
        club.await_end(club.cleo, "send-welcome", "charge-fee", seconds=A_RING)

        assert club.calls(club.cleo) == ["welcome", "/4020/charges", "paid", "receipt"]
        (denied,) = (
            line for line in club.deployment.denials("CoreApi") if line["message"] == "wakeup not sent"
        )
        assert denied["sid"] == club.cleo.sid
        assert "not authorized to perform: lambda:InvokeFunction" in denied["error"]

    def test_every_route_requires_authentication(self, club: Club) -> None:
        answers = {route: status(club.api, *route) for route in EVERY_OPERATION}

        assert answers
        let_in = {route: code for route, code in answers.items() if code != HTTPStatus.UNAUTHORIZED}
        pages = {("GET", page.path): HTTPStatus.OK for pages in PAGES.values() for page in pages}
        nothing = dict.fromkeys(NOT_SERVED_PATHS, HTTPStatus.NOT_FOUND)
        assert let_in == pages | nothing

    def test_every_reading_route_may_read(self, club: Club) -> None:
        reading = [route for route in EVERY_OPERATION if route[0] == "GET"]
        answers = {route: status(club.api, *route, Authorization=f"Bearer {KEY}") for route in reading}

        assert {route: code for route, code in answers.items() if code >= 500} == {}

    def test_a_membership_is_paused_resumed_and_cancelled(self, club: Club) -> None:
        dora = joined(club.api, "dora", start=datetime.now(UTC) + A_WEEK_AND_A_DAY)

        statuses = []
        for command in ("pause", "resume", "cancel"):
            club.api.call("POST", f"/execution-instance/{dora.sid}/{command}")
            statuses.append(club.api.call("GET", f"/execution-instance/{dora.sid}")["status"])

        assert statuses == ["PAUSED", "ACTIVE", "CANCELED"]

    def test_changes_arrive_at_a_queue_behind_the_bus(self, club: Club) -> None:
        club.await_end(club.ann, "send-welcome", "charge-fee", seconds=60)
        club.api.call("POST", f"/execution-instance/{club.ann.sid}/pause")
        club.api.call("POST", f"/execution-instance/{club.ann.sid}/resume")
        charge = club.ann.events["charge-fee"]

        def kinds() -> list[tuple[str, str]]:
            messages = [event["detail"] for event in club.subscription.receive().values()]
            return sorted(
                (message["kind"], message.get("event", {}).get("sid", ""))
                for message in messages
                if message.get("instanceSid") == club.ann.sid
            )

        expected = [
            ("event.processed", club.ann.events["send-welcome"]),
            ("event.processed", charge),
            ("instance.created", ""),
            ("instance.paused", ""),
            ("instance.resumed", ""),
        ]
        seconds_until(lambda: kinds() == sorted(expected), 60, kinds)
        published = [
            e for e in club.subscription.received.values() if e["detail-type"] == "strategy.published"
        ]
        assert {event["detail"]["strategyName"] for event in published} >= {
            "gym-membership",
            "gym-three-days",
        }
        assert {event["source"] for event in club.subscription.received.values()} == {"ritornello"}

    def test_a_webhook_is_called_under_the_senders_role(self, club: Club) -> None:
        club.api.call(
            "PUT", "/webhook", {"url": f"{club.downstream.url}/hooks/it", "kinds": ["instance.paused"]}
        )
        finn = joined(club.api, "finn", start=datetime.now(UTC) + A_WEEK_AND_A_DAY)
        # The publisher knows of it within a minute.
        paused = False

        def called() -> bool:
            nonlocal paused
            club.api.call("POST", f"/execution-instance/{finn.sid}/{'resume' if paused else 'pause'}")
            paused = not paused
            return any(line["path"] == "/hooks/it" for line in club.ledger())

        functions = ("Publisher", "WebhookSender")
        seconds_until(called, 90, lambda: [club.deployment.logged(name)[-3:] for name in functions])
        calls = [line["request"] for line in club.ledger() if line["path"] == "/hooks/it"]
        assert {(call["kind"], call["instanceSid"]) for call in calls} == {("instance.paused", finn.sid)}
        club.api.call("DELETE", "/webhook")

    def test_every_dialect_does_its_work_under_its_own_role(self, club: Club) -> None:
        processes, orders, workflows = spoken(club.api)
        values = {"memberId": "eve", "email": "eve@example.test", "monthlyFee": 29.5}
        window = {"quartzDef": "0 6 6 ? * FRI", "startDate": "2040-01-01 00:00:00", "runOnce": "N"}
        sid = processes("POST", "/start", {"name": "gym-membership", "values": values, **window})[
            "robustaSpid"
        ]
        listed = club.api.call("GET", "/execution-strategy")["items"]
        strategy = next(one["sid"] for one in listed if one["name"] == "gym-membership")
        workflow = f"/definitions/{strategy}/workflows/{sid}"

        workflows("PATCH", workflow, {"status": "suspend"})
        seen = orders("POST", "/order", {"orderId": sid})["state"]["_text"]
        orders("POST", "/orders/resume", {"orderIds": [sid]})
        runnable = workflows("GET", f"/definitions/{strategy}/workflows?status=Runnable")
        orders("POST", "/orders/cancel", {"orderIds": [sid], "auditLog": {"comment": "moved away"}})

        assert seen == "SUSPENDED"
        assert sid in [one["workflowId"] for one in runnable]
        assert workflows("GET", f"{workflow}?includeLogs=true")["status"] == "Terminated"
        assert processes("GET", f"/status/{sid}")["message"] == "Process cancelled"

    def test_a_definition_is_made_tried_and_deleted(self, club: Club) -> None:
        _, orders, workflows = spoken(club.api)
        step = {"id": "pause", "stepType": "Wait", "inputs": {"duration": "1.00:00:00"}}
        definition = {"trigger": "http_request", "definition": {"name": "Pause", "steps": [step]}}
        made = workflows("POST", "/definitions", definition)["id"]
        sid = workflows("POST", f"/definitions/{made}/workflows", {"n": 1})["workflowId"]
        asleep = lambda: orders("POST", "/order", {"orderId": sid})["state"].get("_reason") == "SLEEPING"  # noqa: E731 - a condition
        seconds_until(asleep, 60, lambda: orders("POST", "/order", {"orderId": sid}))

        workflows("DELETE", f"/definitions/{made}")

        assert club.api.call("GET", f"/execution-instance/{sid}")["status"] == "CANCELED"

    def test_a_role_without_a_permission_stops_what_needs_it(self, club: Club) -> None:
        body = {**example("gym-membership", club.downstream), "name": "gym-not-kept"}
        with (
            club.deployment.without("CoreApi", "kms:GenerateDataKey"),
            pytest.raises(RefusedError, match="500"),
        ):
            club.api.call("POST", "/execution-strategy", body)

        assert club.api.call("POST", "/execution-strategy", body)["version"] == 1

    def test_history_and_ledger_agree_and_nothing_else_was_denied(self, club: Club) -> None:
        club.await_end(club.ann, "charge-fee", seconds=60)
        club.await_end(club.ben, "send-reminder", seconds=A_RING)
        club.await_end(club.cleo, "charge-fee", seconds=A_RING)

        listed = club.api.call("GET", "/execution-instance?limit=100")["items"]
        # What was not sent for want of a secret is in the history, and no service has received it.
        sids = [one["sid"] for one in listed if not club.was_denied(one["sid"])]
        assert {club.ann.sid, club.ben.sid, club.cleo.sid} < set(sids)
        assert contradictions(club.deployment.history, sids, club.ledger()) == []
        assert club.deployment.unforeseen_denials() == []


class TestTokens:
    """The API for tokens has an authorizer, which takes tokens of the identity provider and nothing else."""

    OPERATOR: Mapping[str, Any] = {
        "sub": "u-1",
        "custom:account": "dev",
        "cognito:groups": ["staff", "ritornello-operator"],
    }
    VIEWER: Mapping[str, Any] = {**OPERATOR, "cognito:groups": ["ritornello-viewer"]}

    @staticmethod
    def status(club: Club, token: str, method: str = "GET", path: str = "/queue") -> int:
        return status(club.deployment.token_api, method, path, Authorization=f"Bearer {token}")

    def test_a_token_has_its_role(self, club: Club) -> None:
        viewer, operator = club.provider.token(**self.VIEWER), club.provider.token(**self.OPERATOR)

        assert self.status(club, viewer) == HTTPStatus.OK
        assert self.status(club, viewer, "POST") == HTTPStatus.FORBIDDEN
        assert self.status(club, operator, "POST") == HTTPStatus.OK
        assert self.status(club, operator, "GET", "/access-key") == HTTPStatus.FORBIDDEN

    def test_a_token_opens_its_account_only(self, club: Club) -> None:
        path = f"/execution-instance/{club.ann.sid}"
        token = club.provider.token(**self.VIEWER)
        api = replace(club.api, url=club.deployment.token_api.url)

        assert replace(api, key=token).call("GET", path)["sid"] == club.ann.sid
        foreign = club.provider.token(**{**self.VIEWER, "custom:account": "acme"})
        with pytest.raises(RefusedError, match="404"):
            replace(api, key=foreign).call("GET", path)

    def test_the_audit_names_the_subject(self, club: Club) -> None:
        ida = joined(club.api, "ida", start=datetime.now(UTC) + A_WEEK_AND_A_DAY)
        token = club.provider.token(**self.OPERATOR)
        api = replace(club.api, url=club.deployment.token_api.url, key=token)

        api.call("POST", f"/execution-instance/{ida.sid}/pause")

        entries = club.api.call("GET", f"/audit?target={ida.sid}")["items"]
        assert (entries[0]["command"], entries[0]["by"]) == ("pause", "token:u-1")

    def test_the_8x8_dialect_has_the_tokens_account(self, club: Club) -> None:
        token = club.provider.token(**self.VIEWER)

        assert self.status(club, token, "GET", "/api/v1/accounts/dev/definitions") == HTTPStatus.OK
        assert self.status(club, token, "GET", "/api/v1/accounts/acme/definitions") == HTTPStatus.FORBIDDEN
        assert self.status(club, token, "POST", "/api/v1/accounts/dev/definitions") == HTTPStatus.FORBIDDEN

    def test_a_token_that_cannot_be_verified_is_refused(self, club: Club) -> None:
        right, token = club.provider.token(**self.VIEWER), club.provider.token
        header, payload, signature = right.split(".")
        _, admins, _ = token(**{**self.VIEWER, "cognito:groups": ["ritornello-admin"]}).split(".")
        refused = {
            "audience": token(**self.VIEWER, aud="another"),
            "issuer": token(**self.VIEWER, iss="http://127.0.0.1:1"),
            "expired": token(**self.VIEWER, exp=int(time.time()) - 60),
            "forged": token(**self.VIEWER, forged=True),
            "altered": f"{header}.{admins}.{signature}",
            "unsigned": f"{header}.{payload}.",
            "key": KEY,
            "empty": "",
        }

        assert self.status(club, right) == HTTPStatus.OK
        answers = {why: self.status(club, one) for why, one in refused.items()}
        assert answers == dict.fromkeys(refused, HTTPStatus.UNAUTHORIZED)
        assert status(club.deployment.token_api, "GET", "/queue") == HTTPStatus.UNAUTHORIZED

    def test_a_token_that_names_no_caller_is_refused_with_the_reason(self, club: Club) -> None:
        token = club.provider.token(**{**self.VIEWER, "cognito:groups": ["staff"]})

        with pytest.raises(RefusedError, match="401") as refused:
            replace(club.deployment.token_api, key=token).call("GET", "/queue")

        assert "'cognito:groups' with one of ritornello-admin" in str(refused.value)

    def test_no_operation_is_open_without_a_token(self, club: Club) -> None:
        for method, path in [*OPERATIONS["CoreApi"], *OPERATIONS["AutomationApi"]]:
            assert status(club.deployment.token_api, method, path) == HTTPStatus.UNAUTHORIZED, path

    def test_the_first_api_takes_no_token(self, club: Club) -> None:
        token = f"Bearer {club.provider.token(**self.VIEWER)}"

        for path in ("/queue", "/api/v1/accounts/dev/definitions"):
            assert status(club.api, "GET", path, Authorization=token) == HTTPStatus.UNAUTHORIZED

    def test_the_other_dialects_are_not_there(self, club: Club) -> None:
        token = club.provider.token(**self.OPERATOR)

        for path in ("/scheduler/connector-api/process/list", "/joc/api/orders", "/process/x", "/orders/x"):
            assert self.status(club, token, "POST", path) == HTTPStatus.NOT_FOUND


def restored_tables(deployment: Deployment) -> Restored:
    """Restore the tables as they are now, under other names. Return the result, with parameters to deploy with."""

    def waiting(_: float) -> None:
        time.sleep(0.2)

    client = deployment.client("dynamodb")
    # This engine ignores point-in-time recovery in templates.
    for table in astuple(deployment.tables):
        client.update_continuous_backups(
            TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
    restore = Restore(
        client=client, stores=deployment.stores, stage="e2e", suffix="-restored-1", sleep=waiting
    )
    while True:
        try:
            return restore.run()
        except RestoreError as error:
            # For this engine a table's only moment is the present second, which may end between two tables.
            if "can be restored to moments from" not in str(error):
                raise


@pytest.fixture(scope="module")
def restored(club: Club) -> tuple[Club, Member]:
    """Return the club on restored tables, and a member who joined before the restore."""
    club.await_end(club.ann, "charge-fee", seconds=60)
    gina = joined(club.api, "gina", start=datetime.now(UTC) + A_WEEK_AND_A_DAY)
    made = restored_tables(club.deployment)
    club.deployment.adopt(made.parameters)
    assert made.paused == ["dev"]
    return club, gina


class TestARestore:
    """The last tests of this module: tables restored under new names are adopted, and everything continues there."""

    def test_what_was_there_before_is_there_again(self, restored: tuple[Club, Member]) -> None:
        club, gina = restored

        assert club.deployment.tables.instances == "ritornello-e2e-instances-restored-1"
        assert club.api.call("GET", f"/execution-instance/{gina.sid}")["status"] == "ACTIVE"
        assert club.api.call("GET", f"/execution-instance/{club.ann.sid}")["cycle"] == 2

    def test_nothing_runs_before_the_queue_is_resumed(self, restored: tuple[Club, Member]) -> None:
        club, _ = restored
        assert club.api.call("GET", "/queue")["status"] == "paused"
        hugo = joined(club.api, "hugo", start=datetime.now(UTC) - A_WEEK_AND_A_DAY)

        def blocked_by() -> Any:
            return club.api.call("GET", f"/execution-instance/{hugo.sid}").get("heldBy")

        seconds_until(lambda: blocked_by() is not None, 30, blocked_by)
        assert club.calls(hugo) == []

        club.api.call("POST", "/queue")

        club.await_end(hugo, "send-welcome", "charge-fee", seconds=A_RING)
        assert club.calls(hugo) == ["welcome", "/4020/charges", "paid", "receipt"]

    def test_changes_are_published_from_the_adopted_streams(self, restored: tuple[Club, Member]) -> None:
        club, gina = restored
        club.api.call("POST", f"/execution-instance/{gina.sid}/pause")

        def kinds() -> list[str]:
            messages = [event["detail"] for event in club.subscription.receive().values()]
            return [message["kind"] for message in messages if message.get("instanceSid") == gina.sid]

        seconds_until(lambda: "instance.paused" in kinds(), 60, kinds)

    def test_the_tables_before_are_kept_and_not_written(self, restored: tuple[Club, Member]) -> None:
        club, gina = restored
        item = club.deployment.client("dynamodb").get_item(
            TableName="ritornello-e2e-instances", Key={"sid": {"S": gina.sid}}
        )["Item"]

        assert "PAUSED" not in str(item)
        assert club.deployment.unforeseen_denials() == []
