"""The reference of the process dialect, compared with routes and answers. Source: docs/decisions/0023."""

import json
import re
import sys
from typing import Any

import pytest

from shared.api.http.pages import PAGES
from shared.api.http.route import Route
from shared.api.process.render import MESSAGES as SENTENCES
from shared.api.process.render import SEEN
from shared.api.process.routes import ROUTES
from shared.api.process.schemas import FIELDS
from shared.api.reference.docs_page import docs_page
from shared.api.reference.process import EXAMPLES, INPUTS, STARTS, errors_of
from tests.dialects.process.client import BASE, ProcessClient, openapi, shape_of
from tests.dialects.wire import ROOT
from tests.programs import output_of

DOC = (ROOT / "docs" / "api" / "process.md").read_text()


def braced(route: Route) -> str:
    return re.sub(r"<(\w+)>", r"{\1}", route.path)


class TestRoutes:
    """Template, documents and OpenAPI have the same routes."""

    def test_every_route_is_documented(self) -> None:
        decoded = set(re.findall(r"^### ([A-Z]+ /\S+)$", DOC, re.MULTILINE))

        assert decoded == {f"{route.method} {braced(route)}" for route in ROUTES} | {
            f"GET {page.path}" for page in PAGES["process"]
        }

    def test_the_openapi_document_has_every_route(self) -> None:
        listed = {
            (method.upper(), path) for path, methods in openapi()["paths"].items() for method in methods
        }

        assert listed == {(route.method, braced(route)) for route in ROUTES} | {
            ("GET", page.path) for page in PAGES["process"]
        }
        names = [one["operationId"] for methods in openapi()["paths"].values() for one in methods.values()]
        assert len(names) == len(set(names))

    def test_every_status_is_documented(self) -> None:
        for status in {200}.union(*(errors_of(route) for route in ROUTES)):
            assert f"| {int(status)} |" in DOC

    def test_every_sentence_is_documented(self) -> None:
        for phase, sentence in SENTENCES.items():
            assert f"| `{phase}` | {SEEN[phase] or 'the last run'} | {sentence} |" in DOC

    def test_every_field_is_documented(self) -> None:
        assert set(INPUTS["StartProcess"]["properties"]) == set(FIELDS)
        for name in FIELDS:
            assert f"| `{name}` |" in DOC


class TestPageExample:
    """The requests of the page work, and have its answers. tests/e2e/test_process.py sends them too."""

    def test_the_example_of_the_page_works(self, process: ProcessClient) -> None:
        strategy, now, fridays = (json.loads(text) for text in re.findall(r"-d '\n(.*?)'\n", DOC, re.DOTALL))
        process.core.saved(strategy)

        sid = process.start(**now).sid
        process.run(sid)
        weekly = process.start(**fridays).sid

        assert json.dumps(process.status(sid), separators=(",", ":")) in DOC
        assert process.robots.sent == [{"worker": "7", "text": "Ann"}]
        assert process.dates(weekly, 1) == ["2026-01-02T03:06:00"]


class TestExamples:
    """Every example matches its schema, and is sent and answered."""

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_an_example_matches_its_schema(self, name: str) -> None:
        shape = json.dumps({"$ref": f"#/components/schemas/{name}"})

        assert shape_of(shape).is_valid(EXAMPLES[name])

    @pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
    def test_an_example_of_an_error_matches_its_schema(self, route: Route) -> None:
        operation = openapi()["paths"][braced(route)][route.method.lower()]
        shape = shape_of(json.dumps({"$ref": "#/components/schemas/Error"}))

        for status in errors_of(route):
            content = operation["responses"][str(int(status))]["content"]["application/json"]
            assert shape.is_valid(content["example"])
            assert content["example"]["message"]

    @pytest.mark.parametrize(
        "body",
        [
            STARTS,
            {"name": "OneStepNotepadRunner"},
            {"name": "OneStepNotepadRunner", "runOnce": True, "runImmediately": None, "retryCount": 3},
            {"name": "OneStepNotepadRunner", "run immediately": "y", "timezone": "UTC", "worker": "7"},
            {"name": "OneStepNotepadRunner", "values": {"a": 1, "b": True, "c": "x"}},
            {"name": "OneStepNotepadRunner", "runOnce": "yes"},
            {"name": "OneStepNotepadRunner", "retryCount": -1},
            {"name": "OneStepNotepadRunner", "retryCount": True},
            {"name": "OneStepNotepadRunner", "startDate": "2026-01-01"},
            {"name": "OneStepNotepadRunner", "values": {"a": None}},
            {"name": "OneStepNotepadRunner", "values": []},
            {"name": "OneStepNotepadRunner", "other": 1},
            {"name": 1},
            {},
        ],
    )
    def test_a_body_that_matches_the_schema_is_accepted(self, process: ProcessClient, body: Any) -> None:
        shape = shape_of(json.dumps({"$ref": "#/components/schemas/StartProcess"}))

        assert (process("POST", f"{BASE}/start", body)[0] == 200) == shape.is_valid(body)


class TestPages:
    """The pages are served as they are built."""

    def test_the_document_is_served_without_a_key(self, process: ProcessClient) -> None:
        assert process("GET", "/process/openapi.json", key=None) == (200, openapi())

    def test_a_cold_start_does_not_import_the_reference(self) -> None:
        program = (
            "import sys; import functions.process_api.handler;"
            "print([name for name in sys.modules if name.startswith('shared.api')])"
        )
        printed = output_of([sys.executable, "-c", program])

        assert "shared.api.process.routes" in printed
        assert not re.search(r"openapi|docs_page|reference", printed)

    def test_the_html_page_is_served_without_a_key(self, process: ProcessClient) -> None:
        assert process("GET", "/process/docs", key=None) == (200, docs_page(openapi()))
        assert "Content-Security-Policy" in process.headers
