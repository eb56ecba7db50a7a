import importlib

import pytest
from msgspec import Struct
from msgspec.structs import replace

from shared.domain.redacted import Redacted


class Card(Redacted, Struct, frozen=True, kw_only=True):
    HIDDEN = ("number",)

    owner: str
    number: str


class Account(Struct, frozen=True):
    card: Card


CARD = Card(owner="Ann", number="4111")


class TestAHiddenField:
    @pytest.mark.parametrize(
        "text",
        [repr(CARD), str(CARD), f"{CARD}", f"{CARD!r}", repr([CARD]), repr(Account(CARD))],
    )
    def test_is_in_no_text(self, text: str) -> None:
        assert "Card(owner='Ann')" in text
        assert "4111" not in text

    def test_stays_hidden_in_a_changed_copy(self) -> None:
        changed = replace(CARD, number="4242")

        assert changed.number == "4242"
        assert repr(changed) == "Card(owner='Ann')"

    def test_still_distinguishes(self) -> None:
        assert replace(CARD, number="4242") != CARD
        assert Card(owner="Ann", number="4111") == CARD

    def test_adds_no_dictionary(self) -> None:
        assert not hasattr(CARD, "__dict__")


def test_every_hidden_name_is_a_field() -> None:
    """A misspelled name would hide nothing."""
    importlib.import_module("shared.bootstrap")
    redacted = Redacted.__subclasses__()

    assert {"Credential", "ServiceRequest", "SecretValue", "DataKey"} <= {kind.__name__ for kind in redacted}
    assert [kind for kind in redacted if not set(kind.HIDDEN) <= set(kind.__struct_fields__)] == []
