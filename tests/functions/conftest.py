"""An empty deployment of the template on emulated services."""

import base64
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from dev.memory.world import ManualClock
from dev.template import Template
from shared import bootstrap
from shared.adapters.system import SystemClock
from shared.domain.access import AccessKey, Role
from shared.domain.ids import AccountId
from tests.functions.environments import environment

ROOT = Path(__file__).parents[2]
PEPPER = "local:" + "p" * 32
KEYS = ("local:" + base64.b64encode(b"k" * 32).decode(), "kms")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the environment of the template. The test chooses the ports."""
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    bootstrap.forget()
    yield
    bootstrap.forget()


@pytest.fixture(params=KEYS, ids=["local key", "kms"])
def deployment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ManualClock]:
    """Create an empty deployment of the template and return its clock."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        key = request.param
        if key == "kms":
            key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        parameters = {
            "Stage": "test",
            "Environment": "dev",
            "SettingsKeyArn": key,
            "PepperSecretArn": PEPPER,
        }
        template = Template(ROOT / "template.yaml", parameters)
        for table in template.tables():
            boto3.client("dynamodb").create_table(**table)
        boto3.client("scheduler").create_schedule_group(Name=template.schedule_group())
        for name, value in template.environment("CoreApi").items():
            monkeypatch.setenv(name, value)
        bootstrap.forget()
        clock = ManualClock(SystemClock().now())
        bootstrap.use_clock(clock)
        bootstrap.ports().access.put_key(
            AccessKey(
                key_id="admin",
                account_id=AccountId("a-1"),
                role=Role.ADMIN,
                secret_hash=bootstrap.hasher().hash("secret"),
                created_at=clock.now(),
            )
        )
        yield clock
        bootstrap.forget()
