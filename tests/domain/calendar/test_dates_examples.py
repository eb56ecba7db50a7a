"""The dates of the example strategies."""

from itertools import pairwise
from zoneinfo import ZoneInfo

from shared.domain.calendar.dates import (
    Moment,
    ResetTo,
    Span,
    Unit,
    earlier,
    format_instant,
    later,
    moment_at,
    parse_instant,
)

LISBON = ZoneInfo("Europe/Lisbon")
MADRID = ZoneInfo("Europe/Madrid")
MANILA = ZoneInfo("Asia/Manila")
MONTH = Span(unit=Unit.MONTHS, amount=1)


def start(text: str, zone: ZoneInfo) -> Moment:
    return moment_at(parse_instant(text), zone)


def steps_of(base: Moment, span: Span, zone: ZoneInfo, *, steps: int) -> list[str]:
    dates = []
    for _ in range(steps):
        base = later(base, span, zone)
        dates.append(format_instant(base.at))
    return dates


class TestExamples:
    """The dates of the example strategies are those of their description."""

    def test_the_water_filter_refill_dates(self) -> None:
        first = start("2026-01-31T10:00:00Z", LISBON)
        assert first.anchor.day == 31
        assert steps_of(first, MONTH, LISBON, steps=4) == [
            "2026-02-28T10:00:00.000Z",
            "2026-03-31T09:00:00.000Z",
            "2026-04-30T09:00:00.000Z",
            "2026-05-31T09:00:00.000Z",
        ]

    def test_the_gym_membership_dates(self) -> None:
        at_nine = ResetTo(hour=9, minute=0)
        started = start("2026-02-24T18:45:10Z", MADRID)
        welcome = later(started, Span(unit=Unit.MINUTES, amount=5), MADRID)
        charges = [later(started, Span(unit=Unit.DAYS, amount=7, reset_to=at_nine), MADRID)]
        for _ in range(2):
            charges.append(later(charges[-1], Span(unit=Unit.MONTHS, amount=1, reset_to=at_nine), MADRID))
        reminders = [earlier(charge, Span(unit=Unit.DAYS, amount=3), MADRID) for charge in charges[:2]]

        assert format_instant(welcome.at) == "2026-02-24T18:50:10.000Z"
        assert [format_instant(charge.at) for charge in charges] == [
            "2026-03-03T08:00:00.000Z",
            "2026-04-03T07:00:00.000Z",
            "2026-05-03T07:00:00.000Z",
        ]
        assert [format_instant(reminder.at) for reminder in reminders] == [
            "2026-02-28T08:00:00.000Z",
            "2026-03-31T07:00:00.000Z",
        ]

    def test_the_gym_membership_retry_dates(self) -> None:
        failed = start("2026-03-03T08:00:02Z", MADRID)
        retries = [failed]
        for unit, amount in ((Unit.HOURS, 1), (Unit.DAYS, 1), (Unit.DAYS, 3)):
            retries.append(later(retries[-1], Span(unit=unit, amount=amount), MADRID))
        assert [format_instant(retry.at) for retry in retries[1:]] == [
            "2026-03-03T09:00:02.000Z",
            "2026-03-04T09:00:02.000Z",
            "2026-03-07T09:00:02.000Z",
        ]

    def test_the_pet_cover_dates(self) -> None:
        at_noon = ResetTo(hour=12, minute=0)
        due = later(
            start("2026-05-20T02:15:00Z", MANILA), Span(unit=Unit.DAYS, amount=0, reset_to=at_noon), MANILA
        )
        span = Span(unit=Unit.MONTHS, amount=1, reset_to=at_noon)
        dates = [due]
        for _ in range(12):
            dates.append(later(dates[-1], span, MANILA))
        assert format_instant(dates[0].at) == "2026-05-20T04:00:00.000Z"
        assert format_instant(dates[1].at) == "2026-06-20T04:00:00.000Z"
        assert format_instant(dates[12].at) == "2027-05-20T04:00:00.000Z"
        assert all(before.at < after.at for before, after in pairwise(dates))
