"""Cron compared with a clock that is read every minute, in zones with every kind of clock change."""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.calendar.cron import first_fire, next_fire, read_cron
from shared.domain.calendar.dates import zone_named

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

# Days in whose first two, by UTC, the clocks of a zone change; and a zone that never changes them.
NIGHTS = {
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Europe/Lisbon": ("2026-03-29", "2026-10-25"),
    "Australia/Lord_Howe": ("2026-04-04", "2026-10-03"),  # by half an hour
    "America/St_Johns": ("2010-03-14", "2010-11-07"),  # one minute after midnight
    "Atlantic/Azores": ("2026-03-29", "2026-10-25"),  # at midnight
    "Asia/Beirut": ("2026-03-28", "2026-10-24"),  # at midnight
    "Africa/Casablanca": ("2026-02-15", "2026-03-22"),  # for Ramadan
    "Antarctica/Troll": ("2026-03-29", "2026-10-25"),  # by two hours
    "Pacific/Apia": ("2011-12-30", "2012-03-31"),  # a day left out
    "Asia/Kathmandu": ("2026-02-27", "2028-02-28"),
}


@dataclass(frozen=True)
class Part:
    """A field: its text, and its numbers."""

    text: str
    numbers: frozenset[int]


@st.composite
def parts(draw: st.DrawFn, low: int, high: int, written: int | None = None) -> Part:
    """Generate a field of one or two entries, none of them a lone asterisk. No number exceeds ``written``."""
    top = high if written is None else written
    found = []
    for _ in range(draw(st.integers(1, 2))):
        first, step = draw(st.integers(low, top)), draw(st.integers(1, high - low))
        last = draw(st.integers(first, top))
        found.append(
            draw(
                st.sampled_from(
                    [
                        Part(f"{first}", frozenset({first})),
                        Part(f"{first}-{last}", frozenset(range(first, last + 1))),
                        Part(f"{first}-{last}/{step}", frozenset(range(first, last + 1, step))),
                        Part(f"{first}/{step}", frozenset(range(first, high + 1, step))),
                        Part(f"*/{step}", frozenset(range(low, high + 1, step))),
                    ]
                )
            )
        )
    return Part(",".join(part.text for part in found), frozenset().union(*(part.numbers for part in found)))


EVERY_MINUTE = Part("*", frozenset(range(60)))
EVERY_HOUR = Part("*", frozenset(range(24)))
ANY_DAY = Part("*", frozenset(range(1, 32)))
ANY_MONTH = Part("*", frozenset(range(1, 13)))
ANY_WEEKDAY = Part("*", frozenset(range(7)))


def fields(low: int, high: int) -> st.SearchStrategy[Part]:
    return st.just(Part("*", frozenset(range(low, high + 1)))) | parts(low, high)


@dataclass(frozen=True)
class Expression:
    """An expression whose numbers are known without parsing it."""

    minute: Part
    hour: Part
    day: Part
    month: Part
    weekday: Part

    @property
    def text(self) -> str:
        return " ".join(part.text for part in (self.minute, self.hour, self.day, self.month, self.weekday))

    @property
    def is_interval(self) -> bool:
        return len(self.hour.numbers) == 24

    def matches(self, local: datetime) -> bool:
        """Return whether a wall clock shows any of its times."""
        if local.minute not in self.minute.numbers or local.hour not in self.hour.numbers:
            return False
        by_day = local.day in self.day.numbers
        by_weekday = local.isoweekday() % 7 in self.weekday.numbers
        either = not (self.day.text.startswith("*") or self.weekday.text.startswith("*"))
        on_day = (by_day or by_weekday) if either else (by_day and by_weekday)
        return local.month in self.month.numbers and on_day


def seldom(low: int, high: int) -> st.SearchStrategy[Part]:
    """Generate a field that is open four times out of five, so that most days have a fire."""
    whole = st.just(Part("*", frozenset(range(low, high + 1))))
    return st.integers(0, 4).flatmap(lambda drawn: parts(low, high) if drawn == 0 else whole)


expressions = st.builds(
    Expression,
    minute=fields(0, 59),
    hour=fields(0, 23) | parts(0, 23, written=4),  # most nights on which clocks change, they do by then
    day=seldom(1, 31),
    month=seldom(1, 12),
    weekday=seldom(0, 6),
)


@cache
def change_in(name: str, night: str) -> datetime:
    """Return the minute at which the clocks of a zone change in the two days from there, else their begin."""
    zone, first = zone_named(name), datetime.fromisoformat(night).replace(tzinfo=UTC)
    offsets = [(first + number * MINUTE).astimezone(zone).utcoffset() for number in range(48 * 60)]
    found = [number for number, (one, other) in enumerate(pairwise(offsets), start=1) if one != other]
    return first + (found or [0])[0] * MINUTE


