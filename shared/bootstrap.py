"""The composition root: the only module that knows every adapter.

Objects are made at their first use and kept for the life of the container. Importing this module makes none.
"""

import base64
import gc
import os
from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Protocol

from aws_lambda_powertools import Logger
from msgspec import Struct

from shared.adapters.aws.client import AwsClient, Timing
from shared.adapters.aws.http import Patience
from shared.adapters.aws.services import EventBridge, Functions, Kms, Scheduler, SecretsManager, Sqs, Ssm
from shared.adapters.aws.session import USER_AGENT, AwsSession
from shared.adapters.controllers import ModuleControllers, NoControllers
from shared.adapters.crypto import AesGcmSealer, KmsDataKeys, LocalDataKey
from shared.adapters.delivery_queue import SqsDeliveries
from shared.adapters.dynamodb.access import DynamoDbAccess
from shared.adapters.dynamodb.audit import DynamoDbAudit
from shared.adapters.dynamodb.client import DynamoDbClient, connect
from shared.adapters.dynamodb.expiry import DynamoDbExpiry
from shared.adapters.dynamodb.instances import DynamoDbInstances
from shared.adapters.dynamodb.limits import DynamoDbLimits
from shared.adapters.dynamodb.operations import DynamoDbOperations
from shared.adapters.dynamodb.strategies import DynamoDbStrategies
from shared.adapters.dynamodb.streams import DynamoDbRecords
from shared.adapters.dynamodb.tables import Tables
from shared.adapters.dynamodb.webhooks import DynamoDbWebhooks
from shared.adapters.evaluator.process import ProcessEvaluator
from shared.adapters.event_bus import EventBridgeBus, S3Unreadable
from shared.adapters.peppers import StoredPeppers, hasher_of
from shared.adapters.system import (
    SystemClock,
    SystemIds,
    entropy,
    epoch_seconds,
    fraction,
    monotonic,
    reseed,
    wait,
)
from shared.adapters.threads import MAX_THREADS, ThreadWorkers
from shared.adapters.tracing import RunTracer
from shared.adapters.wakeups import AwsWakeups, WakeupTargets
from shared.api.http.deployment import Deployment
from shared.application.expire import ExpiryPorts
from shared.application.log_lines import log_line
from shared.application.ports import Clock, Controllers, Ports, Sealer, SecretHasher, ServiceCaller, Workers
from shared.application.publish import PublisherPorts
from shared.application.webhooks import WebhookCaller, WebhookDirectory
from shared.config import ConfigError, Settings, read_settings
from shared.domain.instance.retention import Retention
from shared.expressions import use_evaluator

if TYPE_CHECKING:
    from shared.adapters.secrets import SecretSource

AwsService = Literal["events", "kms", "lambda", "scheduler", "secretsmanager", "sqs", "ssm"]
"""The services that have a client besides DynamoDB and S3."""

_LOCAL_KEY = "local:"
_PATIENCE = Patience(connect=2, read=10)
# A step waits for its secrets while it holds a lease, so it takes at most 7 s to read one: two tries of 3 s, and a
# pause between them.
_SECRETS_PATIENCE = Patience(connect=1, read=2)
_SECRETS_ATTEMPTS = 2
_SECRET_SERVICES = ("secretsmanager", "ssm")
_SNAP_START = "snap-start"
_FAILED_WAKEUPS = {"schedule": "wakeup not scheduled", "send": "wakeup not sent"}
# Set by the local stack and by tests. The last one counts.
_clocks: list[Clock] = []
_secret_sources: list["SecretSource"] = []
_ports: list[Ports] = []
_watchers: list[Callable[[DynamoDbClient], None]] = []
_making_client = Lock()


class _Wiring(Struct, frozen=True, kw_only=True):
    instances: DynamoDbInstances
    strategies: DynamoDbStrategies
    access: DynamoDbAccess
    audit: DynamoDbAudit
    operations: DynamoDbOperations
    webhooks: DynamoDbWebhooks
    limits: DynamoDbLimits
    controllers: Controllers
    wakeups: AwsWakeups
    clock: Clock
    ids: SystemIds

    @property
    def caller(self) -> ServiceCaller:
        return _caller()


class _Publishing(Struct, frozen=True, kw_only=True):
    records: DynamoDbRecords
    bus: EventBridgeBus
    unreadable: S3Unreadable
    webhooks: WebhookDirectory
    deliveries: SqsDeliveries


