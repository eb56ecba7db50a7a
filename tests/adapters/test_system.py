"""The system's clock and randomness."""

import re
from datetime import UTC

from shared.adapters.system import SystemClock, SystemIds, entropy, monotonic, uuid7
from shared.domain.ids import event_address, event_sid


class TestTheClock:
    """Instants are aware, in UTC, in whole milliseconds."""

    def test_the_clock_returns_whole_milliseconds_in_utc(self) -> None:
        now = SystemClock().now()

        assert now.tzinfo is UTC
        assert now.microsecond % 1000 == 0

    def test_the_clock_sleeps_only_for_positive_times(self) -> None:
        clock = SystemClock()
        began = monotonic()

        clock.sleep(-1)
        clock.sleep(0.02)

        assert 0.02 <= monotonic() - began < 2


class TestIds:
    """Ids are unique, sortable by time, and can be extended by events and calls."""

    def test_a_uuid_of_version_7_holds_its_milliseconds(self) -> None:
        assert uuid7(0x017F22E279B0, bytes(10)) == "017f22e2-79b0-7000-8000-000000000000"
        assert uuid7(0x017F22E279B0, b"\xff" * 10) == "017f22e2-79b0-7fff-bfff-ffffffffffff"

    def test_sids_differ_and_name_events_that_lead_back(self) -> None:
        first, second = SystemIds().instance_sid(), SystemIds().instance_sid()

        assert first != second
        assert event_address(event_sid(first, 7)) == (first, 7)

    def test_tokens_are_long_and_safe_in_a_url(self) -> None:
        assert re.fullmatch(r"[A-Za-z0-9_-]{24}", SystemIds().token())

    def test_shards_are_sixteen(self) -> None:
        assert {SystemIds().shard() for _ in range(2000)} == set(range(16))

    def test_entropy_has_the_requested_length(self) -> None:
        assert len(entropy(12)) == 12
