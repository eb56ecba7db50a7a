"""The attributes and reasons by which an instance is found. Source: docs/contracts/core.md section 5."""

import pytest

from shared.domain.instance.lookup import attribute_text, searched_attributes
from shared.domain.instance.reason import Cause, StopReason, read_reason
from shared.domain.strategy.model import Json
from tests.factories import an_instance


class TestSearchableAttributes:
    """An instance is found by the searchable attributes that it has, as texts."""

    @pytest.mark.parametrize(
        ("value", "text"), [("c-17", "c-17"), ("", ""), (17, "17"), (17.5, "17.5"), (True, "true")]
    )
    def test_a_value_is_found_as_text(self, value: Json, text: str) -> None:
        assert attribute_text(value) == text

    def test_only_searchable_attributes_are_searched(self) -> None:
        instance = an_instance(attributes={"customerId": "c-17", "plan": "gold"}, searchable=("customerId",))
        assert searched_attributes(instance) == (("customerId", "c-17"),)

    def test_a_missing_attribute_is_not_searched(self) -> None:
        instance = an_instance(attributes={"plan": "gold"}, searchable=("customerId", "plan"))
        assert searched_attributes(instance) == (("plan", "gold"),)


class TestReasonTexts:
    """A reason is written as one text and read back."""

    @pytest.mark.parametrize(
        ("reason", "text"),
        [
            (StopReason(cause=Cause.POISONED), "poisoned"),
            (StopReason(cause=Cause.EXHAUSTED, detail="http-402"), "exhausted:http-402"),
            (StopReason(cause=Cause.OPERATOR, detail="k:1"), "operator:k:1"),
        ],
    )
    def test_a_reason_is_read_as_it_was_written(self, reason: StopReason, text: str) -> None:
        assert reason.text == text
        assert read_reason(text) == reason

    def test_an_unknown_cause_is_refused(self) -> None:
        with pytest.raises(ValueError, match="'bored' is not a valid Cause"):
            read_reason("bored:http-402")