class _Expiring(Struct, frozen=True, kw_only=True):
    store: DynamoDbExpiry
    clock: Clock
    retention: Retention


class _Sending(Struct, frozen=True, kw_only=True):
    webhooks: DynamoDbWebhooks
    clock: Clock
    deliveries: SqsDeliveries

    @property
    def webhook_caller(self) -> "_WebhookCaller":
        return _webhook_caller()


class _Caller(ServiceCaller, Protocol):
    def close(self) -> None: ...


class _WebhookCaller(WebhookCaller, Protocol):
    def close(self) -> None: ...


def use_clock(clock: Clock) -> None:
    """Make every port use this clock. The local stack calls it before anything else is made."""
    _clocks.append(clock)


def use_secrets(source: "SecretSource") -> None:
    """Read secrets there instead of from AWS. The local stack calls it before anything else is made."""
    _secret_sources.append(source)


def watch_database(watch: Callable[[DynamoDbClient], None]) -> None:
    """Call ``watch`` with the client of DynamoDB when it is made. The local stack uses it to see the writes."""
    _watchers.append(watch)


def use_ports(chosen: Ports) -> None:
    """Make every handler use these ports. Tests call it, with ``forget`` before and after."""
    _ports.append(chosen)


def forget() -> None:
    """Return to the state of a fresh container, with no choices and no objects."""
    _clocks.clear()
    _secret_sources.clear()
    _ports.clear()
    _watchers.clear()
    if _evaluator.cache_info().currsize:
        _evaluator().close()
    for made in (
        settings,
        _peppers,
        tracer,
        publisher,
        _restored,
        _up_since,
        _wired,
        _caller,
        _webhook_caller,
        _evaluator,
    ):
        made.cache_clear()
    for made_client in (_database, _session, _made_client, _s3):
        made_client.cache_clear()


def prepare(*services: AwsService, calls: Callable[[], object] = lambda: None) -> None:
    """End the initialization of a function. If Lambda takes its snapshot (SnapStart), make the clients that it uses.

    Each handler calls this when its modules are imported. ``services`` are those that it uses besides DynamoDB, and
    ``calls`` makes its caller of services. Without SnapStart, all of this is made at its first use.
    The snapshot is restored in many containers, for weeks. So nothing that is made here may be unique, remember a
    time, or hold a connection; the credentials of the clients expire and are fetched again.
    """
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == _SNAP_START:
        _database()
        for service in services:
            _client(service)
        calls()
    # What the imports have made stays, so no collection needs to search it, not even the first one.
    gc.freeze()
    gc.enable()


@cache
def _restored() -> None:
    """Begin the first invocation of a container: give it random numbers of its own."""
    # The clients draw their waits before repeats from this generator. From one snapshot, all containers would repeat at
    # the same instants. What must be unguessable comes from the system (``SystemIds``, ``entropy``).
    reseed()


@cache
def settings() -> Settings:
    """Return the settings of the deployment. Raises: ConfigError."""
    return read_settings(os.environ)


def deployment() -> Deployment:
    """Return the facts about this deployment that the API needs."""
    chosen = settings()
    return Deployment(
        environment=chosen.environment,
        stage=chosen.stage,
        up_seconds=monotonic() - _up_since(),
        connector_timezone=chosen.connector_timezone,
        joc_allow_unscoped=chosen.joc_allow_unscoped,
        joc_force_comments=chosen.joc_force_comments,
        tokens=chosen.tokens,
    )


def hasher() -> SecretHasher:
    """Return the hasher of secrets, which uses the deployment's pepper.

    Raises: ConfigError: this function has none. OverloadedError; ConnectionLostError; PepperError.
    """
    pepper = settings().pepper
    if not pepper:
        raise ConfigError("PEPPER is not set")
    if pepper.startswith(_LOCAL_KEY):
        return hasher_of(pepper.removeprefix(_LOCAL_KEY))
    return _peppers().hasher()


@cache
def _peppers() -> StoredPeppers:
    return StoredPeppers(
        client=lambda: SecretsManager(_client("secretsmanager")),
        secret_id=settings().pepper,
        seconds=monotonic,
        report=_report_pepper,
    )


