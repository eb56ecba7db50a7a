"""The tables of the template, compared with those that the adapters expect."""

from typing import Any

import pytest

from dev.template import Template
from shared.adapters.dynamodb.tables import Tables, table_definitions
from tests.template.stack import PARAMETERS, RESOURCES, ROOT, TEMPLATE, of_type


class TestTables:
    """Tables have the keys that the stores expect, and are protected against loss."""

    def test_keys_and_indexes_are_those_of_the_stores(self) -> None:
        names = Tables(
            **{
                name: f"ritornello-test-{name}"
                for name in ("strategies", "instances", "events", "operations", "access", "audit")
            }
        )
        made = {table["TableName"]: canonical(table) for table in TEMPLATE.tables()}
        expected = {table["TableName"]: canonical(table) for table in table_definitions(names)}

        assert made == expected

    @pytest.mark.parametrize("name", of_type("AWS::DynamoDB::Table"))
    def test_every_table_can_be_restored_and_survives_the_stack(self, name: str) -> None:
        properties = RESOURCES[name]["Properties"]

        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert properties["SSESpecification"] == {"SSEEnabled": True}

    @pytest.mark.parametrize(
        "name",
        [
            name
            for kind in ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::S3::Bucket")
            for name in of_type(kind)
        ],
    )
    def test_what_holds_data_survives_the_stack_but_not_a_failed_first_deployment(self, name: str) -> None:
        """If a failed creation left resources, the next creation would fail, because the names are taken."""
        resource = RESOURCES[name]

        assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
        assert resource["UpdateReplacePolicy"] == "Retain"

    @pytest.mark.parametrize(("parameter", "protected"), [("false", False), ("true", True)])
    def test_tables_are_protected_once_the_deployer_says_so(
        self,
        parameter: str,
        protected: bool,  # noqa: FBT001 - a column
    ) -> None:
        template = Template(ROOT / "template.yaml", {**PARAMETERS, "DeletionProtection": parameter})
        tables = of_type("AWS::DynamoDB::Table").values()

        assert {template.resolve(table["DeletionProtectionEnabled"]) for table in tables} == {protected}
        assert TEMPLATE.document["Parameters"]["DeletionProtection"]["Default"] == "false"


def canonical(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table's definition without the order of its parts."""
    by_name = {attribute["AttributeName"]: attribute for attribute in table["AttributeDefinitions"]}
    indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}
    return {**table, "AttributeDefinitions": by_name, "GlobalSecondaryIndexes": indexes}
