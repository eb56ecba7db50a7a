"""Tokens of an identity provider, as API Gateway passes them on. Source: docs/decisions/0053."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from dev.gateway import HttpRequest, event_of
from dev.template import Route
from tests.dialects.automation import client as automation_client
from tests.dialects.automation.client import Client as AutomationClient
from tests.dialects.automation.client import call, definition
from tests.dialects.core import client as core_client
from tests.dialects.core.client import WATER, Client
from tests.dialects.everybody import HANDLERS
from tests.dialects.paths import OPERATIONS
from tests.dialects.wire import ROUTES, TOKEN_ROUTES, Context, Reply

VIEWER = {"sub": "u-1", "account": "a-1", "role": "viewer"}
OPERATOR = {**VIEWER, "sub": "u-2", "role": "operator"}
ADMIN = {**VIEWER, "sub": "u-3", "role": "admin"}
KEY = {"authorization": "Bearer admin.secret"}
BASIC = {"authorization": f"Basic {base64.b64encode(b'viewer:secret').decode()}"}
SECRET = {"strategy-secret": base64.b64encode(WATER["secret"].encode()).decode()}
BASE = automation_client.BASE
OPEN = {"docs", "openapi.json"}
NO_ACCOUNT = (
    "the token needs a claim 'account' with one account id: 1 to 100 letters, digits and . _ : @ / | -"
)
NO_ROLE = "the token needs a claim 'role' with one of admin, operator, viewer"


def core(claims: Mapping[str, str] | None, method: str, path: str, body: Any = None, **more: Any) -> Reply:
    """Return the answer of the core dialect, after checking it against its document."""
    reply = core_client.WIRE.send(method, path, body, claims=claims, headers=more.get("headers", SECRET))
    core_client.WIRE.check(reply)
    return reply


def automation(claims: Mapping[str, str] | None, method: str, path: str, body: Any = None) -> Reply:
    """Return the answer of the automation dialect, after checking it against its document."""
    reply = automation_client.WIRE.send(method, path, body, claims=claims, headers={})
    automation_client.WIRE.check(reply)
    return reply


def sent(
    method: str,
    path: str,
    claims: Mapping[str, str],
    routes: list[Route],
    headers: Mapping[str, str] | None = None,
) -> tuple[str, int, Any]:
    """Return the function that a request leads to, and status and body of its answer."""
    request = HttpRequest(
        method=method, target=path, headers=headers or {}, body=b"", source="127.0.0.1", claims=claims
    )
    found = event_of(request, routes)
    assert found is not None
    answer = HANDLERS[found[0]](found[1], Context())
    return found[0], answer["statusCode"], json.loads(answer["body"])


@pytest.mark.usefixtures("client")
class TestCore:
    """A token has the permissions of its role in its account, as a key has."""

    def test_a_viewer_reads_and_does_not_command(self) -> None:
        assert core(VIEWER, "GET", "/queue").status == 200
        refused = core(VIEWER, "DELETE", "/queue")

        assert refused.status == 403
        assert refused.decoded["message"] == ["needs the role operator; the caller has viewer"]

    def test_an_admin_saves_a_strategy_and_an_operator_starts_instances(self) -> None:
        assert core(ADMIN, "POST", "/execution-strategy", WATER).status == 201
        body = {"strategyId": "water-filter-refill", "attributes": {"customerId": "c-1"}}

        assert core(OPERATOR, "POST", "/execution-instance", body).status == 201
        assert core(OPERATOR, "POST", "/execution-strategy", {**WATER, "name": "b"}).status == 403

    def test_another_account_is_not_found(self) -> None:
        saved = core(ADMIN, "POST", "/execution-strategy", WATER).decoded["sid"]

        assert core(ADMIN, "GET", f"/execution-strategy/{saved}").status == 200
        assert core({**ADMIN, "account": "a-2"}, "GET", f"/execution-strategy/{saved}").status == 404

    def test_the_strategys_secret_is_needed_as_with_a_key(self) -> None:
        saved = core(ADMIN, "POST", "/execution-strategy", WATER).decoded["sid"]

        assert core(ADMIN, "GET", f"/execution-strategy/{saved}", headers={}).status == 403

    def test_the_audit_names_the_subject(self, client: Client) -> None:
        client.saved()
        sid = client.started()["executionInstance"]["sid"]
        assert core(OPERATOR, "POST", f"/execution-instance/{sid}/pause").status == 200

        entry = core(VIEWER, "GET", f"/audit?target={sid}").decoded["items"][0]
        assert (entry["command"], entry["by"]) == ("pause", "token:u-2")

    def test_what_a_token_creates_names_the_subject(self) -> None:
        made = core(ADMIN, "POST", "/access-key", {"role": "viewer"}).decoded
        (listed,) = [
            key for key in core(ADMIN, "GET", "/access-key").decoded["items"] if key["keyId"] == made["keyId"]
        ]
        core(ADMIN, "POST", "/execution-strategy", WATER)
        body = {"strategyId": "water-filter-refill", "attributes": {"customerId": "c-1"}}
        sid = core(OPERATOR, "POST", "/execution-instance", body).decoded["executionInstance"]["sid"]

        assert listed["createdBy"] == "token:u-3"
        assert core(VIEWER, "GET", f"/execution-instance/{sid}").decoded["createdBy"] == "token:u-2"

    @pytest.mark.parametrize(
        ("claims", "why"),
        [
            ({}, "the token needs a claim 'sub' of 1 to 255 ASCII characters without spaces"),
            (
                {"sub": "u-1", "role": "admin"},
                NO_ACCOUNT,
            ),
            ({"sub": "u-1", "account": "a-1"}, NO_ROLE),
            ({**VIEWER, "role": "boss"}, NO_ROLE),
        ],
    )
    def test_a_token_that_names_no_caller_is_401_and_says_why(self, claims: dict[str, str], why: str) -> None:
        reply = core(claims, "GET", "/queue")

        assert (reply.status, reply.decoded["message"]) == (401, [why])

    def test_a_right_key_does_not_stand_in_for_a_wrong_token(self) -> None:
        assert core({**VIEWER, "role": "boss"}, "GET", "/queue", headers=KEY).status == 401
        assert core({}, "GET", "/queue", headers=KEY).status == 401

    def test_a_token_counts_and_not_a_key_beside_it(self) -> None:
        assert core(VIEWER, "DELETE", "/queue", headers=KEY).status == 403

    def test_paths_of_the_other_dialects_are_not_found(self) -> None:
        for target in (
            "/scheduler/connector-api/process",
            "/process/x",
            "/joc/api/orders",
            "/orders/add",
            "/x",
        ):
            function, status, body = sent("GET", target, ADMIN, TOKEN_ROUTES)
            assert (function, status, body["message"]) == ("CoreApi", 404, ["path not found"])


MISPLACED_CLAIMS: list[dict[str, str]] = [
    {"x-amzn-oidc-data": "{}", "x-jwt-claims": '{"sub":"u-3","account":"a-1","role":"admin"}'},
    {"requestcontext": '{"authorizer":{"jwt":{"claims":{"sub":"u-3"}}}}', "sub": "u-3", "account": "a-1"},
    # A token that nobody has verified: {"alg":"none"} and the claims of an administrator.
    {
        "authorization": "Bearer eyJhbGciOiJub25lIn0."
        + base64.urlsafe_b64encode(b'{"sub":"u-3","account":"a-1","role":"admin"}').decode()
        + "."
    },
]


@pytest.mark.usefixtures("client")
class TestWhatClientsSend:
    """Only API Gateway writes claims. Claims that a client sends are never believed."""

    @pytest.mark.parametrize("headers", MISPLACED_CLAIMS)
    def test_claims_in_a_header_are_not_believed(self, headers: dict[str, str]) -> None:
        reply = core(None, "GET", "/queue", headers=headers)

        assert (reply.status, reply.decoded["message"]) == (401, ["a valid access key is required"])

    def test_claims_in_a_body_are_not_believed(self) -> None:
        body = {"requestContext": {"authorizer": {"jwt": {"claims": ADMIN}}}, "claims": ADMIN}

        assert core(None, "POST", "/execution-strategy", {**WATER, **body}, headers={}).status == 401

    def test_claims_in_a_query_are_not_believed(self) -> None:
        assert core(None, "GET", "/audit?sub=u-3&account=a-1&role=admin", headers={}).status == 401

    @pytest.mark.parametrize("function", ["ProcessApi", "OrdersApi"])
    def test_the_other_dialects_ignore_claims(self, function: str) -> None:
        """No authorizer is in front of them. If there were one, its tokens would open nothing."""
        closed = [place for place in OPERATIONS[function] if place[1].rpartition("/")[2] not in OPEN]
        assert len(closed) > 3
        for method, path in closed:
            found, status, _ = sent(method, path.replace("{", "").replace("}", ""), ADMIN, ROUTES)
            assert (found, status) == (function, 401), path

    def test_keys_count_in_the_other_dialects(self) -> None:
        _, status, body = sent("POST", "/joc/api/authentication/login", ADMIN, ROUTES, headers=BASIC)

        assert (status, body["account"]) == (200, "viewer")


@pytest.mark.usefixtures("automation")
class TestAutomation:
    """The 8x8 dialect takes the account in the path from the token."""

    def test_a_token_has_its_role_in_its_account(self) -> None:
        saved = automation(ADMIN, "POST", f"{BASE}/definitions", definition(call("rest")))

        assert saved.status == 201
        assert automation(VIEWER, "GET", f"{BASE}/definitions/{saved.decoded['id']}").status == 200
        assert automation(VIEWER, "POST", f"{BASE}/definitions", definition(call("rest"))).status == 403

    def test_another_account_is_forbidden(self) -> None:
        reply = automation({**ADMIN, "account": "a-2"}, "GET", f"{BASE}/definitions")

        assert (reply.status, reply.decoded["code"]) == (403, 1201)

    def test_a_token_that_names_no_caller_is_401_with_the_dialects_code(self) -> None:
        reply = automation({"sub": "u-1", "account": "a-1"}, "GET", f"{BASE}/definitions")

        assert (reply.status, reply.decoded["code"]) == (401, 1200)
        assert reply.decoded["message"] == f"Unauthorized Access: {NO_ROLE}."

    def test_without_a_token_the_answer_is_the_vendors(self, automation: AutomationClient) -> None:
        status, code, message = automation.refusal("GET", "/definitions", key=None)

        assert (status, code, message) == (401, 1200, "Unauthorized Access")


class TestChosenClaims:
    """The deployment chooses the claims."""

    @pytest.mark.usefixtures("client")
    def test_the_claims_of_the_parameters_count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JWT_ACCOUNT_CLAIM", "custom:account")
        monkeypatch.setenv("JWT_ROLE_CLAIM", "cognito:groups")
        monkeypatch.setenv("JWT_ROLE_PREFIX", "ritornello-")
        claims = {
            "sub": "u-1",
            "custom:account": "a-1",
            "cognito:groups": "[staff ritornello-operator]",
            "role": "admin",
        }

        assert core(claims, "DELETE", "/queue").status in (200, 204)
        assert core(claims, "GET", "/access-key").status == 403
        assert core(ADMIN, "GET", "/queue").status == 401
