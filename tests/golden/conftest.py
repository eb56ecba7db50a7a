from collections.abc import Iterator

import pytest

from tests.engines import DynamoDb
from tests.golden.files import tables


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[DynamoDb]:
    """Return tables that every golden of a module uses, one after another."""
    with tables() as made:
        yield made
