"""The settings of the deployment, read from the environment once and frozen.

Source: template.yaml sets each of them; docs/deployment.md describes them.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network

from msgspec import Struct, field

from shared.domain.bulk.pace import MAX_PER_SECOND, PER_SECOND, Pace
from shared.domain.calendar.dates import zone_named
from shared.domain.errors import DateError
from shared.domain.instance.retention import MIN_RETENTION, Retention
from shared.domain.tokens import TokenRules

Network = IPv4Network | IPv6Network

_CLAIM = re.compile(r"[A-Za-z0-9._:/|#@-]{1,128}")
_ROLE_PREFIX = re.compile(r"[A-Za-z0-9._:/|-]{0,64}")

MAX_HORIZON_DAYS = 3650
MAX_RETENTION_DAYS = 36500

OTHER_SERVICES = "other"
"""The name of all services together that are not metered by themselves."""

MAX_METERED_SERVICES = 4
"""As many as the template has alarms for, since each has metrics and an alarm that cost something."""


class ConfigError(Exception):
    """A setting is missing or invalid. The function must not start."""


class TableNames(Struct, frozen=True, kw_only=True):
    """The names of the tables."""

    strategies: str
    instances: str
    events: str
    operations: str
    access: str
    audit: str


class Settings(Struct, frozen=True, kw_only=True):
    """The settings of a deployment.

    ``stage`` distinguishes deployments in one AWS account. ``environment`` selects base URLs and authorizations of
    strategies. ``event_bus`` is the name of the bus that notifications are sent to, and ``unpublished_bucket`` is for
    stream records that cannot be. ``webhook_queue_url`` is the queue of notifications on their way to webhooks.
    ``settings_key`` encrypts the settings of strategies: the id of a KMS key, or ``local:`` and 32 bytes in base64.
    ``pepper`` is part of the hash of every secret: the ARN of a secret that has it, or ``local:`` and the pepper. It is
    empty in functions that hash nothing. ``allowed_networks`` are internal networks that services may be
    called in. ``horizon`` is how far ahead wakeups are scheduled, or None for any distance. ``controllers`` is the
    module that registers named controllers, or empty.

    ``connector_timezone`` is the time zone in which the process dialect reads dates if neither request nor strategy
    names one. With ``joc_allow_unscoped``, a command of the orders dialect that names no orders, workflows or folders
    applies to all. With ``joc_force_comments``, each command of the orders dialect must state a reason.
    ``retention`` is how long records and audit entries are kept. ``bulk_pace`` is the pace of each bulk operation, and
    of the release of what a flag had blocked.
    ``metered_services`` are the services of strategies whose calls are counted by themselves. With ``tracing``, the
    step runner sends the runs that Lambda samples to X-Ray. ``tokens`` says which claims of a token of the identity
    provider name the account and the role.
    """

    stage: str
    environment: str
    tables: TableNames
    schedule_group: str
    step_runner_arn: str
    bulk_runner_arn: str
    scheduler_role_arn: str
    dead_letter_arn: str
    event_bus: str
    unpublished_bucket: str
    webhook_queue_url: str
    settings_key: str
    tokens: TokenRules
    pepper: str = ""
    allowed_networks: tuple[Network, ...] = ()
    horizon: timedelta | None = None
    retention: Retention = field(default_factory=Retention)
    bulk_pace: Pace = field(default_factory=Pace)
    controllers: str = ""
    connector_timezone: str = "UTC"
    joc_allow_unscoped: bool = False
    joc_force_comments: bool = False
    metered_services: frozenset[str] = frozenset()
    tracing: bool = False


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings in an environment.

    Raises: ConfigError: names every variable that is missing or invalid.
    """
    # All problems are collected, so that one deployment shows them together.
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
        event_bus=text("EVENT_BUS"),
        unpublished_bucket=text("UNPUBLISHED_BUCKET"),
        webhook_queue_url=text("WEBHOOK_QUEUE_URL"),
        settings_key=text("SETTINGS_KEY"),
        pepper=environment.get("PEPPER", ""),
        allowed_networks=_networks(environment.get("ALLOWED_CIDRS", ""), problems),
        controllers=environment.get("CONTROLLERS", ""),
        horizon=_horizon(environment.get("HORIZON_DAYS", "0"), problems),
        retention=Retention(
            records=_retention("RECORD_RETENTION_DAYS", environment, problems),
            audit=_retention("AUDIT_RETENTION_DAYS", environment, problems),
        ),
        bulk_pace=_pace(environment.get("BULK_PER_SECOND", str(PER_SECOND)), problems),
        connector_timezone=_zone(environment.get("CONNECTOR_TIMEZONE", "UTC"), problems),
        joc_allow_unscoped=_flag("JOC_ALLOW_UNSCOPED", environment.get("JOC_ALLOW_UNSCOPED", ""), problems),
        tracing=_tracing(environment.get("TRACING", ""), problems),
        metered_services=_services(environment.get("METERED_SERVICES", ""), problems),
        joc_force_comments=_flag("JOC_FORCE_COMMENTS", environment.get("JOC_FORCE_COMMENTS", ""), problems),
        tokens=_tokens(environment, problems),
    )
    if problems:
        raise ConfigError("; ".join(problems))
    return settings


