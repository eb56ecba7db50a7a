from dev.windows_zones import windows_zones
from shared.expressions.windows_zones import FILE, IANA_OF


class TestTheTable:
    """The shipped table agrees with CLDR, with the current names of the zone database."""

    def test_the_file_is_up_to_date(self) -> None:
        assert FILE.read_text(encoding="utf-8") == windows_zones()

    def test_a_renamed_zone_has_its_new_name(self) -> None:
        assert IANA_OF["India Standard Time"] == "Asia/Kolkata"

    def test_a_zone_merged_into_another_continent_keeps_its_own_name(self) -> None:
        assert IANA_OF["Greenwich Standard Time"] == "Atlantic/Reykjavik"
