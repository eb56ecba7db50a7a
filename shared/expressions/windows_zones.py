"""The time zones of Windows: id, display name and IANA zone. Source: docs/expressions.md.

The table beside this module is written by ``dev/windows_zones.py``.
"""

from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("windows_zones.csv")


class WindowsZone(NamedTuple):
    """A time zone. ``name`` lists places in it and its standard offset from UTC."""

    id: str
    name: str
    iana: str


WINDOWS_ZONES = tuple(WindowsZone(*row.split(";")) for row in FILE.read_text(encoding="utf-8").splitlines())
"""Every zone, in the order of the ids."""

IANA_OF = {zone.id: zone.iana for zone in WINDOWS_ZONES}
"""The IANA zone of each id."""
