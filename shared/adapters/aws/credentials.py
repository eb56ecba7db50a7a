"""Where the credentials of requests come from."""

from collections.abc import Callable, Mapping
from typing import Any

from shared.adapters.aws.errors import UnansweredError
from shared.adapters.aws.signing import Credentials

CredentialSource = Callable[[], Credentials]
"""Returns the credentials for the next request.

Raises: NoCredentialsError. UnansweredError: they could not be fetched for now.
"""


class NoCredentialsError(Exception):
    """There are no credentials."""


def credential_source(environment: Mapping[str, str]) -> CredentialSource:
    """Return the source of this process's credentials, in botocore's order.

    Lambda has them in the environment, for as long as a container lives. Under SnapStart, on a developer's machine and
    elsewhere botocore finds them and fetches new ones before they expire.
    """
    access_key, secret_key = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if access_key and secret_key:
        found = Credentials(
            access_key=access_key, secret_key=secret_key, token=environment.get("AWS_SESSION_TOKEN") or None
        )
        return lambda: found
    return _from_botocore()


def _from_botocore() -> CredentialSource:
    # An import of a tenth of a second, which Lambda does without.
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    from botocore.session import Session  # noqa: PLC0415

    session: Any = Session()

    def current() -> Credentials:
        # The session keeps them, and fetches new ones when these are about to expire.
        try:
            resolved = session.get_credentials()
            frozen = None if resolved is None else resolved.get_frozen_credentials()
        except BotoCoreError as error:
            raise UnansweredError(f"credentials: {type(error).__name__}") from error
        if frozen is None:
            raise NoCredentialsError("there are no AWS credentials in the environment, a profile, or a role")
        return Credentials(access_key=frozen.access_key, secret_key=frozen.secret_key, token=frozen.token)

    return current
