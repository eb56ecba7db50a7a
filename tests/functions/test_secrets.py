"""Secrets by reference, through the functions as deployed: rotation, and a canary that must not come out.

Source: docs/decisions/0046; docs/contracts/core.md section 4.1.
"""

import base64
import json
import logging
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from msgspec.structs import force_setattr

from dev.memory.world import ManualClock
from dev.secrets_file import FileSecrets
from dev.stream_records import record_of
from functions.core_api.handler import lambda_handler as core_api
from functions.publisher.handler import lambda_handler as publisher
from functions.step_runner.handler import lambda_handler as step_runner
from shared import bootstrap
from shared.adapters.secrets import MAX_AGE
from shared.api.core.routes import ROUTES
from tests.dialects.wire import Wire
from tests.functions.conftest import KEYS
from tests.functions.contexts import Context
from tests.functions.echo import DROP, Echo, echoing

ROOT = Path(__file__).parents[2]
WIRE = Wire("core", core_api)
SECRET = "strategy-secret-1"
PREFIX = "/ritornello/test/a-1/"
CANARY = 'c4n4ry/+&"é{number}-secret'
"""A secret. Its marks look different in a URL, a form, JSON and HTML; its first letters do not."""

pytestmark = [
    pytest.mark.allow_hosts(["127.0.0.1"]),
    # With KMS it would be the same, and slower.
    pytest.mark.parametrize("deployment", KEYS[:1], indirect=True, ids=["local key"]),
]


@dataclass
class World:
    """A deployment with a service that repeats its requests, and secrets in AWS.

    ``strategies`` are the sids of strategies by those of their instances.
    """

    clock: ManualClock
    echo: Echo
    strategies: dict[str, str] = field(default_factory=dict)

    def rotate(self, number: int) -> None:
        """Give every secret a new value."""
        text = CANARY.format(number=number)
        # No line of a header can have these.
        value = json.dumps({"key": text, "header": text.replace("é", "")})
        manager, ssm = boto3.client("secretsmanager"), boto3.client("ssm")
        try:
            manager.put_secret_value(SecretId=f"{PREFIX}gateway", SecretString=value)
        except manager.exceptions.ResourceNotFoundException:
            manager.create_secret(Name=f"{PREFIX}gateway", SecretString=value)
        ssm.put_parameter(Name=f"{PREFIX}crm/token", Value=text, Type="SecureString", Overwrite=True)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        secret = base64.b64encode(SECRET.encode()).decode()
        headers = {"authorization": "Bearer admin.secret", "strategy-secret": secret}
        reply = WIRE.send(method, path, body, headers=headers)
        assert reply.status < 300, reply.text
        return reply.decoded

    def started(self, settings: dict[str, Any], name: str = "flow") -> str:
        """Return the sid of an instance of a new strategy, due now."""
        strategy = {"name": name, "secret": SECRET, "settings": settings}
        strategy_sid = self.call("POST", "/execution-strategy", strategy)["sid"]
        body = {"strategyId": name, "startDate": self.clock.now().isoformat()}
        sid: str = self.call("POST", "/execution-instance", body)["executionInstance"]["sid"]
        self.strategies[sid] = strategy_sid
        return sid

    def run(self, sid: str) -> dict[str, Any]:
        """Run the instance's due events and return the first main event."""
        step_runner({"sid": sid}, Context())  # type: ignore[arg-type]
        event: dict[str, Any] = self.call("GET", f"/execution-event/{sid}-1")["event"]
        return event

    def number_sent(self, place: int) -> str:
        """Return which of the rotated values a call had."""
        return str(json.loads(self.echo.calls[place][2])["key"]).partition("é")[2].partition("-")[0]


