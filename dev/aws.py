"""Our own AWS clients with the credentials of a boto3 session, for tools and tests that have one."""

import boto3

from shared.adapters.aws.client import Timing
from shared.adapters.aws.session import AwsSession
from shared.adapters.dynamodb.client import DynamoDbClient, connect
from shared.adapters.system import entropy, epoch_seconds, fraction, wait

TIMING = Timing(now=epoch_seconds, sleep=wait, random=fraction)


def session_of(session: boto3.Session, *, timing: Timing = TIMING) -> AwsSession:
    """Return a session with the Region and the credentials of another. Raises: ValueError: it has none."""
    found = session.get_credentials()
    if found is None or session.region_name is None:
        raise ValueError("the session has no credentials or no Region")
    credentials = found.get_frozen_credentials()
    environment = {
        "AWS_REGION": session.region_name,
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.token or "",
    }
    return AwsSession(environment, timing)


def database(session: boto3.Session, *, url: str | None = None, timing: Timing = TIMING) -> DynamoDbClient:
    """Return a client of DynamoDB, at another URL than AWS's if one is given."""
    return connect(session_of(session, timing=timing), entropy=entropy, url=url)
