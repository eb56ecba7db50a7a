"""Runs the workload on our step runner: its deployed handler with real adapters and an emulated DynamoDB."""

import base64
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dev.bench.work import REFUSED_EVERY, STEPS, engine_arguments
from dev.emulator import Emulator
from dev.memory.world import ManualClock
from dev.template import REGION, Template
from dev.workers import ROOT
from shared import bootstrap
from shared.adapters.aws.client import AwsClient
from shared.adapters.aws.http import HttpTransport
from shared.application.ports import Ports
from shared.application.start import StartInstance, start_instance
from shared.application.strategies import NewStrategy, create_strategy
from shared.domain.ids import AccountId, InstanceSid
from shared.domain.instance.model import InstanceStatus
from shared.domain.strategy.model import Json

WARM_UP = 20
AHEAD = timedelta(hours=1)
"""How far ahead the instances begin, so that no schedule fires during the measurement."""


@dataclass
class Context:
    """A Lambda context."""

    aws_request_id: str = "bench"
    function_name: str = "bench"
    memory_limit_in_mb: int = 1024
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:bench"

    def get_remaining_time_in_millis(self) -> int:
        """Return the full time of an invocation on AWS."""
        return 900_000


class Meter:
    """The CPU seconds spent in a method of a class, over all its instances, and the number of calls."""

    def __init__(self, owner: type, name: str) -> None:
        self.cpu, self.times = 0.0, 0
        self._owner, self._name = owner, name

    def watch(self) -> None:
        """Begin to measure."""
        method = getattr(self._owner, self._name)

        def measured(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - any method
            before = time.process_time()
            try:
                return method(*args, **named)
            finally:
                self.cpu += time.process_time() - before
                self.times += 1

        setattr(self._owner, self._name, measured)


def settings(port: int) -> dict[str, Json]:
    """Return the settings of a strategy with three calls a month."""
    keys = [f"step-{number}" for number in range(STEPS)]
    return {
        "schedule": {
            "calendars": [
                {"key": "monthly", "task": "main", "scheduleAfter": {"unit": "months", "amount": 1}}
            ]
        },
        "services": [
            {
                "key": "service",
                "baseUrls": [{"environment": "dev", "url": f"http://127.0.0.1:{port}"}],
                "methods": [{"key": "step", "url": "/step", "method": "post"}],
            }
        ],
        "actions": [
            {
                "key": key,
                "service": "service",
                "method": "step",
                "data": {"task": "{{attributes.task}}", "step": number},
            }
            for number, key in enumerate(keys)
        ],
        "tasks": [
            {
                "key": "main",
                "initialStep": keys[0],
                "retryConfig": {
                    "times": 3,
                    "retryAfter": {"unit": "seconds", "amount": 1},
                    "jitterPercent": 0,
                },
                "steps": [
                    {"key": key, "action": key, **({"nextStep": after} if after else {"final": True})}
                    for key, after in zip(keys, [*keys[1:], None], strict=True)
                ],
            }
        ],
    }


def deployed(folder: Path, emulator: Emulator) -> None:
    """Create an empty deployment on the emulator, and set its environment variables in this process."""
    key = base64.b64encode(b"k" * 32).decode()
    parameters = {
        "Stage": "bench",
        "Environment": "dev",
        "SettingsKeyArn": f"local:{key}",
        "PepperSecretArn": "local:" + "p" * 32,
        "AllowedCidrs": "127.0.0.0/8",
    }
    template = Template(ROOT / "template.yaml", parameters)
    emulator.create_tables(template.tables())
    emulator.client("scheduler").create_schedule_group(Name=template.schedule_group())
    runner = next(function for function in template.functions() if function.logical_id == "CoreApi")
    os.environ.update(runner.environment)
    os.environ.update(
        AWS_DEFAULT_REGION=REGION,
        AWS_ACCESS_KEY_ID="local",
        AWS_SECRET_ACCESS_KEY="local",  # noqa: S106 - the emulator takes any
        AWS_ENDPOINT_URL=emulator.endpoint,
        AWS_CONFIG_FILE=str(folder / "none"),
    )


def instances(ports: Ports, port: int, tasks: range, at: datetime) -> list[InstanceSid]:
    """Start one instance for each task, all due at an instant, and return their sids."""
    new = NewStrategy(account_id=AccountId("bench"), name="work", settings=settings(port))
    head, _ = create_strategy(ports, bootstrap.hasher(), new, environment="dev")
    strategy = ports.strategies.load(head.sid, head.version)
    arguments = [
        StartInstance(strategy_id="work", attributes={"task": task}, start_date=at) for task in tasks
    ]
    return [start_instance(ports, strategy, request).instance.sid for request in arguments]


def check(ports: Ports, sids: list[InstanceSid]) -> None:
    """Check that every task was done and its next cycle is planned. Exit if not."""
    for sid in sids:
        instance = ports.instances.load(sid)
        if instance is None or instance.status is not InstanceStatus.ACTIVE or instance.plan.cycle != 2:
            sys.exit(f"{sid} did not come through: {instance}")


def main() -> None:
    """Do the tasks one after another and write the measured CPU seconds."""
    arguments = engine_arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        emulator = Emulator(folder, url="http://127.0.0.1:9", runner="none", dead_letters="none")
        try:
            deployed(folder, emulator)
            figures = measured(emulator, arguments.tasks, arguments.port)
        finally:
            emulator.stop()
    arguments.result.write_text(json.dumps(figures))


def measured(emulator: Emulator, tasks: int, port: int) -> Mapping[str, float]:
    """Return the figures for so many tasks."""
    from functions.step_runner.handler import lambda_handler  # noqa: PLC0415 - reads the environment

    clock = ManualClock(datetime.now(UTC).replace(microsecond=0))
    bootstrap.use_clock(clock)
    ports = bootstrap.ports()
    sids = instances(ports, port, range(-WARM_UP, tasks), clock.at + AHEAD)
    clock.at += AHEAD
    context: Any = Context()
    for sid in sids[:WARM_UP]:
        lambda_handler({"sid": sid}, context)
    urllib.request.urlopen(f"http://127.0.0.1:{port}/").close()
    client, transport = Meter(AwsClient, "call"), Meter(HttpTransport, "send")
    for meter in (client, transport):
        meter.watch()
    outside = emulator.cpu_seconds()
    before = time.process_time()
    for sid in sids[WARM_UP:]:
        lambda_handler({"sid": sid}, context)
    clock.at += timedelta(seconds=2)
    for sid in sids[WARM_UP::REFUSED_EVERY]:
        lambda_handler({"sid": sid}, context)
    cpu = time.process_time() - before
    figures = {
        "cpu": cpu,
        "AWS client": client.cpu,
        "its transport": transport.cpu,
        "emulator": emulator.cpu_seconds() - outside,
        "trips": transport.times,
    }
    check(ports, sids[WARM_UP:])
    return figures


if __name__ == "__main__":
    main()
