from types import SimpleNamespace

import botocore.endpoint
import pytest


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let botocore repeat requests without waiting, because only the number of attempts matters here."""
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _seconds: None))
