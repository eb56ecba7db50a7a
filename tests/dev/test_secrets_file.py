"""The secrets of the local stack are in a file."""

import json
from pathlib import Path

import pytest

from dev.secrets_file import FileSecrets
from shared.adapters.secrets import NoSecretError
from shared.domain.ids import AccountId
from shared.domain.strategy.secret_names import SecretKind

DEV = AccountId("dev")
SECRET, PARAMETER = SecretKind.SECRET, SecretKind.PARAMETER
EXAMPLE = Path(__file__).parents[2] / "events" / "local-secrets.json"


def refusal(path: Path | str, name: str = "mail", account: str = "dev") -> str:
    with pytest.raises(NoSecretError) as refused:
        FileSecrets(str(path)).fetch(SECRET, AccountId(account), name)
    return str(refused.value)


def test_the_example_has_secrets_and_parameters() -> None:
    secrets = FileSecrets(str(EXAMPLE))

    assert secrets.fetch(SECRET, DEV, "mail") == "demo-mail-key-not-a-secret"
    assert secrets.fetch(PARAMETER, DEV, "crm/token") == "demo-crm-token-not-a-secret"
    payments = secrets.fetch(SECRET, DEV, "payments")
    assert payments is not None
    assert json.loads(payments)["key"] == "demo-key-not-a-secret"


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text('{"dev": {"secret": {"mail": "one"}}}')
    secrets = FileSecrets(str(file))
    assert secrets.fetch(SECRET, DEV, "mail") == "one"
    file.write_text('{"dev": {"secret": {"mail": "two"}}}')

    assert secrets.fetch(SECRET, DEV, "mail") == "two"


def test_accounts_have_secrets_of_their_own() -> None:
    assert refusal(EXAMPLE, account="other") == "there is none in SECRETS_FILE under 'other', 'secret'"
    assert refusal(EXAMPLE, "crm/token") == "there is none in SECRETS_FILE under 'dev', 'secret'"


@pytest.mark.parametrize("text", ["[]", '{"dev": 1}', '{"dev": {"secret": "x"}}'])
def test_a_file_of_another_form_has_no_secrets(tmp_path: Path, text: str) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(text)

    assert refusal(file) == "there is none in SECRETS_FILE under 'dev', 'secret'"


def test_a_file_that_cannot_be_read_is_reported_without_its_text(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text('{"dev": hush')

    assert refusal(file) == "SECRETS_FILE is no JSON"
    assert refusal(tmp_path / "nosuch") == "SECRETS_FILE cannot be read: No such file or directory"
    assert refusal("") == "there is none, because SECRETS_FILE names no file"
