"""Permissions, routes and errors of the automation dialect. Source: docs/design.md section 9;
docs/contracts/automation.md A.1, A.4.

The test fails if a route has no row here, or a row no route.
"""

import re
from typing import Any

import pytest
from msgspec import structs

from shared.api.automation.answers import Code
from shared.api.automation.routes import NOT_SERVED, ROUTES
from shared.api.http.pages import PAGES
from shared.api.reference.automation import document
from shared.application.commit import ContentionError
from shared.application.ports import ConnectionLostError, OverloadedError
from tests.dialects.automation.client import Client, definition, openapi, wait
from tests.dialects.wire import ROOT

DOC = (ROOT / "docs" / "api" / "automation.md").read_text()
CALLERS = ("no key", "wrong key", "viewer", "operator", "admin", "foreign admin")
KEYS = {
    "no key": None,
    "wrong key": "admin.wrong",
    "viewer": "viewer.secret",
    "operator": "operator.secret",
    "admin": "admin.secret",
    "foreign admin": "stranger.secret",
}
SENT = definition(wait("a"))

# {of} stands for the id of a definition, {one} for that of its workflow.
MATRIX: dict[str, tuple[str, Any]] = {
    "GET /definitions": ("401 401 200 200 200 403", None),
    "POST /definitions": ("401 401 403 403 201 403", SENT),
    "GET /definitions/{of}": ("401 401 200 200 200 403", None),
    "PUT /definitions/{of}": ("401 401 403 403 200 403", SENT),
    "DELETE /definitions/{of}": ("401 401 403 403 202 403", None),
    "GET /definitions/{of}/workflows": ("401 401 200 200 200 403", None),
    "POST /definitions/{of}/workflows": ("401 401 403 201 201 403", {}),
    "GET /definitions/{of}/workflows/{one}": ("401 401 200 200 200 403", None),
    "PATCH /definitions/{of}/workflows/{one}": ("401 401 403 200 200 403", {"status": "suspend"}),
    "GET /definitions/{of}/workflows/{one}/errors": ("401 401 200 200 200 403", None),
    "POST /triggers/http_request": ("401 401 403 200 200 403", {}),
    "GET /steps/timezones": ("401 401 200 200 200 403", None),
    "GET /steps/functions": ("401 401 200 200 200 403", None),
    "GET /automation/openapi.json": ("200 200 200 200 200 200", None),
    "GET /automation/docs": ("200 200 200 200 200 200", None),
}
CELLS = [
    pytest.param(target, caller, int(status), body, id=f"{target} by {caller}")
    for target, (statuses, body) in MATRIX.items()
    for caller, status in zip(CALLERS, statuses.split(), strict=True)
]
CODES = {401: Code.UNAUTHORIZED, 403: Code.FORBIDDEN}


@pytest.mark.parametrize(("target", "caller", "status", "body"), CELLS)
def test_a_route_answers_each_caller_as_the_matrix_says(
    automation: Client, target: str, caller: str, status: int, body: Any
) -> None:
    """The status is that of the matrix, and a refused request stores nothing."""
    of = automation.saved(wait("a"))
    one = automation.started(of)
    method, path = target.format(of=of, one=one).split()
    before = automation.stored()

    found, answer = automation(method, path, body, key=KEYS[caller])

    assert found == status
    if found >= 400:
        assert answer["code"] == CODES[found]
        assert automation.stored() == before


class TestPathsOfOtherAccounts:
    """The path of an account is closed to keys of other accounts."""

    @pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
    def test_a_path_of_another_account_is_forbidden(self, automation: Client, route: Any) -> None:
        of = automation.saved(wait("a"))
        path = route.path.replace("<account_id>", "a-2")
        path = path.replace("<definition_id>", of).replace("<workflow_id>", automation.started(of))

        assert automation.refusal(route.method, path, {}) == (403, 1201, "Access forbidden")


class TestRoutes:
    """Template, documents and OpenAPI have the same routes."""

    def test_every_route_has_its_row(self) -> None:
        rows = {re.sub(r"\{\w+\}", "", target) for target in MATRIX}
        base = "/api/v1/accounts/<account_id>"

        operations = {
            f"{route.method} {re.sub('<[a-z_]+>', '', route.path.removeprefix(base))}" for route in ROUTES
        }
        assert rows == operations | {f"GET {page.path}" for page in PAGES["automation"]}
        assert len(MATRIX) == len(ROUTES) + len(PAGES["automation"])

    def test_every_route_is_documented(self) -> None:
        decoded = set(re.findall(r"^### ([A-Z]+ /\S+)$", DOC, re.MULTILINE))

        paths = {f"{route.method} {route.path}" for route in ROUTES}
        paths |= {f"GET {page.path}" for page in PAGES["automation"]}
        assert decoded == {path.replace("<", "{").replace(">", "}") for path in paths}

    def test_the_openapi_document_has_every_route(self) -> None:
        listed = [(method, path) for path, methods in document()["paths"].items() for method in methods]

        assert len(listed) == len(ROUTES) + len(PAGES["automation"])
        assert document()["openapi"] == "3.1.0"

    def test_every_code_is_documented(self) -> None:
        for code in Code:
            assert re.search(rf"^\| \d{{3}} \| {int(code)} \|", DOC, re.MULTILINE), code


