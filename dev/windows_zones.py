"""Writes ``shared/expressions/windows_zones.csv``: the time zones of Windows, as ``id;name;IANA zone``.

``python -m dev.windows_zones`` takes the ids and their zones from the Unicode CLDR (``windowsZones.xml``, territory
001, which is part of ``tzlocal``). CLDR has no display names: a known zone keeps its name in the file, and a new zone
is named after its id. Run it after an update of ``tzlocal`` or ``tzdata``; a test fails until then.
"""

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from zoneinfo import ZoneInfo

from tzlocal.windows_tz import win_tz

from shared.expressions.windows_zones import FILE, WINDOWS_ZONES

SAMPLE_YEAR = 2027
"""The year whose standard time names a new zone."""


def windows_zones() -> str:
    """Return the text of the file."""
    names, links = {zone.id: zone.name for zone in WINDOWS_ZONES}, _links()
    rows = []
    for windows_id, cldr_zone in sorted(win_tz.items()):
        target = links.get(cldr_zone, cldr_zone)
        # CLDR never renames a zone (Asia/Calcutta). A link to another continent is not a rename but a merger
        # (Atlantic/Reykjavik -> Africa/Abidjan), and says less about the place.
        zone = target if target.partition("/")[0] == cldr_zone.partition("/")[0] else cldr_zone
        rows.append(f"{windows_id};{names.get(windows_id) or _new_name(windows_id, zone)};{zone}\n")
    return "".join(rows)


def _links() -> dict[str, str]:
    """Return the zones that have another name in the zone database, with that name."""
    database = files("tzdata").joinpath("zoneinfo", "tzdata.zi").read_text(encoding="utf-8")
    rows = [line.split() for line in database.splitlines()]
    return {row[2]: row[1] for row in rows if row and row[0] == "L"}


def _new_name(windows_id: str, zone: str) -> str:
    # The package's own file: a machine's zone files may be older than the data this is made from.
    with files("tzdata").joinpath("zoneinfo", *zone.split("/")).open("rb") as file:
        clocks = ZoneInfo.from_file(file)
    moments = [datetime(SAMPLE_YEAR, month, 1, tzinfo=UTC).astimezone(clocks) for month in (1, 7)]
    standard = min((at.utcoffset() or timedelta()) - (at.dst() or timedelta()) for at in moments)
    minutes = abs(standard) // timedelta(minutes=1)
    sign = "-" if standard < timedelta() else "+"
    return f"{windows_id.removesuffix(' Standard Time')} (UTC{sign}{minutes // 60:02}:{minutes % 60:02})"


if __name__ == "__main__":
    FILE.write_text(windows_zones(), encoding="utf-8")
