"""DynamoDB as two emulators implement it, for the tests that need it.

Expressions are evaluated in the process of the test; tests/adapters/evaluator tests the process of its own.
Only tests that use an emulator on this machine may open a socket, and only to it. Tests with random input or many
seeds run without coverage, so that coverage counts specified behavior only.
"""

import re
from collections.abc import Iterator
from itertools import count

import boto3
import pytest

# Its socket class inherits the guard of tests without sockets for good, if one of them is the first to import it.
import shared.adapters.http.egress  # noqa: F401 - see above
from dev.memory.evaluator import InProcessEvaluator
from shared.expressions import use_evaluator
from tests.engines import DynamoDb, a_session, moto_dynamodb, roto_dynamodb, roto_server
from tests.moto_bridge import bridge

NUMBERS = count(1)
EXPLORING = re.compile(
    r"/simulation/|_properties\.py$|/(test_foresight|test_state_machines|test_core_settings_schema)\.py$"
)


bridge()
use_evaluator(InProcessEvaluator())  # for the strategies that test modules make when they are imported


def pytest_runtest_setup() -> None:
    """Evaluate in this process, whatever the test before has set."""
    use_evaluator(InProcessEvaluator())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests with random input without tracing, which would double their time."""
    for item in items:
        if EXPLORING.search(item.path.as_posix()):
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    return a_session()


@pytest.fixture(scope="session")
def roto_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with roto_server(tmp_path_factory.mktemp("roto")) as address:
        yield address


@pytest.fixture
def moto(session: boto3.Session) -> Iterator[DynamoDb]:
    with moto_dynamodb(session, next(NUMBERS)) as dynamodb:
        yield dynamodb


@pytest.fixture
def roto(session: boto3.Session, roto_address: str) -> Iterator[DynamoDb]:
    with roto_dynamodb(session, roto_address, next(NUMBERS)) as dynamodb:
        yield dynamodb


@pytest.fixture(params=["moto", pytest.param("roto", marks=pytest.mark.allow_hosts(["127.0.0.1"]))])
def dynamodb(request: pytest.FixtureRequest) -> DynamoDb:
    found: DynamoDb = request.getfixturevalue(request.param)
    return found
