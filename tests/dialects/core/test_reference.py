"""The reference: valid examples, pages as they are built, nothing loaded from elsewhere.

Source: docs/decisions/0023.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dev import examples
from shared.api.core.routes import ROUTES
from shared.api.http.pages import text_of
from shared.api.reference.core import EXAMPLES_FILE, REFUSALS, document, errors_of
from shared.api.reference.docs_page import docs_page
from tests.dialects.core.client import Client, shape_of
from tests.dialects.wire import ROOT
from tests.programs import output_of

DOCUMENT = document()
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
MADE_FROM_ROUTES = {route.operation.__name__: route for route in ROUTES}


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every JSON body of an operation, with its place."""
    held = {"request": operation.get("requestBody", {"content": {}}), **operation["responses"]}
    for place, body in held.items():
        for kind, content in body["content"].items():
            if kind == "application/json":
                yield place, content


class TestExamples:
    """Every operation has examples of request and answer that match their schemas."""

    @pytest.mark.parametrize(
        ("place", "content"),
        [
            pytest.param(place, content, id=f"{name} {place}")
            for name, operation in OPERATIONS
            for place, content in bodies(operation)
            if operation["operationId"] in MADE_FROM_ROUTES
        ],
    )
    def test_an_example_matches_its_schema(self, place: str, content: dict[str, Any]) -> None:
        found = shape_of(json.dumps(content["schema"])).iter_errors(content["example"])

        assert [f"{place}{error.instance_path}: {error.message}" for error in found] == []

    @pytest.mark.parametrize(
        "parameter",
        [
            pytest.param(parameter, id=f"{name} {parameter['name']}")
            for name, operation in OPERATIONS
            for parameter in operation["parameters"]
            if "example" in parameter
        ],
    )
    def test_an_example_of_a_parameter_matches_its_schema(self, parameter: dict[str, Any]) -> None:
        assert shape_of(json.dumps(parameter["schema"])).is_valid(parameter["example"])

    def test_every_part_of_a_path_has_an_example(self) -> None:
        lacking = [
            (name, parameter["name"])
            for name, operation in OPERATIONS
            for parameter in operation["parameters"]
            if parameter["in"] == "path" and "example" not in parameter
        ]

        assert lacking == []

    @pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
    def test_an_example_of_an_error_has_its_own_status(self, route: Any) -> None:
        path = route.path.replace("<", "{").replace(">", "}")
        operation = dict(OPERATIONS)[f"{route.method} {path}"]

        for status in errors_of(route):
            expected = operation["responses"][str(status.value)]["content"]["application/json"]["example"]
            assert expected["statusCode"] == status
            assert expected["error"] == status.phrase
            assert expected["message"]

    def test_every_status_has_an_example(self) -> None:
        assert set(REFUSALS) == {status for route in ROUTES for status in errors_of(route)}

    def test_examples_are_up_to_date(self) -> None:
        assert json.loads(EXAMPLES_FILE.read_text()) == examples.examples(), "make examples"

    def test_every_operation_has_an_example(self) -> None:
        assert list(json.loads(EXAMPLES_FILE.read_text())) == [route.operation.__name__ for route in ROUTES]

    def test_an_invalid_example_would_be_noticed(self) -> None:
        schema = {"$ref": "#/components/schemas/CreateStrategy"}

        assert not shape_of(json.dumps(schema)).is_valid({"name": "n", "secret": "s" * 16, "settings": {}})


class TestPages:
    """The pages are served as they are built, without a key."""

    def test_the_document_is_served_without_a_key(self, client: Client) -> None:
        status, answer = client("GET", "/openapi.json", key=None, secret=None)

        assert (status, answer) == (200, DOCUMENT)
        assert client.headers["Content-Type"] == "application/json"

    def test_the_html_page_is_served_without_a_key(self, client: Client) -> None:
        status, answer = client("GET", "/docs", key=None, secret=None)

        assert (status, answer) == (200, docs_page(DOCUMENT))
        assert client.headers["Content-Type"] == "text/html; charset=utf-8"

    @pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
    def test_headers_of_a_page_forbid_loading_anything(self, client: Client, path: str) -> None:
        client("GET", path)

        assert client.headers["Content-Security-Policy"] == (
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"
            " frame-ancestors 'none'"
        )
        assert client.headers["X-Content-Type-Options"] == "nosniff"
        assert client.headers["Referrer-Policy"] == "no-referrer"
        assert client.headers["Cache-Control"] == "public, max-age=300"

    def test_a_built_page_is_read_from_the_handlers_folder(self, tmp_path: Path) -> None:
        (tmp_path / "docs.html").write_text("<p>built · ü</p>", encoding="utf-8")

        assert text_of("core", "docs.html", tmp_path) == "<p>built · ü</p>"

    def test_the_build_writes_what_is_served(self, tmp_path: Path) -> None:
        subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "dev.openapi", "core", str(tmp_path)], cwd=ROOT, check=True
        )

        assert json.loads(text_of("core", "openapi.json", tmp_path)) == DOCUMENT
        assert text_of("core", "docs.html", tmp_path) == docs_page(DOCUMENT)
        assert {path.name for path in tmp_path.iterdir()} == {"openapi.json", "docs.html"}

    def test_a_cold_start_does_not_import_the_reference(self) -> None:
        program = (
            "import sys; import functions.core_api.handler;"
            "print([name for name in sys.modules if name.startswith('shared.api')])"
        )
        printed = output_of([sys.executable, "-c", program])

        assert "shared.api.http.pages" in printed
        assert not re.search(r"openapi|docs_page|reference", printed)


