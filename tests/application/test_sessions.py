"""Sessions. Source: docs/design.md section 9."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from dev.memory.world import ManualClock, MemoryPorts
from shared.adapters.crypto import SecretHasher
from shared.application.sessions import Expired, close_session, key_of_session, open_session
from shared.domain.access import AccessKey, Role
from shared.domain.ids import AccountId
from tests.application.bulk.bulk_worlds import Shop

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HASHER = SecretHasher(b"p" * 32)
KEY = AccessKey(key_id="k", account_id=AccountId("a-1"), role=Role.OPERATOR, secret_hash="x", created_at=NOON)


@pytest.fixture
def ports() -> MemoryPorts:
    ports = MemoryPorts(caller=Shop(), clock=ManualClock(NOON))
    ports.access.put_key(KEY)
    return ports


def opened(ports: MemoryPorts) -> str:
    return open_session(ports, HASHER, KEY.account_id, KEY.key_id)


class TestASession:
    """A session has the role of its key as it is now, until half an hour after its last use."""

    def test_a_token_returns_its_key(self, ports: MemoryPorts) -> None:
        token = opened(ports)

        assert key_of_session(ports, HASHER, token) == KEY
        assert key_of_session(ports, HASHER, token + "x") is None

    def test_each_session_has_its_own_token(self, ports: MemoryPorts) -> None:
        one, two = opened(ports), opened(ports)
        close_session(ports, HASHER, one)

        assert key_of_session(ports, HASHER, one) is None
        assert key_of_session(ports, HASHER, two) == KEY

    @pytest.mark.parametrize(("seconds", "lives"), [(1799, True), (1800, False), (90_000, False)])
    def test_a_session_ends_half_an_hour_after_its_last_use(
        self, ports: MemoryPorts, seconds: int, *, lives: bool
    ) -> None:
        token = opened(ports)
        ports.clock.at += timedelta(seconds=1700)
        key_of_session(ports, HASHER, token)
        ports.clock.at += timedelta(seconds=seconds)

        assert key_of_session(ports, HASHER, token) == (KEY if lives else Expired(key_id="k"))

    def test_a_session_of_a_removed_key_is_unknown(self, ports: MemoryPorts) -> None:
        token = opened(ports)
        del ports.access.all_keys["k"]

        assert key_of_session(ports, HASHER, token) is None

    def test_a_session_needs_a_key_of_its_own_account(self, ports: MemoryPorts) -> None:
        token = opened(ports)
        ports.access.put_key(replace(KEY, account_id=AccountId("a-2")))

        assert key_of_session(ports, HASHER, token) is None

    def test_closing_an_unknown_session_changes_nothing(self, ports: MemoryPorts) -> None:
        close_session(ports, HASHER, "made-up")

        assert ports.access.sessions == {}
