"""Authentication, authorization and failures. Source: docs/design.md section 9; docs/contracts/core.md section 1.3."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dev.memory.stores import MemoryAccess
from functions.core_api.handler import lambda_handler
from shared import __version__
from shared.api.core.errors import UNAVAILABLE
from shared.api.core.routes import ROUTES
from shared.api.http.pages import PAGES, Page
from shared.api.reference.core import REFUSALS, document
from shared.application.commit import ContentionError
from shared.application.ports import ConnectionLostError, OverloadedError
from shared.application.strategies import NewStrategy, create_strategy
from shared.domain.ids import AccountId
from shared.domain.strategy.flag import Flag
from tests.dialects.core.client import WATER, Client
from tests.dialects.wire import ROOT, Context

DOC = (ROOT / "docs" / "api" / "core.md").read_text()


ORDER = {"strategyId": "plain", "attributes": {"customerId": "c"}}


class Busy(MemoryAccess):
    """A store that is overloaded."""

    def __init__(self, error: type[Exception], behind: MemoryAccess) -> None:
        super().__init__(all_keys=behind.all_keys)
        self.error = error

    def queue_flag(self, account: AccountId) -> Flag:
        raise self.error(account)


class TestKeys:
    """If a request has no valid key it is 401, whatever is wrong with the key."""

    @pytest.mark.parametrize(
        "key", [None, "admin", "admin.", ".secret", "admin.wrong", "nobody.secret", "é.x"]
    )
    def test_a_wrong_or_missing_key_is_refused(self, client: Client, key: str | None) -> None:
        status, answer = client("GET", "/queue", key=key)

        assert (status, answer["message"]) == (401, ["a valid access key is required"])

    @pytest.mark.parametrize("header", ["Basic admin:secret", "Bearer", "admin.secret", ""])
    def test_a_key_is_sent_as_bearer(self, client: Client, header: str) -> None:
        assert client("GET", "/queue", key=None, more={"authorization": header})[0] == 401


class TestOrderOfChecks:
    """The gateway checks key, role, existence, secret, then the request."""

    def test_the_role_is_checked_before_existence(self, client: Client) -> None:
        assert client("POST", "/execution-instance/nothing/pause", key="viewer.secret")[0] == 403

    def test_existence_is_checked_before_the_secret(self, client: Client) -> None:
        assert client("GET", "/execution-instance/nothing", secret=None)[0] == 404

    def test_the_secret_is_checked_before_the_body(self, client: Client) -> None:
        sid = client.one()

        assert client("PATCH", f"/execution-instance/{sid}", raw=b"{", secret=None)[0] == 403

    def test_the_secret_of_a_strategy_named_in_a_body_is_checked(self, client: Client) -> None:
        client.saved()
        body = {"strategyId": WATER["name"], "attributes": {"x": []}}

        assert client("POST", "/execution-instance", body, secret="wrong-pass-phrase")[0] == 403

    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            (None, "the header Strategy-Secret is missing"),
            ("", "the header Strategy-Secret is missing"),
            ("%%%", "the header Strategy-Secret is not base64 of UTF-8 text"),
            ("/w==", "the header Strategy-Secret is not base64 of UTF-8 text"),
            ("d3Jvbmc=", "the header Strategy-Secret does not match the strategy"),
        ],
    )
    def test_an_error_says_whether_the_secret_is_missing_or_wrong(
        self, client: Client, header: str | None, expected: str
    ) -> None:
        sid = client.one()
        more = {} if header is None else {"strategy-secret": header}

        status, answer = client("GET", f"/execution-instance/{sid}", secret=None, more=more)

        assert (status, answer["message"]) == (403, [expected])


class TestAStrategyWithoutASecret:
    """A strategy that another dialect made has no secret, and needs none."""

    @pytest.mark.parametrize("secret", [None, "any pass-phrase there is"])
    def test_instances_without_secret_are_open_to_every_key_of_the_account(
        self, client: Client, secret: str | None
    ) -> None:
        new = NewStrategy(account_id=AccountId("a-1"), name="plain", settings=WATER["settings"])
        create_strategy(client.ports, client.hasher, new, environment="dev")

        _, made = client("POST", "/execution-instance", ORDER, secret=secret)
        status, _ = client("GET", f"/execution-instance/{made['executionInstance']['sid']}", secret=secret)

        assert status == 200
        assert client("POST", "/execution-instance", ORDER, key="stranger.secret")[0] == 404


class TestPathsAndFailures:
    """If no route matches, the answer is 404 in the dialect's shape. Failures of ours reveal nothing of the inside."""

    @pytest.mark.usefixtures("client")
    def test_an_unknown_path_is_404_in_the_dialects_shape(self) -> None:
        event: dict[str, Any] = {
            "version": "2.0",
            "rawPath": "/x",
            "requestContext": {
                "requestId": "r",
                "stage": "$default",
                "http": {"method": "GET", "path": "/x"},
            },
        }

        answer = lambda_handler(event, Context())  # type: ignore[arg-type]

        assert answer["statusCode"] == 404
        assert json.loads(answer["body"])["error"] == "Not Found"

    def test_a_failure_of_ours_reveals_nothing_but_its_id(
        self, client: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        sid = client.one()
        client.ports.instances.instances = None  # type: ignore[assignment]

        status, answer = client("GET", f"/execution-instance/{sid}")

        assert status == 500
        assert answer["message"] == ["internal error"]
        assert [record.__dict__["errorId"] for record in caplog.records] == [answer["errorId"]]

    @pytest.mark.parametrize(
        ("error", "expected", "message"),
        [
            (OverloadedError, 429, "too many requests; retry later"),
            (ContentionError, 429, "too many concurrent changes; nothing was changed, retry later"),
            (
                ConnectionLostError,
                503,
                UNAVAILABLE,
            ),
        ],
    )
    def test_contention_overload_and_silence_ask_for_a_repetition(
        self, client: Client, error: type[Exception], expected: int, message: str
    ) -> None:
        client.ports.access = Busy(error, client.ports.access)

        status, answer = client("GET", "/queue")

        assert (status, answer["message"]) == (expected, [message])

    def test_answers_must_not_be_cached(self, client: Client) -> None:
        assert client("GET", "/queue")[0] == 200
        assert client.headers["Cache-Control"] == "no-store"


class TestRoutes:
    """Template, documents and OpenAPI have the same routes."""

    @pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
    def test_every_route_is_documented(self, route: Any) -> None:
        path = re.sub(r"<(\w+)>", r"{\1}", route.path)

        assert f"### {route.method} {path}\n" in DOC

    @pytest.mark.parametrize("page", PAGES["core"], ids=lambda page: page.path)
    def test_every_page_is_documented(self, page: Page) -> None:
        assert f"### GET {page.path}\n" in DOC

    def test_no_unknown_route_is_documented(self) -> None:
        assert len(re.findall(r"^### [A-Z]+ /", DOC, re.MULTILINE)) == len(ROUTES) + len(PAGES["core"])

    def test_every_status_is_documented(self) -> None:
        for status in REFUSALS:
            assert f"| {int(status)} |" in DOC

    def test_the_openapi_document_has_every_route(self) -> None:
        listed = [(method, path) for path, methods in document()["paths"].items() for method in methods]

        assert len(listed) == len(ROUTES) + len(PAGES["core"])
        assert document()["openapi"] == "3.1.0"

    def test_the_version_is_the_projects(self) -> None:
        project = (Path(ROOT) / "pyproject.toml").read_text()

        assert f'version = "{__version__}"' in project
