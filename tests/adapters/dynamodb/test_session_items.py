"""When DynamoDB may delete a session. Source: docs/design.md section 2, access; docs/decisions/0026."""

from datetime import timedelta

from shared.adapters.dynamodb.items import SESSION_KEPT, session_item
from tests import full


def test_a_session_expires_a_day_after_its_idle_end() -> None:
    item = session_item(full.SESSION)

    assert timedelta(days=1) == SESSION_KEPT
    assert item["expiresAt"] == {"N": str(round((full.SESSION.idle_until + timedelta(days=1)).timestamp()))}
    assert item["pk"] == {"S": "session#70ce11"}


def test_the_token_of_a_session_is_stored_as_a_hash() -> None:
    assert set(session_item(full.SESSION)) == {"pk", "sk", "accountId", "schema", "doc", "expiresAt"}
