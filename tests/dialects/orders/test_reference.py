"""The reference of the orders dialect: valid examples, and every operation in its page."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.gateway import HttpRequest, event_of
from functions.orders_api.handler import lambda_handler
from shared.api.http.route import Route
from shared.api.orders.errors import Code
from shared.api.orders.routes import ROUTES as OPERATIONS
from shared.api.reference.docs_page import docs_page
from shared.api.reference.orders import EXAMPLES_FILE, statuses_of
from tests.dialects.orders.client import Joc, openapi, shape_of
from tests.dialects.orders.examples import played
from tests.dialects.wire import ROUTES, Context
from tests.programs import output_of

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "api" / "orders.md").read_text()
TESTS = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))


def test_examples_are_up_to_date(joc: Joc) -> None:
    """``python -m tests.dialects.orders.examples`` writes them."""
    assert played(joc) == json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))


def bodies() -> Iterator[Any]:
    """Yield every JSON body with its example and its schema."""
    for path, methods in openapi()["paths"].items():
        for operation in methods.values():
            held = {"request": operation.get("requestBody", {"content": {}}), **operation["responses"]}
            for place, body in held.items():
                content = body["content"].get("application/json", {})
                if "example" in content:
                    yield pytest.param(content, id=f"{path} {place}")


@pytest.mark.parametrize("content", list(bodies()))
def test_an_example_matches_its_schema(content: dict[str, Any]) -> None:
    found = shape_of(json.dumps(content["schema"])).iter_errors(content["example"])

    assert [f"{error.instance_path}: {error.message}" for error in found] == []


def test_every_operation_has_body_answer_and_errors() -> None:
    shown = {param.id for param in bodies()}

    for route in OPERATIONS:
        refused = {str(int(status)) for status in statuses_of(route)}
        taken = {"request"} if route.body is not None else set()
        assert {f"{route.path} {place}" for place in taken | {"200"} | refused} <= shown


def test_names_of_operations_are_unique() -> None:
    assert len({route.name for route in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.parametrize("route", OPERATIONS, ids=lambda route: route.name)
def test_every_operation_is_in_the_page(route: Route) -> None:
    assert f"### POST {route.path}\n" in PAGE


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
def test_every_code_is_in_the_page_and_in_a_test(code: Code) -> None:
    assert f"| `{code.code}` |" in PAGE
    assert f'"{code.code}"' in TESTS
    assert code.value[1] in TESTS


@pytest.mark.parametrize("status", sorted({status for route in OPERATIONS for status in statuses_of(route)}))
def test_every_status_is_in_the_page(status: int) -> None:
    assert f"| {status} |" in PAGE


@pytest.mark.parametrize("code", ["JOC-001", "JOC-401", "JOC-402", "JOC-406", "JOC-419", "433", "434"])
def test_codes_that_cannot_occur_are_documented_with_a_reason(code: str) -> None:
    assert re.search(rf"^\| `{code}` \| \w.{{20,}}", PAGE.split("cannot arise")[1], re.MULTILINE)


def test_the_page_can_be_drawn() -> None:
    page = docs_page(openapi())

    for route in OPERATIONS:
        assert route.path in page


def test_the_reference_is_served_without_a_session(joc: Joc) -> None:
    for path in ("/orders/openapi.json", "/orders/docs"):
        found = event_of(
            HttpRequest(method="GET", target=path, headers={}, body=b"", source="127.0.0.1"), ROUTES
        )
        assert found is not None
        assert lambda_handler(found[1], Context())["statusCode"] == 200  # type: ignore[arg-type]
    assert joc.tokens == {}


def test_a_cold_start_does_not_import_the_reference() -> None:
    program = (
        "import sys; import functions.orders_api.handler;"
        "print([name for name in sys.modules if name.startswith('shared.api')])"
    )
    printed = output_of([sys.executable, "-c", program])

    assert "shared.api.http.pages" in printed
    assert not re.search(r"openapi|docs_page|reference", printed)
