"""Properties of dates in every zone of the IANA database, from 2020 to 2040."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.calendar.dates import (
    Anchor,
    Span,
    Unit,
    earlier,
    format_instant,
    later,
    moment_at,
    moment_of,
    parse_instant,
    zone_named,
)

QUICK = settings(max_examples=150, deadline=None)
NAMES = sorted(available_timezones() - {"localtime"})
FIRST, LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 12, 31, tzinfo=UTC)

zones = st.sampled_from(NAMES).map(zone_named)
instants = st.integers(0, int((LAST - FIRST).total_seconds() * 1000)).map(
    lambda ms: FIRST + timedelta(milliseconds=ms)
)
clocks = st.builds(lambda minute: divmod(minute, 60), st.integers(0, 24 * 60 - 1))
spans = st.builds(Span, unit=st.sampled_from(Unit), amount=st.integers(1, 40))


def shown(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


def offset_at(at: datetime, zone: ZoneInfo) -> timedelta:
    return shown(at, zone) - at.replace(tzinfo=None)


@cache
def changes(name: str) -> tuple[tuple[datetime, timedelta, timedelta], ...]:
    """Return each change of the zone's offset from FIRST to LAST: the instant, and the offsets before and after
    it.
    """
    zone, step, found = ZoneInfo(name), timedelta(days=14), []
    at, before = FIRST, offset_at(FIRST, zone)
    while at < LAST + timedelta(days=60):
        after = offset_at(at + step, zone)
        if after != before:
            low, high = at, at + step
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                low, high = (low, middle) if offset_at(middle, zone) != before else (middle, high)
            found.append((high, before, after))
        at, before = at + step, after
    return tuple(found)


def expected_at(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the earliest reading of a local time, or else the end of its gap, by the list of changes."""
    offsets = {offset_at(FIRST, zone)} | {after for _, _, after in changes(zone.key)}
    readings = [local.replace(tzinfo=UTC) - offset for offset in offsets]
    exact = [at for at in readings if shown(at, zone) == local]
    if exact:
        return min(exact)
    (end,) = [
        at
        for at, before, after in changes(zone.key)
        if shown(at, zone) - (after - before) <= local < shown(at, zone)
    ]
    return end


class TestEveryChangeOfEveryZone:
    """Every gap ends at its change; every overlap begins with its first occurrence."""

    def test_every_gap_and_overlap_of_twenty_years(self) -> None:
        gaps = overlaps = 0
        for name in NAMES:
            zone = ZoneInfo(name)
            for at, before, after in changes(name):
                size = after - before
                if size > timedelta(0):
                    gaps += 1
                    anchor = moment_at(at, zone).anchor
                    inside = shown(at, zone) - size / 2
                    assert moment_of(anchor, zone).at == at
                    assert moment_of(_wall_clock(inside), zone).at == at, (name, inside)
                else:
                    overlaps += 1
                    twice = shown(at, zone) - size / 2
                    assert moment_of(_wall_clock(twice), zone).at == at + size / 2, (name, twice)
        assert gaps > 3_000
        assert overlaps > 3_000


class TestNoDrift:
    """After any number of steps, the anchor day and time are those of the first."""

    @QUICK
    @given(
        zone=zones,
        year=st.integers(2020, 2034),
        month=st.integers(1, 12),
        day=st.integers(1, 31),
        clock=clocks,
    )
    def test_monthly_steps_keep_the_anchor_day_clamped(
        self, zone: ZoneInfo, year: int, month: int, day: int, clock: tuple[int, int]
    ) -> None:
        moment = moment_of(Anchor(year=year, month=month, day=day, hour=clock[0], minute=clock[1]), zone)
        for steps in range(1, 25):
            moment = later(moment, Span(unit=Unit.MONTHS, amount=1), zone)
            years, zero_based = divmod(year * 12 + month - 1 + steps, 12)
            length = monthrange(years, zero_based + 1)[1]
            local = datetime(years, zero_based + 1, min(day, length), *clock)  # noqa: DTZ001 - wall clock
            assert moment.at == expected_at(local, zone)

    @QUICK
    @given(zone=zones, at=instants)
    def test_daily_steps_keep_the_anchor_time(self, zone: ZoneInfo, at: datetime) -> None:
        moment = moment_at(at, zone)
        first = shown(at, zone)
        for steps in range(1, 25):
            moment = later(moment, Span(unit=Unit.DAYS, amount=1), zone)
            assert moment.at == expected_at(first + timedelta(days=steps), zone)


class TestOrder:
    """A positive span is strictly later, and subtracting hours undoes adding them."""

    @QUICK
    @given(zone=zones, at=instants, span=spans)
    def test_every_step_is_after_the_previous_one(self, zone: ZoneInfo, at: datetime, span: Span) -> None:
        moments = [moment_at(at, zone)]
        for _ in range(6):
            moments.append(later(moments[-1], span, zone))
        assert all(before.at < after.at for before, after in pairwise(moments))

    @QUICK
    @given(
        zone=zones,
        at=instants,
        unit=st.sampled_from([Unit.HOURS, Unit.MINUTES]),
        amount=st.integers(0, 10_000),
    )
    def test_hours_added_and_subtracted_return_to_the_start(
        self, zone: ZoneInfo, at: datetime, unit: Unit, amount: int
    ) -> None:
        base, span = moment_at(at, zone), Span(unit=unit, amount=amount)
        assert earlier(later(base, span, zone), span, zone) == base


class TestRoundTrips:
    """The anchor of an instant leads back to it, and so does its text."""

    @QUICK
    @given(zone=zones, at=instants)
    def test_the_anchor_of_an_instant_leads_back_to_it(self, zone: ZoneInfo, at: datetime) -> None:
        moment = moment_at(at, zone)
        if at.astimezone(zone).fold == 0:
            assert moment_of(moment.anchor, zone) == moment
        else:
            assert moment_of(moment.anchor, zone).at < at

    @QUICK
    @given(at=instants)
    def test_the_text_of_an_instant_is_read_as_the_instant(self, at: datetime) -> None:
        assert parse_instant(format_instant(at)) == at


def _wall_clock(local: datetime) -> Anchor:
    return moment_at(local.replace(tzinfo=UTC), ZoneInfo("UTC")).anchor
