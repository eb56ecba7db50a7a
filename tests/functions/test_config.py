"""The settings of a deployment, and the template that sets them."""

from datetime import timedelta
from ipaddress import ip_network

import pytest

from shared.config import ConfigError, read_settings
from shared.domain.bulk.pace import Pace
from shared.domain.tokens import TokenRules
from tests.functions.environments import environment


class TestSettings:
    """Every setting is required, and all problems are reported at once."""

    def test_the_environment_of_the_template_is_valid(self) -> None:
        settings = read_settings(environment())

        assert (settings.stage, settings.environment) == ("test", "dev")
        assert settings.bulk_runner_arn.endswith(":function:ritornello-test-bulk-runner:live")
        assert settings.tables.instances == "ritornello-test-instances"
        assert settings.step_runner_arn.endswith(":function:ritornello-test-step-runner:live")
        assert settings.allowed_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))

    def test_every_missing_setting_is_named(self) -> None:
        with pytest.raises(ConfigError) as refused:
            read_settings({})

        assert "SETTINGS_KEY is not set" in str(refused.value)
        assert "INSTANCES_TABLE is not set" in str(refused.value)

    @pytest.mark.parametrize(("days", "horizon"), [("0", None), ("30", timedelta(days=30))])
    def test_a_horizon_is_in_days_and_0_is_none(self, days: str, horizon: timedelta | None) -> None:
        assert read_settings({**environment(), "HORIZON_DAYS": days}).horizon == horizon

    @pytest.mark.parametrize("days", ["-1", "x", "1.5", "3651", ""])
    def test_an_invalid_horizon_is_refused(self, days: str) -> None:
        with pytest.raises(ConfigError, match="HORIZON_DAYS"):
            read_settings({**environment(), "HORIZON_DAYS": days})

    @pytest.mark.parametrize(("number", "per_second"), [("0", 0), ("1", 1), ("400", 400), ("10000", 10_000)])
    def test_the_pace_is_in_instances_a_second_and_0_is_no_limit(self, number: str, per_second: int) -> None:
        settings = read_settings({**environment(), "BULK_PER_SECOND": number})
        assert settings.bulk_pace == Pace(per_second=per_second)

    def test_the_pace_of_the_template_is_the_default(self) -> None:
        assert read_settings(environment()).bulk_pace == Pace()
        without = {name: text for name, text in environment().items() if name != "BULK_PER_SECOND"}
        assert read_settings(without).bulk_pace == Pace()

    @pytest.mark.parametrize("number", ["-1", "x", "1.5", "10001", "", "٤٠٠"])
    def test_an_invalid_pace_is_refused(self, number: str) -> None:
        with pytest.raises(ConfigError) as refused:
            read_settings({**environment(), "BULK_PER_SECOND": number})
        assert str(refused.value) == f"BULK_PER_SECOND: {number!r} is not a whole number from 0 to 10000"

    @pytest.mark.parametrize(
        ("days", "kept"), [("0", None), ("90", timedelta(days=90)), ("36500", timedelta(36500))]
    )
    @pytest.mark.parametrize("what", ["records", "audit"])
    def test_a_retention_is_in_days_and_0_keeps_everything(
        self, what: str, days: str, kept: timedelta | None
    ) -> None:
        name = {"records": "RECORD_RETENTION_DAYS", "audit": "AUDIT_RETENTION_DAYS"}[what]
        retention = read_settings({**environment(), name: days}).retention
        other = {"records": "audit", "audit": "records"}[what]
        assert (getattr(retention, what), getattr(retention, other)) == (kept, None)

    @pytest.mark.parametrize("days", ["1", "89", "-90", "x", "90.5", "36501", "", "٩٠", "00"])
    @pytest.mark.parametrize("name", ["RECORD_RETENTION_DAYS", "AUDIT_RETENTION_DAYS"])
    def test_a_retention_of_less_than_ninety_days_is_refused(self, name: str, days: str) -> None:
        with pytest.raises(ConfigError) as refused:
            read_settings({**environment(), name: days})
        assert str(refused.value) == (
            f"{name}: {days!r} is neither 0, which keeps everything, nor a whole number from 90 to 36500"
        )

    def test_an_unknown_time_zone_is_refused(self) -> None:
        assert read_settings(environment()).connector_timezone == "UTC"
        assert (
            read_settings({**environment(), "CONNECTOR_TIMEZONE": "Europe/Istanbul"}).connector_timezone
            == "Europe/Istanbul"
        )
        with pytest.raises(ConfigError, match="CONNECTOR_TIMEZONE: 'Istanbul' is not a time zone"):
            read_settings({**environment(), "CONNECTOR_TIMEZONE": "Istanbul"})

    @pytest.mark.parametrize("name", ["JOC_ALLOW_UNSCOPED", "JOC_FORCE_COMMENTS"])
    def test_a_switch_is_true_or_false_and_false_by_default(self, name: str) -> None:
        def switch(text: str) -> bool:
            return bool(getattr(read_settings({**environment(), name: text}), name.lower()))

        assert [switch(text) for text in ("true", "false", "")] == [True, False, False]
        with pytest.raises(ConfigError, match=f"{name}: 'yes' is neither true nor false"):
            switch("yes")

    def test_the_claims_of_tokens_have_defaults(self) -> None:
        without = {name: text for name, text in environment().items() if not name.startswith("JWT_")}

        assert read_settings(without).tokens == read_settings(environment()).tokens == TokenRules()
        assert TokenRules() == TokenRules(account_claim="account", role_claim="role", role_prefix="")

    def test_other_claims_can_be_chosen(self) -> None:
        chosen = {
            "JWT_ACCOUNT_CLAIM": "custom:account",
            "JWT_ROLE_CLAIM": "https://acme.example/roles",
            "JWT_ROLE_PREFIX": "ritornello/",
        }

        assert read_settings({**environment(), **chosen}).tokens == TokenRules(
            account_claim="custom:account", role_claim="https://acme.example/roles", role_prefix="ritornello/"
        )

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("JWT_ACCOUNT_CLAIM", "", "'' is not the name of a claim"),
            ("JWT_ACCOUNT_CLAIM", "a b", "'a b' is not the name of a claim"),
            ("JWT_ROLE_CLAIM", "a" * 129, "is not the name of a claim"),
            ("JWT_ROLE_PREFIX", "our ", "'our ' is not up to 64 letters, digits"),
            ("JWT_ROLE_PREFIX", "our,", "'our,' is not up to 64 letters, digits"),
            ("JWT_ROLE_PREFIX", "p" * 65, "is not up to 64 letters, digits"),
        ],
    )
    def test_claims_that_no_token_can_have_are_refused(self, name: str, text: str, message: str) -> None:
        with pytest.raises(ConfigError, match=f"{name}: .*{message}"):
            read_settings({**environment(), name: text})

    def test_tracing_is_active_or_disabled(self) -> None:
        def tracing(mode: str) -> bool:
            return read_settings({**environment(), "TRACING": mode}).tracing

        assert [tracing(mode) for mode in ("Active", "Disabled", "")] == [True, False, False]
        with pytest.raises(ConfigError, match="TRACING: 'true' is neither Active nor Disabled"):
            tracing("true")

    @pytest.mark.parametrize(
        ("text", "services"),
        [
            ("other", set()),
            ("", set()),
            (",,,", set()),
            ("shop,,mail,", {"shop", "mail"}),
            ("shop", {"shop"}),
            ("shop, depot,other", {"shop", "depot"}),
            ("a,b,c,d", {"a", "b", "c", "d"}),
        ],
    )
    def test_metered_services_are_a_list_of_keys(self, text: str, services: set[str]) -> None:
        assert read_settings({**environment(), "METERED_SERVICES": text}).metered_services == services

    def test_more_metered_services_than_there_are_alarms_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="METERED_SERVICES: 'a,b,c,d,e' has more than 4 services"):
            read_settings({**environment(), "METERED_SERVICES": "a,b,c,d,e"})

    def test_an_invalid_network_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="ALLOWED_CIDRS"):
            read_settings({**environment(), "ALLOWED_CIDRS": "10.0.0.0/99"})