class Reader(HTMLParser):
    """The tags and texts that a browser finds in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all_of(self, attribute: str) -> list[str]:
        return [attrs[attribute] or "" for _, attrs in self.tags if attribute in attrs]


PAGE = docs_page(DOCUMENT)
READ = Reader(PAGE)
TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "nav",
        "h1",
        "h2",
        "h3",
        "h4",
        "p",
        "pre",
        "span",
        "code",
        "a",
    ),
    *("ul", "li", "strong", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"),
}
ATTRIBUTES = {"lang", "charset", "name", "content", "id", "class", "href"}


class TestHtmlPage:
    """The page has every operation and every schema, and loads nothing."""

    def test_the_page_has_only_text_tables_and_links(self) -> None:
        assert {tag for tag, _ in READ.tags} <= TAGS
        assert {name for _, attrs in READ.tags for name in attrs} == ATTRIBUTES

    def test_the_page_loads_nothing(self) -> None:
        (style,) = re.findall(r"<style>(.*?)</style>", PAGE, re.DOTALL)

        assert not re.search(r"url\(|@import|expression\(", style)
        assert [link for link in READ.all_of("href") if not link.startswith("#")] == ["openapi.json"]

    def test_every_internal_link_has_its_target(self) -> None:
        places = READ.all_of("id")

        assert len(places) == len(set(places))
        assert {link[1:] for link in READ.all_of("href") if link.startswith("#")} <= set(places)

    @pytest.mark.parametrize(("name", "operation"), OPERATIONS, ids=[name for name, _ in OPERATIONS])
    def test_every_operation_is_on_the_page(self, name: str, operation: dict[str, Any]) -> None:
        method, path = name.split()
        section = PAGE.split(f'<h3 id="{operation["operationId"]}">')[1].split("<h3")[0]
        read = Reader(section).text

        for expected in (method, path, operation["summary"], *operation["responses"]):
            assert expected in read
        for parameter in operation["parameters"]:
            assert parameter["name"] in read
        for _, content in bodies(operation):
            if "example" in content:
                assert json.dumps(content["example"], indent=2, ensure_ascii=False) in read

    @pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
    def test_every_member_of_every_schema_is_on_the_page(self, name: str) -> None:
        read = Reader(PAGE.split(f'<h3 id="schema-{name}">')[1].split("<h3")[0]).text

        for member, of in DOCUMENT["components"]["schemas"][name].get("properties", {}).items():
            assert member in read
            assert of.get("description", "") in read

    def test_text_with_markup_is_escaped(self) -> None:
        evil = """<script>alert("1")</script><img src=x onerror='2'>&"""
        schema = {"type": "object", "description": evil, "properties": {evil: {"enum": [evil, evil]}}}
        wicked = {
            "info": {"title": evil, "version": evil, "description": evil},
            "paths": {
                f"/{evil}": {
                    "get": {
                        "operationId": evil,
                        "summary": evil,
                        "description": evil,
                        "parameters": [
                            {
                                "name": evil,
                                "in": "query",
                                "required": False,
                                "description": evil,
                                "schema": {"type": "string", "pattern": evil, "default": evil},
                                "example": evil,
                            }
                        ],
                        "requestBody": {
                            "required": False,
                            "content": {evil: {"schema": {"$ref": f"#/x/{evil}"}, "example": {evil: evil}}},
                        },
                        "responses": {evil: {"description": evil, "content": {}}},
                    }
                }
            },
            "components": {"schemas": {"A": schema}},
        }

        page = docs_page(wicked)

        assert {tag for tag, _ in Reader(page).tags} & {"script", "img"} == set()
        assert "<script" not in page
        assert "<img" not in page
        assert page.count("&lt;script&gt;") > 15


class TestTypes:
    """Types are described in words with their bounds. A null of an optional member is left out."""

    @pytest.mark.parametrize(
        ("schema", "expected"),
        [
            ({}, "any JSON value"),
            ({"type": ["string", "null"], "minLength": 1, "maxLength": 50}, "string (1..50 characters)"),
            ({"type": "integer", "minimum": 0, "maximum": 59}, "integer (0..59)"),
            ({"enum": ["last", "all", None]}, "last or all"),
            ({"const": 5}, "5"),
            ({"anyOf": [{"$ref": "#/components/schemas/A"}, {"type": "null"}]}, "A"),
            ({"type": "array", "items": {"type": "string"}, "maxItems": 25}, "list of string (..25 entries)"),
            ({"type": "object", "additionalProperties": {"type": "string"}}, "object of string"),
            ({"type": "object", "additionalProperties": False}, "object"),
            ({"type": "string", "format": "date-time"}, "string (date-time)"),
            ({"type": ["object", "string", "null"]}, "object or string"),
        ],
    )
    def test_a_type_is_described_with_its_bounds(self, schema: dict[str, Any], expected: str) -> None:
        shape = {"properties": {"member": schema}}
        page = docs_page(
            {
                "info": {"title": "t", "version": "1", "description": "d"},
                "paths": {},
                "components": {"schemas": {"S": shape, "A": {}}},
            }
        )
        row = page.split('id="schema-S"')[1].split("<td>")[2].split("</td>")[0]

        assert Reader(row).text == expected

    def test_members_of_an_inner_object_follow_it(self) -> None:
        lists = {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "string"}}}}
        shape = {"properties": {"a": {"type": "object", "required": ["b"], "properties": {"b": lists}}}}
        page = docs_page(
            {
                "info": {"title": "t", "version": "1", "description": "d"},
                "paths": {},
                "components": {"schemas": {"S": shape}},
            }
        )

        assert re.findall(r"<tr><td><code>(.*?)</code>", page) == ["a", "a.b", "a.b[].c"]
        assert "required. " in page
