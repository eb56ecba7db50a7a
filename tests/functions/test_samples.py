"""The sample invocations of ``events/``, one for each function, for ``make invoke`` and ``sam local invoke``.

Together: the API starts an instance, the runner runs it, the sweeper finds no work, the bulk runner releases blocked
instances.
"""

import base64
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dev.memory.world import ManualClock
from functions.process_api.handler import lambda_handler as process_api
from shared import bootstrap
from shared.application.flags import pause_queue, resume_queue
from shared.application.sessions import key_of_session
from shared.application.strategies import NewStrategy, create_strategy
from shared.domain.access import AccessKey, Role
from shared.domain.ids import AccountId, InstanceSid
from shared.domain.instance.model import BlockedBy
from shared.domain.instance.verdict import Actor
from tests.functions.contexts import Context

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py"))
DEV = AccountId("dev")
ANN = Actor(name="ann")


def sample(function: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "events" / f"{function}.json").read_text())
    return found


def invoked(function: str) -> dict[str, Any]:
    handler = importlib.import_module(f"functions.{function}.handler").lambda_handler
    answer: dict[str, Any] = handler(sample(function), Context())
    return answer


@pytest.fixture
def prepared(deployment: ManualClock) -> None:
    """Create the account, key and strategy of the local stack in an empty deployment."""
    ports, hasher = bootstrap.ports(), bootstrap.hasher()
    strategy = json.loads((ROOT / "events" / "water-filter-refill.json").read_text())
    ports.access.put_key(
        AccessKey(
            key_id="dev",
            account_id=DEV,
            role=Role.ADMIN,
            secret_hash=hasher.hash("local-secret"),
            created_at=deployment.now(),
        )
    )
    new = NewStrategy(
        account_id=DEV, name=strategy["name"], settings=strategy["settings"], secret=strategy["secret"]
    )
    create_strategy(ports, hasher, new, environment="dev")


@pytest.mark.usefixtures("prepared")
class TestTheSamples:
    """Each sample is accepted by its function and shows the function's purpose."""

    def test_every_function_has_a_sample(self) -> None:
        assert [name for name in FUNCTIONS if not (ROOT / "events" / f"{name}.json").exists()] == []

    def test_the_api_starts_the_instance_that_the_runner_runs(self) -> None:
        answer = invoked("core_api")

        assert answer["statusCode"] == 201
        started = json.loads(answer["body"])["executionInstance"]
        assert started["sid"] == sample("step_runner")["sid"]
        assert invoked("core_api")["statusCode"] == 200

    def test_the_process_api_starts_a_process_with_a_status(self) -> None:
        answer = invoked("process_api")

        assert answer["statusCode"] == 200
        told = json.loads(answer["body"])
        assert told["message"] == "Process saved"
        instance = bootstrap.ports().instances.load(told["robustaSpid"])
        assert instance is not None
        assert (instance.origin.worker, instance.account_id) == ("1", DEV)
        event = sample("process_api")
        path = f"/scheduler/connector-api/process/status/{told['robustaSpid']}"
        http = {**event["requestContext"]["http"], "method": "GET", "path": path}
        event |= {"rawPath": path, "requestContext": {**event["requestContext"], "http": http}, "body": None}
        status: dict[str, Any] = process_api(event, Context())  # type: ignore[arg-type]
        assert json.loads(status["body"])["status"] == "WAITING"

    def test_the_automation_api_makes_a_definition_once(self) -> None:
        first, again = invoked("automation_api"), invoked("automation_api")

        assert first["statusCode"] == 201
        made = json.loads(first["body"])
        assert (made["definition"]["name"], made["version"]) == ("Say hello", 1)
        assert json.loads(again["body"]) == made

    def test_the_orders_api_opens_a_session(self) -> None:
        answer = invoked("orders_api")

        assert answer["statusCode"] == 200
        token = json.loads(answer["body"])["accessToken"]
        assert key_of_session(bootstrap.ports(), bootstrap.hasher(), token) == bootstrap.ports().access.key(
            "dev"
        )

    @pytest.mark.allow_hosts(["127.0.0.1"])  # to look the name up; the guard lets nothing out
    def test_the_runner_runs_the_started_instance(self) -> None:
        invoked("core_api")

        assert invoked("step_runner") == {"claimed": 1}

    def test_the_sweeper_finds_nothing_to_do(self) -> None:
        assert invoked("sweeper") == {"wakeups": 0, "failed": 0, "operations": 0, "left": 0}

    def test_the_bulk_runner_releases_blocked_instances(self) -> None:
        ports = bootstrap.ports()
        invoked("core_api")
        pause_queue(ports, DEV, by=ANN)
        assert invoked("step_runner") == {"claimed": 0}
        sid = InstanceSid(sample("step_runner")["sid"])
        held = ports.instances.load(sid)
        assert held is not None
        assert held.blocked_by is BlockedBy.QUEUE
        ports.instances.commit(
            replace(held, shard=0, rev=held.rev + 1)
        )  # the sample is of the first partition
        resume_queue(ports, DEV, by=ANN)

        assert invoked("sweeper")["operations"] == 16
        assert invoked("bulk_runner") == {"done": 1, "failed": 0}

        freed = ports.instances.load(sid)
        assert freed is not None
        assert freed.blocked_by is None


def test_the_samples_key_is_the_local_stacks() -> None:
    """The samples can be sent to the local stack unchanged."""
    headers = sample("core_api")["headers"]
    assert sample("automation_api")["headers"]["authorization"] == headers["authorization"]
    strategy = json.loads((ROOT / "events" / "water-filter-refill.json").read_text())

    assert headers["authorization"] == "Bearer dev.local-secret"
    basic = sample("process_api")["headers"]["authorization"].removeprefix("Basic ")
    assert base64.b64decode(basic).decode() == "dev:local-secret"
    assert base64.b64decode(headers["strategy-secret"]).decode() == strategy["secret"]
