"""The date language. Source: contracts/orders.md B.3 "Date language", row by row; B.6 if they differ."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.api.orders.date_language import DateLanguageError, End, UnknownZoneError, date_of

NOW = datetime(2026, 11, 25, 14, 30, tzinfo=UTC)  # a Wednesday


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def both(text: str, zone: str | None = None) -> tuple[datetime, datetime]:
    """Return a value as dateFrom and as dateTo."""
    return (
        date_of(text, end=End.FROM, now=NOW, zone=zone),
        date_of(text, end=End.UNTIL, now=NOW, zone=zone),
    )


TABLE = [
    ("0d", None, "2026-11-25T00:00:00Z", "2026-11-26T00:00:00Z"),
    ("1d", None, "2026-11-26T00:00:00Z", "2026-11-27T00:00:00Z"),
    ("-1d", None, "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z"),
    ("2d+02:00", None, "2026-11-26T22:00:00Z", "2026-11-27T22:00:00Z"),
    ("1d", "Europe/Berlin", "2026-11-25T23:00:00Z", "2026-11-26T23:00:00Z"),
    ("6h", None, "2026-11-25T20:30:00Z", "2026-11-25T20:30:00Z"),
    ("-2h", None, "2026-11-25T12:30:00Z", "2026-11-25T12:30:00Z"),
    ("1w", None, "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z"),
    ("1y", None, "2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"),
    ("2026-11-26T10:00:00", None, "2026-11-26T10:00:00Z", "2026-11-26T10:00:00Z"),
    ("2026-11-26T10:00:00Z", None, "2026-11-26T10:00:00Z", "2026-11-26T10:00:00Z"),
    ("2026-11-26T10:00:00+02:00", None, "2026-11-26T08:00:00Z", "2026-11-26T08:00:00Z"),
    ("2026-11-26T10:00:00+0200", None, "2026-11-26T08:00:00Z", "2026-11-26T08:00:00Z"),
    ("2026-11-26 10:00:00+02", None, "2026-11-26T08:00:00Z", "2026-11-26T08:00:00Z"),
    ("0", None, "2026-11-25T14:30:00Z", "2026-11-25T14:30:00Z"),
    ("0", "Europe/Berlin", "2026-11-25T14:30:00Z", "2026-11-25T14:30:00Z"),
    ("+0", None, "2026-11-25T14:30:00Z", "2026-11-25T14:30:00Z"),
    ("-0", None, "2026-11-25T14:30:00Z", "2026-11-25T14:30:00Z"),
    ("0+02:00", None, "2026-11-25T14:30:00Z", "2026-11-25T14:30:00Z"),
    ("2026-11-26T10:00:00,250Z", None, "2026-11-26T10:00:00.250Z", "2026-11-26T10:00:00.250Z"),
]
"""The rows of the contract's table, those that B.6 decides otherwise as decided there."""

RULES = [
    ("1M", None, "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    ("-1M", None, "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
    ("1m", None, "2026-11-25T14:31:00Z", "2026-11-25T14:31:00Z"),
    ("30s", None, "2026-11-25T14:30:30Z", "2026-11-25T14:30:30Z"),
    ("1h30m", None, "2026-11-25T16:00:00Z", "2026-11-25T16:00:00Z"),
    ("1d2h", None, "2026-11-26T02:00:00Z", "2026-11-27T02:00:00Z"),
    ("1d2d", None, "2026-11-26T00:00:00Z", "2026-11-27T00:00:00Z"),
    ("1w1d", None, "2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"),
    ("1d-2h", None, "2026-11-25T22:00:00Z", "2026-11-26T22:00:00Z"),
    ("+1d", None, "2026-11-26T00:00:00Z", "2026-11-27T00:00:00Z"),
    ("2d-03", None, "2026-11-27T03:00:00Z", "2026-11-28T03:00:00Z"),
    ("2026-11-26T10:00:00.5Z", None, "2026-11-26T10:00:00.500Z", "2026-11-26T10:00:00.500Z"),
    ("2026-11-26T10:00:00+02:00", "Europe/Berlin", "2026-11-26T09:00:00Z", "2026-11-26T09:00:00Z"),
    ("2026-03-29T02:30:00", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"),
    ("2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T00:30:00Z"),
]
"""The rules below the table: units apply in the order y, M, w, d, then h, m, s. If a unit repeats, the first counts.
timeZone takes precedence over an offset. A date in a gap of the clocks is the first instant after it."""


@pytest.mark.parametrize(("text", "zone", "begins", "ends"), TABLE + RULES)
def test_a_value_as_both_ends(text: str, zone: str | None, begins: str, ends: str) -> None:
    assert both(text, zone) == (at(begins), at(ends))


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        ("1d", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z"),
        ("-1d", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z"),
        ("+1d", "2026-11-26T00:00:00Z", "2026-11-27T00:00:00Z"),
        ("6h", "2026-11-25T08:30:00Z", "2026-11-25T08:30:00Z"),
        ("0d", "2026-11-25T00:00:00Z", "2026-11-26T00:00:00Z"),
        ("0", "2026-11-25T14:30:00Z", "2026-11-25T14:30:00Z"),
        ("2026-11-26T10:00:00Z", "2026-11-26T10:00:00Z", "2026-11-26T10:00:00Z"),
    ],
)
def test_distances_in_a_history_go_back(text: str, begins: str, ends: str) -> None:
    found = [date_of(text, end=end, now=NOW, zone=None, past=True) for end in End]

    assert found == [at(begins), at(ends)]


def test_a_day_of_a_zone_may_have_23_hours() -> None:
    before = datetime(2026, 3, 28, 12, tzinfo=UTC)
    ends = [date_of("1d", end=end, now=before, zone="Europe/Berlin") for end in End]

    assert ends == [at("2026-03-28T23:00:00Z"), at("2026-03-29T22:00:00Z")]
    assert ends[1] - ends[0] == timedelta(hours=23)


@pytest.mark.parametrize("zone", ["Bogus/Zone", "", "../etc/passwd", "europe/berlin"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(UnknownZoneError, match="unknown time zone"):
        both("1d", zone)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "d",
        "1x",
        "tomorrow",
        "2026-11-26",
        "2026-11-26T10:00",
        "2026-13-26T10:00:00Z",
        "2026-02-30T10:00:00Z",
        "2026-11-26T25:00:00Z",
        "2026-11-26T10:00:00+19:00",
        "2026-11-26T10:00:00+02:60",
        "2026-11-26T10:00:00.1234Z",
        "1d ",
        "100001d",
        "9000y",
        "99999999999999999999h",
        "\u0661d",
    ],
)
def test_an_invalid_date_is_refused(text: str) -> None:
    with pytest.raises(DateLanguageError):
        both(text)