def ports() -> Ports:
    """Return the ports in use: the real ones, unless others were chosen."""
    _restored()
    return _ports[-1] if _ports else _wired()


@cache
def tracer() -> RunTracer | None:
    """Return the tracer of runs, or None if the deployment is not traced."""
    if not settings().tracing:
        return None
    return RunTracer(environment=os.environ, entropy=entropy, report=_report_trace)


def workers() -> Workers:
    """Return the workers that do several pieces of work at once."""
    return ThreadWorkers()


def begin_invocation() -> Ports:
    """Return the ports for one invocation of a function that calls services.

    Connections from earlier invocations are closed, tokens are kept.
    """
    # A kept connection may have been closed unnoticed while the container was frozen. A call sent into it would be
    # in doubt.
    if not _ports:
        _caller().close()
    return ports()


def table_names() -> Tables:
    """Return the names of the tables of this deployment."""
    names = settings().tables
    return Tables(
        strategies=names.strategies,
        instances=names.instances,
        events=names.events,
        operations=names.operations,
        access=names.access,
        audit=names.audit,
    )


@cache
def publisher() -> PublisherPorts:
    """Return the ports of the publisher."""
    _restored()
    chosen = settings()
    return _Publishing(
        records=DynamoDbRecords(client=_database(), tables=table_names()),
        bus=EventBridgeBus(client=lambda: EventBridge(_client("events")), name=chosen.event_bus),
        unreadable=S3Unreadable(client=_s3, bucket=chosen.unpublished_bucket),
        webhooks=WebhookDirectory(store=_webhooks(), clock=_clock()),
        deliveries=_deliveries(),
    )


def expirer() -> ExpiryPorts:
    """Return the ports of the expirer."""
    _restored()
    return _Expiring(
        store=DynamoDbExpiry(client=_database(), tables=table_names()),
        clock=_clock(),
        retention=settings().retention,
    )


def begin_sending() -> _Sending:
    """Return the ports of the webhook sender for one invocation. Connections from earlier ones are closed."""
    _restored()
    _webhook_caller().close()
    return _Sending(webhooks=_webhooks(), clock=_clock(), deliveries=_deliveries())


def _clock() -> Clock:
    return _clocks[-1] if _clocks else SystemClock()


def _webhooks() -> DynamoDbWebhooks:
    return DynamoDbWebhooks(
        client=_database(), sealer=_sealer(), tables=table_names(), retention=settings().retention
    )


def _deliveries() -> SqsDeliveries:
    return SqsDeliveries(
        client=lambda: Sqs(_client("sqs")), url=settings().webhook_queue_url, report=_report_delivery
    )


@cache
def _webhook_caller() -> _WebhookCaller:
    """Return the caller of webhooks. Only their sender pays for this import."""
    from shared.adapters.http.webhook_caller import HttpWebhookCaller  # noqa: PLC0415 - see above

    return HttpWebhookCaller(seconds=monotonic, allowed=settings().allowed_networks)


@cache
def _up_since() -> float:
    return monotonic()


@cache
def _wired() -> _Wiring:
    use_evaluator(_evaluator())
    chosen, tables, database = settings(), table_names(), _database()
    clock, retention = _clock(), chosen.retention
    targets = WakeupTargets(
        group=chosen.schedule_group,
        runner_arn=chosen.step_runner_arn,
        bulk_runner_arn=chosen.bulk_runner_arn,
        role_arn=chosen.scheduler_role_arn,
        dead_letter_arn=chosen.dead_letter_arn,
        report=_report,
    )
    return _Wiring(
        instances=DynamoDbInstances(client=database, tables=tables, retention=retention),
        strategies=DynamoDbStrategies(
            client=database,
            tables=tables,
            sealer=_sealer(),
            environment=chosen.environment,
            horizon=chosen.horizon,
            retention=retention,
        ),
        access=DynamoDbAccess(client=database, tables=tables, retention=retention),
        audit=DynamoDbAudit(client=database, tables=tables, retention=retention),
        operations=DynamoDbOperations(client=database, tables=tables, retention=retention),
        webhooks=_webhooks(),
        limits=DynamoDbLimits(client=database, tables=tables, report=_report_limit),
        controllers=ModuleControllers(module=chosen.controllers) if chosen.controllers else NoControllers(),
        wakeups=AwsWakeups(
            targets,
            scheduler=lambda: Scheduler(_client("scheduler")),
            invoker=lambda: Functions(_client("lambda")),
            clock=clock,
        ),
        clock=clock,
        ids=SystemIds(),
    )


