"""The composition root: the only module that knows every adapter.

Everything is made when first needed and kept for the life of the container; nothing is touched on import.
"""

import base64
import os
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from shared.adapters.controllers import ModuleControllers, NoControllers
from shared.adapters.crypto import AesGcmSealer, KmsDataKeys, LocalDataKey
from shared.adapters.crypto import SecretHasher as PepperedHasher
from shared.adapters.dynamodb.access import DynamoDbAccess
from shared.adapters.dynamodb.audit import DynamoDbAudit
from shared.adapters.dynamodb.client import USER_AGENT, connect
from shared.adapters.dynamodb.instances import DynamoDbInstances
from shared.adapters.dynamodb.operations import DynamoDbOperations
from shared.adapters.dynamodb.strategies import DynamoDbStrategies
from shared.adapters.dynamodb.tables import Tables
from shared.adapters.system import SystemClock, SystemIds, entropy, monotonic
from shared.adapters.wakeups import AwsWakeups, WakeupTargets
from shared.api.http.request import Deployment
from shared.application.ports import Clock, Controllers, Ports, Sealer, SecretHasher, ServiceCaller
from shared.config import Settings, read_settings

_LOCAL_KEY = "local:"
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=2,
    read_timeout=10,
    user_agent=USER_AGENT,
)
_clocks: list[Clock] = []
_ports: list[Ports] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wiring:
    instances: DynamoDbInstances
    strategies: DynamoDbStrategies
    access: DynamoDbAccess
    audit: DynamoDbAudit
    operations: DynamoDbOperations
    controllers: Controllers
    wakeups: AwsWakeups
    clock: Clock
    ids: SystemIds

    @property
    def caller(self) -> ServiceCaller:
        return _caller()


class _Caller(ServiceCaller, Protocol):
    def close(self) -> None: ...


def use_clock(clock: Clock) -> None:
    """Have every port use this clock; for the local stack, before anything is made."""
    _clocks.append(clock)


def use_ports(chosen: Ports) -> None:
    """Have every handler use these ports; for tests, before and after which ``forget`` is called."""
    _ports.append(chosen)


def forget() -> None:
    """Be as a fresh container: nothing chosen, nothing made."""
    _clocks.clear()
    _ports.clear()
    for made in (settings, hasher, _up_since, _wired, _caller, _session, _client):
        made.cache_clear()


@cache
def settings() -> Settings:
    """The deployment's settings. Raises: ConfigError."""
    return read_settings(os.environ)


def deployment() -> Deployment:
    """Return what the API needs to know of this deployment."""
    chosen = settings()
    return Deployment(
        environment=chosen.environment,
        stage=chosen.stage,
        up_seconds=monotonic() - _up_since(),
        connector_timezone=chosen.connector_timezone,
        joc_allow_unscoped=chosen.joc_allow_unscoped,
        joc_force_comments=chosen.joc_force_comments,
    )


@cache
def hasher() -> SecretHasher:
    """Hashes secrets under the deployment's pepper."""
    return PepperedHasher(settings().pepper.encode())


def ports() -> Ports:
    """The ports in use: on real things, unless others were chosen."""
    return _ports[-1] if _ports else _wired()


def begin_invocation() -> Ports:
    """The ports for one invocation of a function that calls services.

    Connections kept from before are closed: they may have died unnoticed while the container was frozen, and a
    call sent into a dead one would be in doubt. Tokens are kept.
    """
    if not _ports:
        _caller().close()
    return ports()


@cache
def _up_since() -> float:
    return monotonic()


@cache
def _wired() -> _Wiring:
    chosen = settings()
    clock = _clocks[-1] if _clocks else SystemClock()
    names = chosen.tables
    tables = Tables(
        strategies=names.strategies,
        instances=names.instances,
        events=names.events,
        operations=names.operations,
        access=names.access,
        audit=names.audit,
    )
    database = connect(_session())
    targets = WakeupTargets(
        group=chosen.schedule_group,
        runner_arn=chosen.step_runner_arn,
        bulk_runner_arn=chosen.bulk_runner_arn,
        role_arn=chosen.scheduler_role_arn,
        dead_letter_arn=chosen.dead_letter_arn,
        report=_report,
    )
    return _Wiring(
        instances=DynamoDbInstances(client=database, tables=tables),
        strategies=DynamoDbStrategies(
            client=database,
            tables=tables,
            sealer=_sealer(),
            environment=chosen.environment,
            horizon=chosen.horizon,
        ),
        access=DynamoDbAccess(client=database, tables=tables),
        audit=DynamoDbAudit(client=database, tables=tables),
        operations=DynamoDbOperations(client=database, tables=tables),
        controllers=ModuleControllers(module=chosen.controllers) if chosen.controllers else NoControllers(),
        wakeups=AwsWakeups(
            targets,
            scheduler=lambda: _client("scheduler"),
            invoker=lambda: _client("lambda"),
            clock=clock,
        ),
        clock=clock,
        ids=SystemIds(),
    )


@cache
def _caller() -> _Caller:
    """Made by functions that call services only: what it is made of takes a tenth of a second to import."""
    from shared.adapters.http.service_caller import HttpServiceCaller  # noqa: PLC0415 - as told

    return HttpServiceCaller(seconds=monotonic, allowed=settings().allowed_networks)


def _sealer() -> Sealer:
    key = settings().settings_key
    if key.startswith(_LOCAL_KEY):
        local = base64.b64decode(key.removeprefix(_LOCAL_KEY))
        return AesGcmSealer(keys=LocalDataKey(local), entropy=entropy)
    return AesGcmSealer(keys=KmsDataKeys(client=_client("kms"), key_id=key), entropy=entropy)


@cache
def _session() -> boto3.Session:
    """One for all clients: what it has read of botocore's data, the second client need not read again."""
    return boto3.Session()


@cache
def _client(service: str) -> Any:  # noqa: ANN401 - boto3 has no types of its own
    """A client, made once: making one is most of a cold start. Repeats what the service asks to repeat."""
    return _session().client(service, config=_CONFIG)


def _report(what: str, sid: str, error: Exception) -> None:
    """A doorbell that could not be arranged: the sweeper will find whom it was for."""
    Logger().warning("doorbell", extra={"what": what, "sid": sid, "error": str(error)})
