"""Signatures, compared with those of botocore."""

from datetime import UTC, datetime
from typing import Any

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.aws.signing import Credentials, Signer

NOON = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
HOST = "dynamodb.eu-central-1.amazonaws.com"
TEXT = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs")), min_size=1, max_size=20)
PATHS = st.sampled_from(
    ["/", "/schedules/a-1.x_y~z", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu%3Af%3Alive/invocations"]
)


def by_botocore(
    path: str, headers: dict[str, str], body: bytes, credentials: Credentials, at: datetime, service: str
) -> str:
    """Return the header that botocore signs with."""
    request: Any = AWSRequest(
        method="POST",
        url=f"https://{HOST}{path}",
        headers={name: value for name, value in headers.items() if name != "host"},
        data=body,
    )
    signer = botocore.auth.SigV4Auth(
        BotocoreCredentials(credentials.access_key, credentials.secret_key, credentials.token),
        service,
        "eu-central-1",
    )
    request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)
    canonical = signer.canonical_request(request)
    signer._inject_signature_to_request(
        request, signer.signature(signer.string_to_sign(request, canonical), request)
    )
    return str(request.headers["Authorization"])


@given(
    path=PATHS,
    value=TEXT,
    body=st.binary(max_size=100),
    token=st.none() | st.text("abc+/=", min_size=1),
    service=st.sampled_from(["dynamodb", "lambda", "scheduler", "kms"]),
)
def test_a_request_is_signed_as_botocore_does(
    path: str, value: str, body: bytes, token: str | None, service: str
) -> None:
    credentials = Credentials(access_key="AKID", secret_key="secret", token=token)
    headers = {"host": HOST, "content-type": "application/x-amz-json-1.0", "x-amz-target": value}

    signed = Signer(service, "eu-central-1").signed(
        "POST", path, headers, body, credentials=credentials, at=NOON.timestamp()
    )

    assert signed["authorization"] == by_botocore(path, headers, body, credentials, NOON, service)


class TestOneSigner:
    """It signs for as long as a container lives: over midnight, and with new credentials."""

    @pytest.mark.parametrize(
        ("secret", "at"),
        [("secret", NOON), ("secret", NOON.replace(day=2, hour=0)), ("another", NOON)],
    )
    def test_a_key_is_for_its_day_and_secret(self, secret: str, at: datetime) -> None:
        first = Credentials(access_key="AKID", secret_key="secret")
        credentials = Credentials(access_key="AKID", secret_key=secret)
        signer = Signer("kms", "eu-central-1")
        headers = {"host": HOST}
        signer.signed("POST", "/", headers, b"", credentials=first, at=NOON.timestamp())

        signed = signer.signed("POST", "/", headers, b"", credentials=credentials, at=at.timestamp())

        assert signed["authorization"] == by_botocore("/", headers, b"", credentials, at, "kms")

    def test_the_token_of_a_session_is_sent_and_signed(self) -> None:
        credentials = Credentials(access_key="AKID", secret_key="secret", token="t-1")

        signed = Signer("kms", "eu-central-1").signed(
            "POST", "/", {"host": HOST}, b"", credentials=credentials, at=NOON.timestamp()
        )

        assert signed["x-amz-security-token"] == "t-1"
        assert "SignedHeaders=host;x-amz-date;x-amz-security-token" in signed["authorization"]

    def test_secrets_are_not_printed(self) -> None:
        shown = repr(Credentials(access_key="AKID", secret_key="hush", token="quiet"))

        assert "hush" not in shown
        assert "quiet" not in shown
