"""The settings of a deployment, and the template that sets them."""

from datetime import timedelta
from ipaddress import ip_network

import pytest

from shared.config import ConfigError, read_settings
from tests.functions.environments import environment


class TestSettings:
    """Every setting is needed; all that is wrong is told at once."""

    def test_what_the_template_sets_can_be_read(self) -> None:
        settings = read_settings(environment())

        assert (settings.stage, settings.environment) == ("test", "dev")
        assert settings.bulk_runner_arn.endswith(":function:ritornello-test-bulk-runner")
        assert settings.tables.instances == "ritornello-test-instances"
        assert settings.step_runner_arn.endswith(":function:ritornello-test-step-runner")
        assert settings.allowed_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))

    def test_every_missing_one_is_named(self) -> None:
        with pytest.raises(ConfigError) as refused:
            read_settings({})

        assert "PEPPER is not set" in str(refused.value)
        assert "INSTANCES_TABLE is not set" in str(refused.value)

    @pytest.mark.parametrize(("days", "horizon"), [("0", None), ("30", timedelta(days=30))])
    def test_a_horizon_is_in_days_and_0_is_none(self, days: str, horizon: timedelta | None) -> None:
        assert read_settings({**environment(), "HORIZON_DAYS": days}).horizon == horizon

    @pytest.mark.parametrize("days", ["-1", "x", "1.5", "3651", ""])
    def test_a_horizon_that_is_none_is_told(self, days: str) -> None:
        with pytest.raises(ConfigError, match="HORIZON_DAYS"):
            read_settings({**environment(), "HORIZON_DAYS": days})

    def test_a_zone_that_is_none_is_told(self) -> None:
        assert read_settings(environment()).connector_timezone == "UTC"
        assert (
            read_settings({**environment(), "CONNECTOR_TIMEZONE": "Europe/Istanbul"}).connector_timezone
            == "Europe/Istanbul"
        )
        with pytest.raises(ConfigError, match="CONNECTOR_TIMEZONE: 'Istanbul' is not a time zone"):
            read_settings({**environment(), "CONNECTOR_TIMEZONE": "Istanbul"})

    @pytest.mark.parametrize("name", ["JOC_ALLOW_UNSCOPED", "JOC_FORCE_COMMENTS"])
    def test_a_switch_is_true_or_false_and_false_where_nothing_is_said(self, name: str) -> None:
        def told(text: str) -> bool:
            return bool(getattr(read_settings({**environment(), name: text}), name.lower()))

        assert [told(text) for text in ("true", "false", "")] == [True, False, False]
        with pytest.raises(ConfigError, match=f"{name}: 'yes' is neither true nor false"):
            told("yes")

    def test_a_network_that_is_none_is_told(self) -> None:
        with pytest.raises(ConfigError, match="ALLOWED_CIDRS"):
            read_settings({**environment(), "ALLOWED_CIDRS": "10.0.0.0/99"})