def starts_from(name: str) -> st.SearchStrategy[tuple[str, datetime]]:
    """Generate a zone, and an instant near a clock change or some hours before it."""
    changes = [change_in(name, night) for night in NIGHTS[name]]
    minutes = st.just(0) | st.integers(-150, 150) | st.integers(-20 * 60, 60)
    seconds = st.sampled_from([0, 0, 1, 59])
    return st.tuples(
        st.just(name),
        st.builds(
            lambda change, minute, second: change + minute * MINUTE + timedelta(seconds=second),
            st.sampled_from(changes),
            minutes,
            seconds,
        ),
    )


starts = st.sampled_from(sorted(NIGHTS)).flatmap(starts_from)


def by_minute(expression: Expression, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Return the fires from a start to before an end, by reading the clock every minute since the day before."""
    first = start.replace(second=0) - DAY
    minutes = [first + number * MINUTE for number in range(int((end - first) / MINUTE) + 1)]
    shown = [minute.astimezone(zone).replace(tzinfo=None) for minute in minutes]
    if expression.is_interval:
        fires = {at for at, local in zip(minutes, shown, strict=True) if expression.matches(local)}
    else:
        fires = _fixed_times(expression, minutes, shown)
    return sorted(at for at in fires if start <= at < end)


def _fixed_times(expression: Expression, minutes: list[datetime], shown: list[datetime]) -> set[datetime]:
    """Return the first minute of each matching local time, or of a later one if no minute shows it."""
    fires, highest = set(), shown[0] - MINUTE
    for at, local in zip(minutes, shown, strict=True):
        while highest < local:
            highest += MINUTE
            if expression.matches(highest):
                fires.add(at)
    return fires


class TestAgainstEveryMinute:
    """First and next fires are exactly those that reading the clock every minute gives."""

    @settings(max_examples=120, deadline=None)
    @given(expression=expressions, place=starts)
    def test_the_fires_of_a_day_are_equal(self, expression: Expression, place: tuple[str, datetime]) -> None:
        name, start = place
        zone, cron, end = zone_named(name), read_cron(expression.text), start + DAY
        expected = by_minute(expression, zone, start, end)
        found: list[datetime] = []
        fire = first_fire(cron, start, zone)
        while fire is not None and fire.at < end:
            found.append(fire.at)
            fire = next_fire(cron, fire.at, zone)
        assert found == expected

    @settings(max_examples=100, deadline=None)
    @given(expression=expressions, place=starts)
    def test_the_next_fire_after_an_instant_is_equal(
        self, expression: Expression, place: tuple[str, datetime]
    ) -> None:
        name, after = place
        zone = zone_named(name)
        expected = [at for at in by_minute(expression, zone, after, after + DAY) if at > after]
        fire = next_fire(read_cron(expression.text), after, zone)
        if expected:
            assert fire is not None
            assert fire.at == expected[0]
        else:
            assert fire is None or fire.at >= after + DAY


class TestAgainstEveryDay:
    """Over three years the days of the fires are exactly those that checking every day gives."""

    @settings(max_examples=150, deadline=None)
    @given(
        day=fields(1, 31),
        month=seldom(1, 12),
        weekday=fields(0, 6),
        start=st.dates(date(1999, 1, 1), date(2105, 1, 1)),
    )
    def test_the_days_of_three_years_are_equal(
        self, day: Part, month: Part, weekday: Part, start: date
    ) -> None:
        minute, hour = Part("30", frozenset({30})), Part("9", frozenset({9}))
        expression = Expression(minute=minute, hour=hour, day=day, month=month, weekday=weekday)
        utc, cron = zone_named("UTC"), read_cron(expression.text)
        first = datetime(start.year, start.month, start.day, 9, 30, tzinfo=UTC)
        days = [first + number * DAY for number in range(3 * 365)]
        expected = [at for at in days if expression.matches(at.replace(tzinfo=None))][:40]
        found: list[datetime] = []
        fire = first_fire(cron, first, utc)
        while fire is not None and fire.at <= days[-1] and len(found) < 40:
            found.append(fire.at)
            fire = next_fire(cron, fire.at, utc)
        assert found == expected


class TestAroundEveryChange:
    """Minute by minute before and after each clock change, the first fire is the expected one."""

    @pytest.mark.parametrize(
        ("minute", "hour"),
        [
            (EVERY_MINUTE, EVERY_HOUR),
            (Part("0", frozenset({0})), EVERY_HOUR),
            (Part("*/20", frozenset({0, 20, 40})), EVERY_HOUR),
            (Part("37", frozenset({37})), Part("0-23", EVERY_HOUR.numbers)),
            (EVERY_MINUTE, Part("0-3,23", frozenset({0, 1, 2, 3, 23}))),
            (Part("*/20", frozenset({0, 20, 40})), Part("0-3,23", frozenset({0, 1, 2, 3, 23}))),
            (Part("0,30", frozenset({0, 30})), Part("*/2", frozenset(range(0, 24, 2)))),
            (Part("1", frozenset({1})), Part("1/2", frozenset(range(1, 24, 2)))),
        ],
        ids=lambda part: part.text,
    )
    @pytest.mark.parametrize("name", sorted(NIGHTS))
    def test_the_first_fire_from_every_seventh_minute_is_equal(
        self, name: str, minute: Part, hour: Part
    ) -> None:
        expression = Expression(minute=minute, hour=hour, day=ANY_DAY, month=ANY_MONTH, weekday=ANY_WEEKDAY)
        zone, cron = zone_named(name), read_cron(expression.text)
        for night in NIGHTS[name]:
            change = change_in(name, night)
            begin = change - timedelta(minutes=7 * 22)
            expected = by_minute(expression, zone, begin, change + 2 * DAY)
            for number in range(44):
                start = begin + number * 7 * MINUTE
                fire = first_fire(cron, start, zone)
                assert fire is not None
                assert fire.at == expected[bisect_left(expected, start)]


class TestQuartzAndUnix:
    """Expressions that both formats can state fire at the same times."""

    @settings(max_examples=100, deadline=None)
    @given(expression=expressions, place=starts, by_weekday=st.booleans())
    def test_both_formats_fire_together(
        self, expression: Expression, place: tuple[str, datetime], *, by_weekday: bool
    ) -> None:
        name, start = place
        zone = zone_named(name)
        minute, hour, month = expression.minute, expression.hour, expression.month
        if by_weekday:
            numbers = ",".join(str(number) for number in sorted(expression.weekday.numbers))
            names = ",".join(WEEKDAYS[number] for number in sorted(expression.weekday.numbers))
            unix = f"{minute.text} {hour.text} * {month.text} {numbers}"
            quartz = f"0 {minute.text} {hour.text} ? {month.text} {names}"
        else:
            unix = f"{minute.text} {hour.text} {expression.day.text} {month.text} *"
            quartz = f"0 {minute.text} {hour.text} {expression.day.text} {month.text} ?"
        one, other = read_cron(unix), read_cron(quartz)
        assert first_fire(one, start, zone) == first_fire(other, start, zone)
        assert next_fire(one, start, zone) == next_fire(other, start, zone)


def field_text(numbers: set[int] | int | None) -> str:
    """Return the text of a field: a list, ``*/step`` for a number, ``*`` for None."""
    if numbers is None:
        return "*"
    return f"*/{numbers}" if isinstance(numbers, int) else ",".join(map(str, sorted(numbers)))


class TestAgainstCroniter:
    """For plain numbers and steps, Unix cron finds the local times that croniter finds.

    Its ``implement_cron_bug`` reads a day field that begins with a star as Vixie cron does.
    """

    @settings(max_examples=200, deadline=None)
    @given(
        minute=st.sets(st.integers(0, 59), min_size=1, max_size=3),
        hour=st.sets(st.integers(0, 23), min_size=1, max_size=3),
        day=st.none() | st.integers(1, 31) | st.sets(st.integers(1, 31), min_size=1, max_size=3),
        month=st.none() | st.sets(st.integers(1, 12), min_size=1, max_size=3),
        weekday=st.none() | st.integers(1, 7) | st.sets(st.integers(0, 6), min_size=1, max_size=3),
        start=st.datetimes(*map(datetime.fromisoformat, ("1990-01-01", "2090-01-01"))),
    )
    def test_the_next_five_times_are_equal(
        self,
        minute: set[int],
        hour: set[int],
        day: set[int] | int | None,
        month: set[int] | None,
        weekday: set[int] | int | None,
        start: datetime,
    ) -> None:
        text = " ".join(field_text(numbers) for numbers in (minute, hour, day, month, weekday))
        start = start.replace(second=0, microsecond=0)
        oracle = croniter(
            text, start - MINUTE, datetime, max_years_between_matches=50, implement_cron_bug=True
        )
        times = read_cron(text).times

        found: list[datetime] = []
        at = times.first_from(start)
        while at is not None and len(found) < 5:
            found.append(at)
            at = times.first_from(at + MINUTE)

        assert found == list(islice(oracle.all_next(datetime), 5))
