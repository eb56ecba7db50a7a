"""The reference of the automation dialect: valid examples, pages as they are built, lists for scripts."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from dev import automation_examples
from shared.api.automation.routes import ROUTES
from shared.api.reference.automation import EXAMPLES_FILE, REFUSALS, document, errors_of
from shared.api.reference.docs_page import docs_page
from tests.dialects.automation.client import Client, shape_of
from tests.programs import output_of

DOCUMENT = document()
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every JSON body of an operation, with its place."""
    held = {"request": operation.get("requestBody", {"content": {}}), **operation["responses"]}
    for place, body in held.items():
        for kind, content in body["content"].items():
            if kind == "application/json" and "example" in content:
                yield place, content


class TestExamples:
    """Every operation has examples of request and answer that match their schemas."""

    @pytest.mark.parametrize(
        ("place", "content"),
        [
            pytest.param(place, content, id=f"{name} {place}")
            for name, operation in OPERATIONS
            for place, content in bodies(operation)
        ],
    )
    def test_an_example_matches_its_schema(self, place: str, content: dict[str, Any]) -> None:
        found = shape_of(json.dumps(content["schema"])).iter_errors(content["example"])

        assert [f"{place}{error.instance_path}: {error.message}" for error in found] == []

    def test_examples_are_up_to_date(self) -> None:
        played = json.loads(json.dumps(automation_examples.examples()))

        assert json.loads(EXAMPLES_FILE.read_text()) == played, "make examples"

    def test_every_operation_has_an_example(self) -> None:
        assert list(json.loads(EXAMPLES_FILE.read_text())) == [route.operation.__name__ for route in ROUTES]

    def test_every_status_has_an_example(self) -> None:
        assert set(REFUSALS) == {status for route in ROUTES for status in errors_of(route)}

    def test_the_vendors_examples_are_in_the_document(self) -> None:
        assert REFUSALS[400]["content"]["application/json"]["example"] == {
            "code": 1000,
            "message": "Invalid definition id.",
            "errorId": "2558ff83-c8db-4890-805e-ad64001857a1",
            "timestamp": "2021-07-13T01:28:37.66Z",
        }
        assert REFUSALS[404]["content"]["application/json"]["example"] == {
            "code": 1300,
            "message": "Definition 2aa9465e-dec7-4c3e-8fa6-bd168af9eaca not found.",
            "errorId": "2558ff83-c8db-4890-805e-ad64001857a1",
            "timestamp": "2021-07-13T01:28:37.66Z",
        }


class TestPages:
    """The pages are served as they are built, without a key."""

    def test_the_document_is_served_without_a_key(self, automation: Client) -> None:
        assert automation("GET", "/automation/openapi.json", key=None) == (200, DOCUMENT)

    def test_the_html_page_is_served_without_a_key(self, automation: Client) -> None:
        assert automation("GET", "/automation/docs", key=None) == (200, docs_page(DOCUMENT))

    def test_a_cold_start_does_not_import_the_reference(self) -> None:
        program = (
            "import sys; import functions.automation_api.handler;"
            "print([name for name in sys.modules if name.startswith('shared.api')])"
        )
        printed = output_of([sys.executable, "-c", program])

        assert "shared.api.automation.routes" in printed
        for made in ("openapi", "docs_page", "reference"):
            assert made not in printed


class TestTimezones:
    """Time zones by Windows id, filtered by a part of id or name in any case."""

    def test_the_vendors_example_is_answered(self, automation: Client) -> None:
        assert automation("GET", "/steps/timezones?contains=europe")[1] == [
            {
                "id": "Central Europe Standard Time",
                "name": "Belgrade, Bratislava, Budapest, Ljubljana, Prague (UTC+01:00)",
            },
            {
                "id": "Central European Standard Time",
                "name": "Sarajevo, Skopje, Warsaw, Zagreb (UTC+01:00)",
            },
            {"id": "E. Europe Standard Time", "name": "Chisinau (UTC+02:00)"},
            {
                "id": "W. Europe Standard Time",
                "name": "Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna (UTC+01:00)",
            },
        ]

    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            ("?contains=SINGAPORE", ["Singapore Standard Time"]),
            ("?contains=berlin", ["W. Europe Standard Time"]),
            ("?contains=nowhere", []),
        ],
    )
    def test_a_part_of_id_or_name_filters_the_zones(
        self, automation: Client, query: str, ids: list[str]
    ) -> None:
        assert [zone["id"] for zone in automation("GET", f"/steps/timezones{query}")[1]] == ids

    def test_every_zone_is_answered_without_a_filter(self, automation: Client) -> None:
        _, found = automation("GET", "/steps/timezones")

        assert len(found) == 142
        assert [zone["id"] for zone in found] == sorted(zone["id"] for zone in found)

    def test_invalid_parameters_are_refused(self, automation: Client) -> None:
        found = automation.refusal("GET", f"/steps/timezones?contains={'x' * 101}")

        assert found == (400, 1000, "Invalid contains.")


class TestFunctions:
    """The documented functions with their parameters."""

    def test_the_vendors_example_is_answered(self, automation: Client) -> None:
        _, found = automation("GET", "/steps/functions")

        assert [one["name"] for one in found] == [
            "isCountryCode",
            "isDayOfWeek",
            "isTimeOfDayBetween",
            "stringContains",
            "uuid",
        ]
        assert found[1]["example"] == "isDayOfWeek('2021-05-25', 'Tuesday')"
        assert [
            (one["name"], one["type"], one["required"], one["default"]) for one in found[1]["parameters"]
        ] == [("timestamp", "string", True, None), ("day", "string", True, None)]
