"""The first key of an account, written into the tables of a deployment."""

import io
import json
import zipfile
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from dev.key import main
from dev.template import Template
from shared import bootstrap
from shared.domain.access import Role
from tests.functions.environments import PARAMETERS, ROOT

NAME = "ritornello-test-core-api"


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Template]:
    """Create the tables and the API function of a deployment, without its settings in the environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    template = Template(ROOT / "template.yaml", PARAMETERS)
    (function,) = [one for one in template.functions() if one.name == NAME]
    for name in function.environment:
        monkeypatch.setenv(name, "")  # restored after the test, because the command sets it
    bootstrap.forget()
    with mock_aws():
        for table in template.tables():
            boto3.client("dynamodb").create_table(**table)
        role = boto3.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps({}))
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("handler.py", "")
        boto3.client("lambda").create_function(
            FunctionName=NAME,
            Runtime="python3.13",
            Role=role["Role"]["Arn"],
            Handler=function.handler,
            Code={"ZipFile": code.getvalue()},
            Environment={"Variables": dict(function.environment)},
        )
        yield template
    bootstrap.forget()


class TestMakingAKey:
    """`make key` prints a token for its deployment."""

    def test_the_printed_token_opens_the_api(
        self, deployed: Template, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert deployed.schedule_group()

        assert (
            main(["--account", "acme", "--role", "admin", "--stage", "test", "--description", "first"]) == 0
        )

        key_id, _, secret = capsys.readouterr().out.strip().partition(".")
        key = bootstrap.ports().access.key(key_id)
        assert key is not None
        assert (key.account_id, key.role, key.created_by) == ("acme", Role.ADMIN, "make key")
        assert bootstrap.hasher().matches(secret, key.secret_hash)

    def test_the_new_key_is_audited(self, deployed: Template) -> None:
        main(["--account", "acme", "--role", "viewer", "--stage", "test"])

        audit = boto3.client("dynamodb").scan(TableName=f"{deployed.schedule_group()}-audit")["Items"]
        assert [json.loads(item["doc"]["S"])["command"] for item in audit] == ["create-key"]

    def test_a_refusal_of_aws_is_one_line(
        self, deployed: Template, capsys: pytest.CaptureFixture[str]
    ) -> None:
        boto3.client("dynamodb").delete_table(TableName=f"{deployed.schedule_group()}-access")

        assert main(["--account", "acme", "--role", "viewer", "--stage", "test"]) == 1

        (line,) = capsys.readouterr().err.splitlines()
        assert "ResourceNotFoundException" in line

    def test_an_unknown_role_is_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(["--account", "acme", "--role", "owner"])

        assert "invalid choice: 'owner'" in capsys.readouterr().err
