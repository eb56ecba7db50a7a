"""Accounts of the automation dialect."""

import pytest

from tests.dialects.automation.accounts import Account, Make


@pytest.fixture
def make(automation: object) -> Make:
    assert automation is not None, "it sets the environment"
    return Account
