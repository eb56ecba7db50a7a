"""A stack that adopts tables and a pepper instead of making them."""

import re

import pytest

from dev.template import Template
from tests.template.stack import (
    ADOPTED,
    LABEL,
    PARAMETERS,
    RESOURCES,
    ROOT,
    TEMPLATE,
    TEMPLATE_OF_ADOPTED,
    TOKENS,
    as_list,
    broken_rules,
    named,
    of_type,
    resources_of,
    statements,
    table_arn,
)


class TestAdoption:
    """A stack can use tables that exist, such as restored ones, instead of its own."""

    TEMPLATE = TEMPLATE_OF_ADOPTED

    def test_it_makes_no_tables_then(self) -> None:
        assert list(self.TEMPLATE.tables()) == []
        assert len(list(TEMPLATE.tables())) == len(of_type("AWS::DynamoDB::Table"))

    @pytest.mark.parametrize(
        "parameters", [PARAMETERS, ADOPTED, {**PARAMETERS, **TOKENS}], ids=["own", "adopted", "tokens"]
    )
    def test_every_reference_leads_to_something_that_is_made(self, parameters: dict[str, str]) -> None:
        template = Template(ROOT / "template.yaml", parameters)
        document = template.document
        made = {n for n, r in document["Resources"].items() if template.holds(r.get("Condition"))}
        outputs = [o for o in document["Outputs"].values() if template.holds(o.get("Condition"))]
        parts = [document["Globals"], *outputs]
        parts += [document["Resources"][name]["Properties"] for name in made]
        names = {name.removesuffix(".Alias") for part in parts for name in named(part, template)}

        known = made | set(document["Parameters"])
        assert {name for name in names if not name.startswith("AWS::")} - known == set()

    def test_functions_read_and_write_the_adopted_tables(self) -> None:
        for function in self.TEMPLATE.functions():
            for name in ("strategies", "instances", "events", "operations", "access", "audit"):
                table = function.environment[f"{name.upper()}_TABLE"]
                assert table == f"ritornello-test-{name}-restored-1"

    def test_the_roles_name_the_adopted_tables_only(self) -> None:
        arns = {arn for _, s in statements() for arn in resources_of(s, self.TEMPLATE) if ":dynamodb:" in arn}

        assert {re.sub(r"/(index|stream)/.*", "", arn) for arn in arns} == {
            f"{table_arn(name)}-restored-1"
            for name in ("strategies", "instances", "events", "operations", "access", "audit")
        }

    def test_the_publisher_follows_the_adopted_streams(self) -> None:
        sources = {
            self.TEMPLATE.resolve(mapping["EventSourceArn"])
            for name, mapping in of_type("AWS::Lambda::EventSourceMapping").items()
            if name not in ("WebhookDeliveries", "EventsExpiry")
        }
        read = next(
            s
            for owner, s in statements()
            if owner == "Publisher" and "dynamodb:GetRecords" in as_list(s["Action"])
        )

        assert sources == {
            f"{table_arn(name)}-restored-1/stream/{LABEL}"
            for name in ("instances", "strategies", "operations")
        }
        assert set(resources_of(read, self.TEMPLATE)) == sources

    def test_the_expirer_follows_the_adopted_stream(self) -> None:
        source = self.TEMPLATE.resolve(RESOURCES["EventsExpiry"]["Properties"]["EventSourceArn"])
        (read,) = (
            s
            for owner, s in statements()
            if owner == "Expirer" and "dynamodb:GetRecords" in as_list(s["Action"])
        )

        assert source == f"{table_arn('events')}-restored-1/stream/{LABEL}"
        assert resources_of(read, self.TEMPLATE) == [source]

    @pytest.mark.parametrize(
        ("changed", "rule"),
        [
            ({"AdoptTables": "false"}, "TablesThatAreMadeHaveNoSuffix"),
            ({"InstancesStream": ""}, "AdoptedTablesHaveStreams"),
            ({"StrategiesStream": ""}, "AdoptedTablesHaveStreams"),
            ({"OperationsStream": ""}, "AdoptedTablesHaveStreams"),
            ({"EventsStream": ""}, "AdoptedTablesHaveStreams"),
        ],
    )
    def test_half_an_adoption_is_refused_before_anything_changes(
        self, changed: dict[str, str], rule: str
    ) -> None:
        """A suffix alone would replace the tables by empty ones."""
        assert broken_rules(ADOPTED) == broken_rules(PARAMETERS) == []
        assert broken_rules({**ADOPTED, **changed}) == [rule]
