"""Settings without credentials. Source: docs/contracts/core.md sections 4 (14) and 4.1."""

import pytest

from shared.domain.strategy.redaction import is_secret_header, without_credentials


@pytest.mark.parametrize(
    "name",
    ["Authorization", "proxy-authorization", "X-Api-Key", "apikey", "X-Auth", "Cookie", "X-Amz-Security-Token",
     "X-Signature", "Client-Secret", "X-Password", "X-Session-Id", "My-Idempotency-Key"],
)  # fmt: skip
def test_headers_with_credentials_are_secret(name: str) -> None:
    assert is_secret_header(name)


@pytest.mark.parametrize("name", ["Content-Type", "Accept", "X-Tenant", "Idempotency-Key", "idempotency-key"])
def test_other_headers_are_not_secret(name: str) -> None:
    assert not is_secret_header(name)


def test_authorizations_and_secret_headers_are_left_out() -> None:
    settings = {
        "services": [{"key": "api", "authorization": [{"url": "https://a"}], "credentialPath": "t"}, {"key": "b"}],
        "actions": [
            {"key": "a", "headers": {"X-Api-Key": "k", "Accept": "*/*"}, "data": {"key": "{{secret.a}}"}},
            {"key": "b", "headers": {"Authorization": "k"}},
            {"key": "c", "headers": None},
            {"key": "d"},
        ],
        "tasks": [{"key": "t"}],
    }  # fmt: skip

    assert without_credentials(settings) == {
        "services": [{"key": "api", "credentialPath": "t"}, {"key": "b"}],
        "actions": [
            {"key": "a", "headers": {"Accept": "*/*"}, "data": {"key": "{{secret.a}}"}},
            {"key": "b", "headers": {}},
            {"key": "c", "headers": None},
            {"key": "d"},
        ],
        "tasks": [{"key": "t"}],
    }


def test_settings_without_these_parts_stay() -> None:
    assert without_credentials({"tasks": []}) == {"tasks": []}