def _flag(name: str, text: str, problems: list[str]) -> bool:
    """Return whether a switch is on. It is off if it is not set."""
    if text not in ("", "true", "false"):
        problems.append(f"{name}: {text!r} is neither true nor false")
    return text == "true"


def _horizon(days: str, problems: list[str]) -> timedelta | None:
    """Return the number of days as a duration, or None for 0."""
    if not days.isascii() or not days.isdigit() or int(days) > MAX_HORIZON_DAYS:
        problems.append(f"HORIZON_DAYS: {days!r} is not a whole number from 0 to {MAX_HORIZON_DAYS}")
        return None
    return timedelta(days=int(days)) or None


def _pace(number: str, problems: list[str]) -> Pace:
    """Return the pace of so many instances a second; 0 is no limit."""
    if not number.isascii() or not number.isdigit() or int(number) > MAX_PER_SECOND:
        problems.append(f"BULK_PER_SECOND: {number!r} is not a whole number from 0 to {MAX_PER_SECOND}")
        return Pace()
    return Pace(per_second=int(number))


def _retention(name: str, environment: Mapping[str, str], problems: list[str]) -> timedelta | None:
    """Return for how long something is kept, or None for 0, which keeps it for good."""
    days, least = environment.get(name, "0"), MIN_RETENTION.days
    if days == "0":
        return None
    is_whole = days.isascii() and days.isdigit() and not days.startswith("0")
    if not is_whole or not least <= int(days) <= MAX_RETENTION_DAYS:
        why = f"is neither 0, which keeps everything, nor a whole number from {least} to {MAX_RETENTION_DAYS}"
        problems.append(f"{name}: {days!r} {why}")
        return None
    return timedelta(days=int(days))


def _tracing(mode: str, problems: list[str]) -> bool:
    """Return whether Lambda traces. The words are Lambda's, since the template gives them to it too."""
    if mode not in ("", "Active", "Disabled"):
        problems.append(f"TRACING: {mode!r} is neither Active nor Disabled")
    return mode == "Active"


def _tokens(environment: Mapping[str, str], problems: list[str]) -> TokenRules:
    """Return the rules of tokens. Only the APIs that take tokens have these variables."""
    standard = TokenRules()
    rules = TokenRules(
        account_claim=environment.get("JWT_ACCOUNT_CLAIM", standard.account_claim),
        role_claim=environment.get("JWT_ROLE_CLAIM", standard.role_claim),
        role_prefix=environment.get("JWT_ROLE_PREFIX", standard.role_prefix),
    )
    for name, claim in (("JWT_ACCOUNT_CLAIM", rules.account_claim), ("JWT_ROLE_CLAIM", rules.role_claim)):
        if _CLAIM.fullmatch(claim) is None:
            problems.append(f"{name}: {claim!r} is not the name of a claim")
    # A role is found between spaces, so a prefix with one of them would fit no value.
    if _ROLE_PREFIX.fullmatch(rules.role_prefix) is None:
        problems.append(
            f"JWT_ROLE_PREFIX: {rules.role_prefix!r} is not up to 64 letters, digits and . _ : / | -"
        )
    return rules


def _services(names: str, problems: list[str]) -> frozenset[str]:
    """Return the keys of the services in a list with commas, without the word for all others."""
    services = frozenset(part.strip() for part in names.split(",")) - {"", OTHER_SERVICES}
    if len(services) > MAX_METERED_SERVICES:
        problems.append(f"METERED_SERVICES: {names!r} has more than {MAX_METERED_SERVICES} services")
    return services


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
