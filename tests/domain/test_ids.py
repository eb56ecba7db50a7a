"""Names tell where their things live. Source: design sections 2 and 3."""

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
    """An event's sid is its instance's with its number: it locates its owner."""

    def test_a_sid_is_made_of_instance_and_number(self) -> None:
        assert event_sid(SID, 12) == EVENT

    def test_and_leads_back_to_them(self) -> None:
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
    def test_any_other_text_is_no_event_sid(self, text: str) -> None:
        assert event_address(text) is None

    def test_an_owner_longer_than_any_sid_is_none(self) -> None:
        assert event_address(f"{'a' * 41}-1") is None


class TestOtherNames:
    """Calls, answers and doorbells are named after their event."""

    def test_a_call_is_named_by_run_and_visit(self) -> None:
        assert call_key(EVENT, run=2, visit=3) == f"{EVENT}-2-3"

    def test_an_answer_is_addressed_by_a_name_that_ends_in_an_unguessable_token(self) -> None:
        assert correlation_id(EVENT, "t0k3n") == f"{EVENT}.t0k3n"

    def test_a_doorbell_has_a_new_name_for_each_new_date(self) -> None:
        assert wakeup_name(EVENT, 1) == f"{EVENT}-1"
        assert wakeup_name(EVENT, 2) == f"{EVENT}-2"

    def test_the_longest_doorbell_name_fits_a_schedule(self) -> None:
        assert len(wakeup_name(event_sid(SID, 99_999_999), 99_999_999)) <= 64