def service_caller() -> object:
    """Return the caller of services, for ``prepare``."""
    return _caller()


def webhook_caller() -> object:
    """Return the caller of webhooks, for ``prepare``."""
    return _webhook_caller()


@cache
def _caller() -> _Caller:
    """Return the caller of services."""
    # Only functions that call services pay for this import, which takes a tenth of a second.
    from shared.adapters.http.service_caller import HttpServiceCaller  # noqa: PLC0415 - see above
    from shared.adapters.secrets import AwsSecrets, CachedSecrets  # noqa: PLC0415 - see above

    aws = AwsSecrets(
        stage=settings().stage,
        secrets_manager=lambda: SecretsManager(_client("secretsmanager")),
        ssm=lambda: Ssm(_client("ssm")),
    )
    source = _secret_sources[-1] if _secret_sources else aws
    return HttpServiceCaller(
        seconds=monotonic,
        secrets=CachedSecrets(source, _clock()),
        allowed=settings().allowed_networks,
    )


@cache
def _evaluator() -> ProcessEvaluator:
    """Return the evaluator. It starts its process at the first expression."""
    return ProcessEvaluator(seconds=monotonic, environment=os.environ)


def _sealer() -> Sealer:
    key = settings().settings_key
    if key.startswith(_LOCAL_KEY):
        local = base64.b64decode(key.removeprefix(_LOCAL_KEY))
        return AesGcmSealer(keys=LocalDataKey(local), entropy=entropy)
    return AesGcmSealer(keys=KmsDataKeys(client=Kms(_client("kms")), key_id=key), entropy=entropy)


@cache
def _database() -> DynamoDbClient:
    client = connect(_session(), entropy=entropy)
    for watch in _watchers:
        watch(client)
    return client


@cache
def _session() -> AwsSession:
    """Return the session that all clients share."""
    return AwsSession(os.environ, Timing(now=epoch_seconds, sleep=wait, random=fraction))


def _client(service: AwsService) -> AwsClient:
    """Return a client, made at its first use."""
    # The sweeper wakes runners in several threads, which share one pool of connections.
    with _making_client:
        return _made_client(service)


@cache
def _made_client(service: AwsService) -> AwsClient:
    if service in _SECRET_SERVICES:
        return _session().client(service, patience=_SECRETS_PATIENCE, attempts=_SECRETS_ATTEMPTS)
    return _session().client(service, patience=_PATIENCE, connections=MAX_THREADS)


@cache
def _s3() -> Any:  # noqa: ANN401 - boto3 has no types of its own
    """Return a client of S3, which only the publisher needs, for changes that cannot be published."""
    import boto3  # noqa: PLC0415 - an import of a tenth of a second
    from botocore.config import Config  # noqa: PLC0415 - as above

    config = Config(
        retries={"mode": "standard", "total_max_attempts": 4},
        connect_timeout=2,
        read_timeout=10,
        user_agent=USER_AGENT,
    )
    return boto3.client("s3", config=config)


def _report_trace(error: OSError) -> None:
    """Log a trace that was not sent."""
    Logger(json_serializer=log_line).warning("trace not sent", extra={"error": str(error)})


def _report_pepper(error: Exception) -> None:
    """Log that the pepper was not read again. The pepper that was read before stays in use."""
    Logger(json_serializer=log_line).warning("pepper not read", extra={"error": str(error)})


def _report(action: str, sid: str, error: Exception) -> None:
    """Log a wakeup that failed. The sweeper will find its instance."""
    Logger(json_serializer=log_line).warning(_FAILED_WAKEUPS[action], extra={"sid": sid, "error": str(error)})


def _report_limit(origin: str, error: Exception) -> None:
    """Log that the outcome of a call was not stored in the limit of its service. The next such call tries again."""
    Logger(json_serializer=log_line).warning(
        "limit not changed", extra={"origin": origin, "error": str(error)}
    )


def _report_delivery(error: Exception) -> None:
    """Log a message whose delay was not stored. It returns earlier."""
    Logger(json_serializer=log_line).warning("delivery not delayed", extra={"error": str(error)})
