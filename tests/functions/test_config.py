"""The settings of a deployment, and the template that sets them."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from dev.template import Template
from shared.config import ConfigError, read_settings

ROOT = Path(__file__).parents[2]
PARAMETERS = {
    "Stage": "test",
    "Environment": "dev",
    "SettingsKeyArn": "arn:key",
    "Pepper": "p" * 32,
    "AllowedCidrs": "10.0.0.0/8, fd00::/8",
}


def environment() -> dict[str, str]:
    """What the template sets for a function."""
    template = Template(ROOT / "template.yaml", PARAMETERS)
    return dict(next(iter(template.functions())).environment)


class TestSettings:
    """Every setting is needed; all that is wrong is told at once."""

    def test_what_the_template_sets_can_be_read(self) -> None:
        settings = read_settings(environment())

        assert settings.environment == "dev"
        assert settings.tables.instances == "ritornello-test-instances"
        assert settings.step_runner_arn.endswith(":function:ritornello-test-step-runner")
        assert settings.allowed_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))

    def test_every_missing_one_is_named(self) -> None:
        with pytest.raises(ConfigError) as refused:
            read_settings({})

        assert "PEPPER is not set" in str(refused.value)
        assert "INSTANCES_TABLE is not set" in str(refused.value)

    def test_a_network_that_is_none_is_told(self) -> None:
        with pytest.raises(ConfigError, match="ALLOWED_CIDRS"):
            read_settings({**environment(), "ALLOWED_CIDRS": "10.0.0.0/99"})


class TestTheTemplate:
    """Each function's handler exists, each handler has its function, and tables are those the adapters expect."""

    def test_functions_and_handlers_are_the_same(self) -> None:
        template = Template(ROOT / "template.yaml", PARAMETERS)
        named = {function.handler for function in template.functions()}
        found = {
            f"functions.{path.parent.name}.handler.lambda_handler"
            for path in ROOT.glob("functions/*/handler.py")
        }

        assert named == found

    def test_nothing_is_set_that_no_setting_reads(self) -> None:
        source = (ROOT / "shared" / "config.py").read_text()
        own = [name for name in environment() if not name.startswith("POWERTOOLS_")]

        assert [name for name in own if f'"{name}"' not in source] == []
