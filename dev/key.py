"""Writes an access key into a deployment's table, for an account that has none yet.

``make key ACCOUNT= ROLE=``.

For further keys use the API (``POST /access-key``). The table and the pepper are read from the settings of the
deployed API function and the secret that they name. So this needs credentials for ``lambda:GetFunctionConfiguration``
on that function, for ``kms:Decrypt`` on the key of settings, for ``secretsmanager:GetSecretValue`` on the secret, and
for ``dynamodb:PutItem`` on the tables of keys and of audit entries.
"""

import argparse
import json
import os
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

from dev.local_functions import read
from shared import bootstrap
from shared.adapters.aws.errors import AwsError
from shared.application.keys import create_key
from shared.application.ports import UnavailableError
from shared.domain.access import Role
from shared.domain.ids import AccountId
from shared.domain.instance.verdict import Actor


def make_key(account: str, role: Role, *, stage: str, description: str, local: str | None = None) -> str:
    """Store a new key of an account. Return its token, ``<keyId>.<secret>``, to show once.

    ``local`` is the address of a local stack, whose table gets the key instead of the stage's.
    """
    # The adapters read the settings of the deployed function.
    os.environ.update(_settings(stage) if local is None else _local_settings(local))
    by = Actor(name="make key", reason=description or None)
    ports, hasher = bootstrap.ports(), bootstrap.hasher()
    _, token = create_key(ports, hasher, AccountId(account), role, description=description, by=by)
    return token


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the token of a new key, or one line that says why there is none."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--account", required=True)
    parser.add_argument("--role", required=True, choices=[role.value for role in Role])
    parser.add_argument("--stage", default="prod", help="which deployment")
    parser.add_argument("--description", default="")
    parser.add_argument("--local", metavar="URL", help="the local stack at this address instead of AWS")
    options = parser.parse_args(arguments)
    try:
        token = make_key(
            options.account,
            Role(options.role),
            stage=options.stage,
            description=options.description,
            local=options.local,
        )
    except (ClientError, AwsError, UnavailableError) as error:
        # Most often a right that is missing. The message names the action.
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{token}\n")
    return 0


def _settings(stage: str) -> dict[str, str]:
    """Return the settings of a deployment."""
    name = f"ritornello-{stage}-core-api"
    function = boto3.client("lambda").get_function_configuration(FunctionName=name)
    settings: dict[str, str] = function["Environment"]["Variables"]
    return settings


def _local_settings(url: str) -> dict[str, str]:
    """Return the settings of the local stack at an address."""
    with urllib.request.urlopen(f"{url}/_local/database", timeout=10) as answer:  # noqa: S310 - given by the user
        file = Path(json.loads(answer.read())["functions"])
    return dict(read(file).functions["CoreApi"].environment)


if __name__ == "__main__":
    sys.exit(main())
