"""The template as the tests read it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dev.template import Template

ROOT = Path(__file__).parents[2]

PARAMETERS = {"Stage": "test", "Environment": "dev", "SettingsKeyArn": "arn:key"}

TEMPLATE = Template(ROOT / "template.yaml", PARAMETERS)

RESOURCES: dict[str, Any] = TEMPLATE.document["Resources"]

FUNCTIONS = {function.logical_id: function for function in TEMPLATE.functions()}

OPERATIONS = "\n".join((ROOT / "docs" / f"{name}.md").read_text() for name in ("deployment", "operations"))


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: r["Properties"] for name, r in RESOURCES.items() if r["Type"] == kind}


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every policy statement with the resource it belongs to."""
    for name, properties in of_type("AWS::Serverless::Function").items():
        assert properties["Policies"][0] == {"Ref": "FunctionsPolicy"}
        for policy in properties["Policies"][1:]:
            yield from ((name, statement) for statement in policy["Statement"])
    for name, properties in of_type("AWS::IAM::Role").items():
        for policy in properties["Policies"]:
            yield from ((name, statement) for statement in policy["PolicyDocument"]["Statement"])


def table_arn(name: str) -> str:
    return f"arn:aws:dynamodb:eu-central-1:123456789012:table/ritornello-test-{name}"


def resources_of(statement: Mapping[str, Any], template: Template = TEMPLATE) -> list[str]:
    """Return the ARNs of a statement, without those that a condition leaves out."""
    return [str(template.resolve(resource)) for resource in as_list(statement["Resource"])]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


TOKENS = {"JwtIssuer": "https://id.example.com", "JwtAudience": "ritornello,other"}

LABEL = "2026-11-29T06:00:00.000"

ADOPTED = {
    **PARAMETERS,
    "AdoptTables": "true",
    "TablesSuffix": "-restored-1",
    **{f"{name}Stream": LABEL for name in ("Instances", "Strategies", "Operations", "Events")},
}

TEMPLATE_OF_ADOPTED = Template(ROOT / "template.yaml", ADOPTED)


def named(value: Any, template: Template) -> Iterator[str]:
    """Yield the names that a part of the template refers to, without branches that a condition leaves out."""
    if isinstance(value, list):
        for part in value:
            yield from named(part, template)
    if not isinstance(value, dict):
        return
    for key, part in value.items():
        match key, part:
            case "Fn::If", [condition, then, otherwise]:
                yield from named(then if template.holds(condition) else otherwise, template)
            case "Fn::GetAtt", [name, _]:
                yield name
            case "Ref", str():
                yield part.removesuffix(".Stage")
            case "Fn::Sub", str():
                yield from (found.split(".")[0] for found in re.findall(r"\$\{([^}]+)\}", part))
            case _:
                yield from named(part, template)


def broken_rules(parameters: Mapping[str, str]) -> list[str]:
    """Return the rules of the template that these parameters break."""
    template = Template(ROOT / "template.yaml", parameters)
    return [
        name
        for name, rule in template.document["Rules"].items()
        if template.is_true(rule.get("RuleCondition", True))
        and not all(template.is_true(assertion["Assert"]) for assertion in rule["Assertions"])
    ]
