"""Fixtures of the budgets."""

import pytest

from tests.bench.rig import Rig, rig_on
from tests.engines import DynamoDb


@pytest.fixture
def rig(moto: DynamoDb) -> Rig:
    return rig_on(moto)