class TestResourcesNotServed:
    """The vendor's usage counters are 404 in the dialect's shape."""

    @pytest.mark.parametrize(("method", "path"), NOT_SERVED)
    def test_a_resource_without_data_is_not_found(self, automation: Client, method: str, path: str) -> None:
        found = automation.refusal(method, path.replace("<account_id>", "a-1"))

        assert found == (404, 1300, "Resource not found.")


class TestOurFailures:
    """A failure of ours is 500 with an id that the log has too. Contention and overload are 429."""

    def test_a_failure_of_ours_reveals_nothing_but_its_id(
        self, automation: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        of = automation.saved(wait("a"))
        automation.ports.instances.instances = None  # type: ignore[assignment]

        status, answer = automation("GET", f"/definitions/{of}/workflows")

        assert (status, answer["code"], answer["message"]) == (500, 2000, "Internal Error")
        assert [record.__dict__["errorId"] for record in caplog.records] == [answer["errorId"]]

    @pytest.mark.parametrize(
        ("error", "expected", "message"),
        [
            (
                ContentionError("inside"),
                429,
                "Too many concurrent changes; nothing was changed, retry later.",
            ),
            (OverloadedError("inside"), 429, "Too many requests; retry later."),
            (
                ConnectionLostError("inside"),
                503,
                "The database gave no answer; the request may have taken effect. Repeat it.",
            ),
        ],
    )
    def test_contention_overload_and_silence_ask_for_a_repetition(
        self,
        automation: Client,
        monkeypatch: pytest.MonkeyPatch,
        error: Exception,
        expected: int,
        message: str,
    ) -> None:
        def refused(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr(type(automation.ports.strategies), "of_account", refused)

        assert automation.refusal("GET", "/definitions") == (expected, 2000, message)

    def test_answers_must_not_be_cached(self, automation: Client) -> None:
        of = automation.saved(wait("a"))
        for method, path in (
            ("GET", "/definitions"),
            ("DELETE", f"/definitions/{of}"),
            ("GET", "/definitions/x"),
        ):
            automation(method, path)
            assert automation.headers["Cache-Control"] == "no-store"

    def test_a_comment_that_is_too_long_is_refused(self, automation: Client) -> None:
        of = automation.saved(wait("a"))
        one = automation.started(of)

        found = automation.refusal(
            "PATCH",
            f"/definitions/{of}/workflows/{one}",
            {"status": "suspend"},
            more={"audit-comment": "x" * 1001},
        )

        assert found == (400, 1000, "Audit-Comment must have at most 1000 characters.")


class TestConcurrentVersions:
    """If other versions are saved meanwhile, a version comes after them; endless contention is an error."""

    def test_a_version_is_saved_after_concurrent_ones(
        self, automation: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        of = automation.saved(wait("a"))
        self.disturb(automation, monkeypatch, of, times=1)

        _, answer = automation("PUT", f"/definitions/{of}", SENT)

        assert answer["version"] == 3

    def test_endless_contention_is_429(self, automation: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        of = automation.saved(wait("a"))
        # More often than a request tries again.
        self.disturb(automation, monkeypatch, of, times=1000)

        status, answer = automation("PUT", f"/definitions/{of}", SENT)

        assert (status, answer["code"]) == (429, 2000)

    @staticmethod
    def disturb(client: Client, monkeypatch: pytest.MonkeyPatch, of: str, *, times: int) -> None:
        """Make other requests save a version first, this many times."""
        stores, left = type(client.ports.strategies), [times]
        replace = stores.replace

        def late(store: Any, head: Any, settings: Any, **more: Any) -> None:
            if left[0] and head.name == of:
                left[0] -= 1
                replace(store, structs.replace(head, description="theirs"), settings, **more)
            replace(store, head, settings, **more)

        monkeypatch.setattr(stores, "replace", late)


def test_the_document_is_made_once() -> None:
    assert openapi() is openapi()
