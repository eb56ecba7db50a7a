"""The deployment's settings, read from the environment once and frozen.

Source: template.yaml sets every one of them; docs/operations.md says what they do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network

from shared.domain.calendar.dates import zone_named
from shared.domain.errors import DateError

Network = IPv4Network | IPv6Network


MAX_HORIZON_DAYS = 3650


class ConfigError(Exception):
    """A setting is missing or cannot be read; the function must not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNames:
    """The names of the tables."""

    strategies: str
    instances: str
    events: str
    operations: str
    access: str
    audit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a deployment is set to.

    stage: which deployment in its AWS account this is.
    environment: which base URLs and authorizations of strategies hold.
    settings_key: encrypts strategy settings: the id of a KMS key, or ``local:`` and 32 bytes in base64.
    pepper: goes into the hash of every secret. allowed_networks: internal targets services may have.
    horizon: how far ahead wakeups are armed; None for any distance.
    controllers: the module that registers named controllers; empty for none.
    connector_timezone: in which the process dialect reads dates where neither request nor strategy names a zone.
    joc_allow_unscoped: a command of the orders dialect that names no orders, workflows or folders means them all.
    joc_force_comments: each command of the orders dialect has to say why.
    """

    stage: str
    environment: str
    tables: TableNames
    schedule_group: str
    step_runner_arn: str
    bulk_runner_arn: str
    scheduler_role_arn: str
    dead_letter_arn: str
    settings_key: str
    pepper: str
    allowed_networks: tuple[Network, ...] = ()
    horizon: timedelta | None = None
    controllers: str = ""
    connector_timezone: str = "UTC"
    joc_allow_unscoped: bool = False
    joc_force_comments: bool = False


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings an environment holds. Raises: ConfigError: naming every variable that is wrong."""
    problems: list[str] = []

    def text(name: str) -> str:
        value = environment.get(name, "")
        if not value:
            problems.append(f"{name} is not set")
        return value

    settings = Settings(
        stage=text("STAGE"),
        environment=text("ENVIRONMENT"),
        tables=TableNames(
            strategies=text("STRATEGIES_TABLE"),
            instances=text("INSTANCES_TABLE"),
            events=text("EVENTS_TABLE"),
            operations=text("OPERATIONS_TABLE"),
            access=text("ACCESS_TABLE"),
            audit=text("AUDIT_TABLE"),
        ),
        schedule_group=text("SCHEDULE_GROUP"),
        step_runner_arn=text("STEP_RUNNER_ARN"),
        bulk_runner_arn=text("BULK_RUNNER_ARN"),
        scheduler_role_arn=text("SCHEDULER_ROLE_ARN"),
        dead_letter_arn=text("DEAD_LETTER_ARN"),
        settings_key=text("SETTINGS_KEY"),
        pepper=text("PEPPER"),
        allowed_networks=_networks(environment.get("ALLOWED_CIDRS", ""), problems),
        controllers=environment.get("CONTROLLERS", ""),
        horizon=_horizon(environment.get("HORIZON_DAYS", "0"), problems),
        connector_timezone=_zone(environment.get("CONNECTOR_TIMEZONE", "UTC"), problems),
        joc_allow_unscoped=_flag("JOC_ALLOW_UNSCOPED", environment.get("JOC_ALLOW_UNSCOPED", ""), problems),
        joc_force_comments=_flag("JOC_FORCE_COMMENTS", environment.get("JOC_FORCE_COMMENTS", ""), problems),
    )
    if problems:
        raise ConfigError("; ".join(problems))
    return settings


def _flag(name: str, text: str, problems: list[str]) -> bool:
    """Whether it is set; not, where nothing is said."""
    if text not in ("", "true", "false"):
        problems.append(f"{name}: {text!r} is neither true nor false")
    return text == "true"


def _horizon(days: str, problems: list[str]) -> timedelta | None:
    """So many days; none for 0."""
    if not days.isascii() or not days.isdigit() or int(days) > MAX_HORIZON_DAYS:
        problems.append(f"HORIZON_DAYS: {days!r} is no whole number from 0 to {MAX_HORIZON_DAYS}")
        return None
    return timedelta(days=int(days)) or None


def _zone(name: str, problems: list[str]) -> str:
    try:
        zone_named(name)
    except DateError as error:
        problems.append(f"CONNECTOR_TIMEZONE: {error}")
    return name


def _networks(cidrs: str, problems: list[str]) -> tuple[Network, ...]:
    found: list[Network] = []
    for text in filter(None, (part.strip() for part in cidrs.split(","))):
        try:
            found.append(ip_network(text))
        except ValueError as error:
            problems.append(f"ALLOWED_CIDRS: {error}")
    return tuple(found)
