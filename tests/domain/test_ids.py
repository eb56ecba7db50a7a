"""Ids contain their owners. Source: docs/design.md sections 2 and 3."""

import pytest

from shared.domain.ids import (
    EventSid,
    InstanceSid,
    call_key,
    correlation_id,
    event_address,
    event_sid,
    wakeup_name,
)

SID = InstanceSid("0d9c2a4e-8f3b-4c6d-9a1e-5b7f0c2d4e6f")
EVENT = EventSid("0d9c2a4e-8f3b-4c6d-9a1e-5b7f0c2d4e6f-12")


class TestEventSids:
    """An event's sid is its instance's sid and its number."""

    def test_a_sid_is_made_of_instance_and_number(self) -> None:
        assert event_sid(SID, 12) == EVENT

    def test_a_sid_leads_back_to_instance_and_number(self) -> None:
        assert event_address(EVENT) == (SID, 12)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "12",
            "-12",
            "abc",
            "abc-",
            "abc-0",
            "abc-012",
            "abc-x",
            "abc-123456789",
            "a b-1",
            "a#b-1",
            "é-1",
            "abc-1\n",
        ],
    )
    def test_texts_that_are_no_event_sid_are_refused(self, text: str) -> None:
        assert event_address(text) is None

    def test_a_too_long_owner_is_refused(self) -> None:
        assert event_address(f"{'a' * 41}-1") is None


class TestOtherIds:
    """The ids of calls, answers and wakeups begin with their event's."""

    def test_a_call_key_has_run_and_visit(self) -> None:
        assert call_key(EVENT, run=2, visit=3) == f"{EVENT}-2-3"

    def test_a_correlation_id_ends_with_an_unguessable_token(self) -> None:
        assert correlation_id(EVENT, "t0k3n") == f"{EVENT}.t0k3n"

    def test_a_wakeup_has_a_new_name_for_each_new_date(self) -> None:
        assert wakeup_name(EVENT, 1) == f"{EVENT}-1"
        assert wakeup_name(EVENT, 2) == f"{EVENT}-2"

    def test_the_longest_wakeup_name_fits_a_schedule(self) -> None:
        assert len(wakeup_name(event_sid(SID, 99_999_999), 99_999_999)) <= 64