@pytest.fixture
def world(deployment: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("ALLOWED_CIDRS", "127.0.0.0/8")
    bootstrap.settings.cache_clear()
    with echoing() as echo:
        made = World(deployment, echo)
        made.rotate(1)
        yield made


def flow(world: World, *, authorized: bool = False, in_doubt: str = "retry", **more: Any) -> dict[str, Any]:
    """Return settings with a step that is charged, retried three times, three days apart."""
    everywhere = {
        "headers": {"X-Api-Key": "{{secret.gateway#header}}"},
        "params": {"key": "{{secret.gateway#key}}"},
        "data": {
            "key": "{{secret.gateway#key}}",
            "deep": [{"token": "a {{parameter.crm/token}}"}],
            "whole": "{{secret.gateway}}",
            "text": "{{attributes.text}}",
        },
    }
    entry = {"environment": "dev", "url": f"{world.echo.url}/token", "method": "post", **everywhere}
    charge = {"key": "charge", "url": "/charge", "method": "post", "inDoubt": in_doubt, "timeoutSeconds": 5}
    service = {
        "key": "shop",
        "baseUrls": [{"environment": "dev", "url": world.echo.url}],
        "methods": [charge],
    }
    if authorized:
        service |= {"authorization": [entry], "credentialPath": "access_token", "credentialType": "Bearer"}
    three_days = {"unit": "days", "amount": 3}
    task = {
        "key": "pay",
        "initialStep": "charge",
        "retryConfig": {"times": 3, "retryAfter": three_days, "jitterPercent": 0},
        "steps": [{"key": "charge", "action": "charge", **more}],
        "outputs": {"paid": "{{stack.charge.response.text}}"},
    }
    calendar = {"key": "monthly", "task": "pay", "scheduleAfter": {"unit": "months", "amount": 1}}
    return {
        "config": {"anyAttributes": True},
        "schedule": {"calendars": [calendar]},
        "services": [service],
        "actions": [{"key": "charge", "service": "shop", "method": "charge", **everywhere}],
        "tasks": [task],
    }


class TestRotation:
    """A rotated secret reaches every call within five minutes, whatever the version of the strategy."""

    def test_a_charge_in_dunning_uses_the_new_secret(self, world: World) -> None:
        sid = world.started(flow(world))
        world.echo.statuses = [402]
        assert world.run(sid)["status"] == "PENDING"
        world.rotate(2)
        world.clock.at += timedelta(days=3)

        assert world.run(sid)["status"] == "PROCESSED"
        assert (world.number_sent(0), world.number_sent(1)) == ("1", "2")
        assert world.call("GET", f"/execution-instance/{sid}")["strategyVersion"] == 1

    def test_a_401_with_a_stale_secret_is_repaired_in_the_same_attempt(self, world: World) -> None:
        world.run(world.started(flow(world)))
        world.rotate(2)
        world.echo.statuses = [401]
        sid = world.started(flow(world), "other")

        event = world.run(sid)

        assert (event["status"], event["attempt"], event["run"]) == ("PROCESSED", 1, 1)
        assert [world.number_sent(place) for place in range(3)] == ["1", "1", "2"]
        assert world.echo.keys[1] == world.echo.keys[2]

    def test_a_401_with_a_fresh_secret_is_not_repeated(self, world: World) -> None:
        world.echo.statuses = [401]

        event = world.run(world.started(flow(world)))

        assert event["status"] == "PENDING"
        assert len(world.echo.calls) == 1

    def test_the_digest_of_a_request_does_not_change_with_a_secret(self, world: World) -> None:
        sid = world.started(flow(world))
        world.echo.statuses = [402]
        world.run(sid)
        world.rotate(2)
        world.clock.at += timedelta(days=3)
        world.run(sid)

        history = json.dumps(world.call("GET", f"/execution-instance/{sid}/events"))
        digests = re.findall(r'"digest": "([^"]+)"', history)
        assert len(digests) == 2
        assert len(set(digests)) == 1

    def test_a_warm_container_uses_a_new_secret_after_five_minutes(self, world: World) -> None:
        world.run(world.started(flow(world)))
        world.rotate(2)
        world.clock.at += MAX_AGE
        world.run(world.started(flow(world), "other"))

        assert world.number_sent(1) == "2"


def test_the_local_stack_reads_a_file_instead_of_aws(world: World, tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    secrets = {"gateway": {"key": "from-a-file", "header": "h"}}
    file.write_text(json.dumps({"a-1": {"secret": secrets, "parameter": {"crm/token": "t"}}}))
    bootstrap.use_secrets(FileSecrets(str(file)))

    world.run(world.started(flow(world)))

    assert json.loads(world.echo.calls[0][2])["key"] == "from-a-file"


class TestCanary:
    """No secret is in anything that is stored, logged, measured, traced, published or answered."""

    def test_no_secret_comes_out(
        self,
        world: World,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon, caplog.at_level(logging.INFO):
            daemon.bind(("127.0.0.1", 0))
            daemon.settimeout(0)
            trace(monkeypatch, daemon)
            sids = stories(world)
            came_out = [
                *tables(),
                *answers(world, sids),
                *published(),
                *datagrams(daemon),
                # ``responses`` is the emulator's, and logs the URLs that it lets through.
                *(f"{vars(one)} {one.exc_info}" for one in caplog.records if one.name != "responses"),
                capsys.readouterr().out,
            ]

        assert len(world.echo.calls) >= 12
        assert all("c4n4ry" in body for _, _, body in world.echo.received)
        assert [text[:2_000] for text in came_out if "c4n4ry" in text] == []
        # The search would have found something: the references are there.
        assert any("{{secret.gateway#key}}" in text for text in came_out)
        assert any("***" in text for text in came_out)


def trace(monkeypatch: pytest.MonkeyPatch, daemon: socket.socket) -> None:
    host, port = daemon.getsockname()
    monkeypatch.setenv("TRACING", "Active")
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"{host}:{port}")
    root = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    monkeypatch.setenv("_X_AMZN_TRACE_ID", root)
    bootstrap.settings.cache_clear()


def stories(world: World) -> list[str]:
    """Run a call in every way it can end, with and without a token. Return the instances."""
    sids = []
    for index, authorized in enumerate((False, True)):
        for place, (statuses, more) in enumerate(
            [
                ([200], {}),
                ([402], {}),
                ([500], {}),
                ([401, 401], {}),
                ([429], {}),
                ([DROP], {}),
                ([DROP], {"in_doubt": "pause"}),
                ([200], {"controllerCallback": '{"fail": string(response.text)}'}),
                ([200], {"controllerCallback": '{"attributes": {"seen": string(response.text)}}'}),
                ([200], {"controllerCallback": "response.nosuch"}),
            ]
        ):
            world.echo.statuses = list(statuses)
            # A cached value is stale, so that a 401 is repaired.
            world.rotate(10 * index + place)
            sid = world.started(flow(world, authorized=authorized, **more), f"flow-{index}-{place}")
            world.run(sid)
            sids.append(sid)
    world.clock.at += MAX_AGE
    # A secret that no header can have, one without the key, and none.
    for value in (json.dumps({"key": "c4n4ry-1", "header": "c4n4ry\nX: 1"}), '{"kez": "c4n4ry-2"}', None):
        manager = boto3.client("secretsmanager")
        if value is None:
            manager.delete_secret(SecretId=f"{PREFIX}gateway", ForceDeleteWithoutRecovery=True)
        else:
            manager.put_secret_value(SecretId=f"{PREFIX}gateway", SecretString=value)
        sid = world.started(flow(world), f"broken-{len(sids)}")
        world.run(sid)
        sids.append(sid)
        world.clock.at += MAX_AGE
    return sids


def tables() -> Iterator[str]:
    client = boto3.client("dynamodb")
    for name in client.list_tables()["TableNames"]:
        for page in client.get_paginator("scan").paginate(TableName=name):
            yield from (repr(item) for item in page["Items"])


def answers(world: World, sids: list[str]) -> Iterator[str]:
    """Return the answers of all reading routes about the instances, and those with settings."""
    for route in (route for route in ROUTES if route.method == "GET" and "bulk" not in route.path):
        if "key_id" in route.path or route.path == "/webhook":
            continue
        # Strategies differ in nothing that matters here.
        of_instances = "<" in route.path and "strategy" not in route.path
        for sid in sids if of_instances else sids[:1]:
            named = world.strategies[sid] if "strategy" in route.path else sid
            named = f"{sid}-1" if "execution-event" in route.path else named
            path = route.path.replace("<sid>", named).replace("<version>", "1")
            yield json.dumps(world.call("GET", path))
    for sid in sids:
        yield json.dumps(world.call("POST", f"/execution-instance/{sid}/pause?include=settings"))
    simulate = f"/execution-strategy/{world.strategies[sids[0]]}/simulate-execution"
    yield json.dumps(world.call("POST", simulate, {"cycles": 2}))


def published() -> list[str]:
    """Return the requests that the publisher sends about everything that is stored."""
    sent: list[str] = []

    class Events:
        """An events client that accepts everything."""

        def put_events(self, entries: Sequence[Mapping[str, Any]]) -> Any:
            sent.append(json.dumps(entries))
            return {"Entries": [{"EventId": "e"} for _ in entries], "FailedEntryCount": 0}

    # The only place at which a client of AWS can be given to the real adapters.
    force_setattr(bootstrap.publisher().bus, "client", Events)  # type: ignore[arg-type]
    client, number = boto3.client("dynamodb"), 0
    names = bootstrap.settings().tables
    keys = {names.instances: ("sid",), names.strategies: ("sid", "sk")}
    for table, of in keys.items():
        for item in client.scan(TableName=table)["Items"]:
            number += 1
            publisher({"Records": [record_of(table, of, None, item, number=number)]}, Context())  # type: ignore[arg-type]
    assert sent
    return sent


def datagrams(daemon: socket.socket) -> Iterator[str]:
    count = 0
    while True:
        try:
            yield daemon.recv(65_536).decode()
        except BlockingIOError:
            break
        count += 1
    assert count
