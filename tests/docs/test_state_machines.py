"""`docs/state-machines.md` lists the transitions that `decide` makes, all of them and no others."""

import random
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from shared.domain.instance.event import Event, Resolution
from shared.domain.instance.journal import Answer, EventHistory
from shared.domain.instance.model import BlockedBy
from shared.domain.instance.run import Ending, Intent, Outcome
from shared.domain.instance.verdict import Applied
from shared.domain.lifecycle.commands import (
    Apply,
    Block,
    Cancel,
    Claim,
    Conclude,
    EndPause,
    Fence,
    Migrate,
    Pause,
    Redrive,
    Reschedule,
    Resolve,
    Resume,
    Stop,
    TakeAnswer,
    Unblock,
    Update,
)
from shared.domain.lifecycle.decide import decide
from shared.domain.strategy.model import Json, Strategy
from tests.lifecycle_factories import ANN, DAILY, at, calendar, ended, life, new, reminded, strategy
from tests.lifecycle_walks import RandomLife, Transition

DOCUMENT = Path(__file__).parents[2] / "docs" / "state-machines.md"
TRANSITION = re.compile(
    r"^### (?P<before>[A-Za-z, ]+) → (?P<after>[A-Z]+)\n(?P<reasons>.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL
)
REASON = re.compile(
    r"^- (?P<by>`\w+`(?:,\s+`\w+`)*):\s+(?P<why>\S.*?\.)(?=\n- |\n\n|\Z)", re.MULTILINE | re.DOTALL
)
LIVES = 1100
DATED_LIVES = 400
"""How many lives have commands whose effect has a date."""
STEPS = 80
GREET: Json = {"onCreateTasks": [{"task": "greet"}]}
BILL: Json = {"onCreateTasks": [{"task": "bill"}]}
PART: Json = {"onCancelTasks": [{"task": "part", "manualTrigger": True}]}
TWICE: Json = {
    "onCreateTasks": [{"task": "greet"}, {"task": "part", "delayBy": {"unit": "years", "amount": 1}}]
}
ONCE: Json = calendar(runOnCycle=1)
GREETING: Json = calendar(DAILY, task="greet")

Moves = frozenset[tuple[frozenset[str], str, frozenset[str]]]
"""From which states, to which, by which commands."""


def documented(section: str) -> Moves:
    """Return the transitions that a section lists, each with its commands; every command has one reason."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    moves = []
    for transition in TRANSITION.finditer(text):
        reasons = list(REASON.finditer(transition["reasons"]))
        commands = [command for reason in reasons for command in re.findall(r"`(\w+)`", reason["by"])]
        assert len(reasons) == len(re.findall(r"^- ", transition["reasons"], re.MULTILINE))
        assert len(commands) == len(set(commands)), transition["before"]
        before = frozenset(transition["before"].split(", "))
        moves.append((before, transition["after"], frozenset(commands)))
    return frozenset(moves)


def merged(found: set[Transition], groups: Moves) -> Moves:
    """Return transitions grouped as in the document. If the document lacks a transition, it is a group of its own."""
    commands: dict[tuple[frozenset[str], str], set[str]] = {}
    for before, after, by in found:
        known = [states for states, to, _ in groups if before in states and to == after]
        commands.setdefault((known[0] if known else frozenset({before}), after), set()).add(by)
    return frozenset((states, after, frozenset(by)) for (states, after), by in commands.items())


def a_life(of: Strategy, *, end_date: str | None = None) -> RandomLife:
    """Return a life whose commands the test chooses."""
    created = life(of, new("2026-01-31", end_date=end_date))
    return RandomLife(rng=random.Random(0), of=created, now=at("2026-01-31"))


def claim(story: RandomLife, event: Event, now: datetime) -> None:
    story.now = now
    story.decide(Claim(seq=event.seq, event_history=story.of.event_history(event.seq), token="t", job="j"))
    assert story.of.instance.executing is not None


def ordered(story: RandomLife, directives: Json) -> None:
    """The running event's controller orders something."""
    story.of.step(Outcome(success=True, directives=directives), story.now)
    event = story.of.running
    entry = story.of.event_history(event.seq).entries[-1]
    story.decide(Apply(seq=event.seq, fence=story.of.instance.fence, entry=entry))


def blocked_and_unblocked(of: Strategy, end_date: str | None = None) -> RandomLife:
    story = a_life(of, end_date=end_date)
    before = story.of.main
    claim(story, before, at("2026-01-31"))
    story.decide(Block(before=before, fence=1, blocked_by=BlockedBy.QUEUE))
    story.now = at("2026-02-01")
    story.decide(Unblock())
    return story


def decided_late(of: Strategy, *, by_answer: bool = False) -> RandomLife:
    """A greeting in doubt, decided, or answered, when the bill of the next day has fallen due."""
    story = a_life(of)
    claim(story, story.of.event("greet"), at("2026-01-31"))
    end = ended(Ending.IN_DOUBT, story.now)
    sending = story.of.event("greet").progress.first_action
    assert isinstance(sending, Intent)
    story.decide(Conclude(seq=1, fence=1, end=end, in_doubt=True, known_visits=0))
    story.now = at("2026-02-02")
    answer = Answer(correlation_id=sending.correlation_id, key="k", at=story.now, by="gateway")
    taken = TakeAnswer(seq=1, answer=answer, event_history=story.of.event_history(1), by=ANN)
    story.decide(taken if by_answer else Resolve(seq=1, resolution=Resolution.RETRY, by=ANN))
    return story


def redriven_late(of: Strategy) -> RandomLife:
    """A bill that came with the instance is out of attempts; it is run again when the plan's own has fallen due."""
    story = a_life(of)
    first = next(event for event in story.of.instance.events if not event.is_main)
    claim(story, first, at("2026-01-31"))
    end = ended(Ending.EXHAUSTED, story.now, pauses=True)
    story.decide(Conclude(seq=first.seq, fence=1, end=end, in_doubt=False, known_visits=0))
    story.now = at("2026-02-02")
    story.decide(Redrive(seq=first.seq, event_history=EventHistory(), by=ANN))
    return story


def resumed_without_a_next_cycle() -> RandomLife:
    story = a_life(strategy(ONCE, parts=PART, onResume="skip"))
    story.decide(Pause(by=ANN))
    story.now = at("2026-02-02")
    story.decide(Resume(by=ANN))
    return story


def paused_until(of: Strategy, *, end_date: str | None = None) -> RandomLife:
    """Its main event is missed by a pause, which ends by itself."""
    story = a_life(of, end_date=end_date)
    story.decide(Pause(by=ANN, sets_until=True, until=at("2026-02-02")))
    story.now = at("2026-02-02")
    story.decide(EndPause())
    return story


def canceled_by_a_controller_after_a_pause() -> RandomLife:
    story = a_life(strategy())
    claim(story, story.of.main, at("2026-01-31"))
    story.decide(Pause(by=ANN))
    ordered(story, {"cancelInstance": "enough"})
    return story


def skipped_by_a_controller_when_dates_have_passed() -> RandomLife:
    story = a_life(strategy(parts=GREET))
    claim(story, story.of.event("greet"), at("2026-01-31"))
    story.now = at("2026-05-15")
    ordered(story, {"cancelTasks": ["bill"]})
    return story


def moved_to_another_version(
    calendar_of: Json,
    *,
    end: str | None = None,
    now: str = "2026-01-30",
    paused: bool = False,
    **config: Json,
) -> RandomLife:
    """Its task is gone in the version it is moved to, which greets instead."""
    story = a_life(strategy(calendar(DAILY)), end_date=end)
    story.now = at(now)
    if paused:
        story.decide(Pause(by=ANN))
    to = strategy(calendar_of, version=2, parts=PART, **config)
    kept = {key: task for key, task in to.definition.tasks.items() if key != "bill"}
    definition = replace(to.definition, tasks=kept)
    story.decide(Migrate(to=replace(to, definition=definition), by=ANN))
    return story


def canceled_between_two_steps() -> RandomLife:
    """Its runner finds its instance canceled as it looks between two steps."""
    story = a_life(strategy())
    claim(story, story.of.main, at("2026-01-31"))
    story.decide(Cancel(by=ANN))
    story.decide(Stop(seq=1, fence=1))
    return story


def given_more_time_after_dates_have_passed() -> RandomLife:
    """Its end date had ended the plan; without it, some of its dates have passed."""
    asked = new("2026-01-31", end_date="2026-01-31T12:00")
    story = RandomLife(
        rng=random.Random(0), of=life(strategy(calendar(DAILY), parts=TWICE), asked), now=at("2026-01-31")
    )
    story.of.run(story.of.event("greet"), at("2026-01-31"))
    story.of.run(story.of.main, at("2026-01-31"))
    story.now = at("2026-02-05")
    story.decide(Update(by=ANN, sets_end_date=True))
    return story


def canceled_as_a_dead_runner_had_decided() -> RandomLife:
    """Its attempts were used up and it was on record; then its runner died, and the instance was paused."""
    story = a_life(strategy())
    claim(story, story.of.main, at("2026-01-31"))
    used_up = Conclude(seq=1, fence=1, end=ended(Ending.EXHAUSTED, story.now), in_doubt=False, known_visits=0)
    verdict = decide(story.of.strategy, story.of.instance, used_up, now=story.now)
    assert isinstance(verdict, Applied)
    story.of.put_record(verdict.records[0])
    story.decide(Pause(by=ANN))
    story.now = at("2026-02-01")
    story.decide(Fence(seq=1))
    story.decide(Claim(seq=1, event_history=story.of.event_history(1), token="t", job="j"))
    return story


def completed_as_it_is_created() -> RandomLife:
    story = a_life(strategy())
    none = life(strategy(initial_delay=DAILY), new("2026-01-31", end_date="2026-01-31"))
    story.note_start(none)
    return story


def given_more_time_without_a_next_cycle(*, paused: bool) -> RandomLife:
    """Its end date had ended the plan; without it, and without the date it asks for, nothing dates the next."""
    asking = calendar(nextCycleDateCallback="timestamp(string(attributes.next))")
    of = strategy(asking, parts=TWICE | PART, initial_delay=DAILY)
    asked = new("2026-01-31", end_date="2026-02-01T12:00", next="2026-03-01T00:00:00Z")
    story = RandomLife(rng=random.Random(0), of=life(of, asked), now=at("2026-01-31"))
    story.of.run(story.of.event("greet"), at("2026-02-01"))
    story.of.run(story.of.main, at("2026-02-01"))
    story.now = at("2026-02-02")
    if paused:
        story.decide(Pause(by=ANN))
    story.decide(Update(by=ANN, attributes={"next": None}, sets_end_date=True))
    return story


def moved_ahead_of_its_reminder() -> RandomLife:
    of = life(strategy(reminded()), new("2026-02-10"))
    story = RandomLife(rng=random.Random(0), of=of, now=at("2026-01-31"))
    story.decide(Reschedule(by=ANN, date=at("2026-02-01")))
    return story


STORIES: list[Callable[[], RandomLife]] = [
    lambda: blocked_and_unblocked(strategy(onResume="skip")),
    lambda: blocked_and_unblocked(strategy(onResume="skip"), end_date="2026-02-15"),
    lambda: blocked_and_unblocked(strategy(ONCE, parts=PART, onResume="skip")),
    lambda: decided_late(strategy(parts=GREET, initial_delay=DAILY, onResume="skip")),
    lambda: decided_late(strategy(ONCE, parts=GREET | PART, initial_delay=DAILY, onResume="skip")),
    lambda: decided_late(
        strategy(parts=GREET, initial_delay=DAILY, onResume="skip", method={"async": True}), by_answer=True
    ),
    lambda: decided_late(
        strategy(ONCE, parts=GREET | PART, initial_delay=DAILY, onResume="skip", method={"async": True}),
        by_answer=True,
    ),
    # The reminder of the cycle that is planned is due before that.
    lambda: blocked_and_unblocked(strategy(reminded(days=40), onResume="skip")),
    lambda: decided_late(
        strategy(
            reminded(days=40), parts=GREET, initial_delay=DAILY, onResume="skip", method={"async": True}
        ),
        by_answer=True,
    ),
    lambda: redriven_late(strategy(parts=BILL, initial_delay=DAILY, onResume="skip")),
    lambda: redriven_late(strategy(reminded(days=40), parts=BILL, initial_delay=DAILY, onResume="skip")),
    lambda: redriven_late(strategy(ONCE, parts=BILL | PART, initial_delay=DAILY, onResume="skip")),
    resumed_without_a_next_cycle,
    lambda: paused_until(strategy(ONCE, parts=PART, onResume="skip")),
    lambda: paused_until(strategy(onResume="skip"), end_date="2026-02-15"),
    lambda: paused_until(strategy(reminded(days=40), onResume="skip")),
    canceled_by_a_controller_after_a_pause,
    skipped_by_a_controller_when_dates_have_passed,
    canceled_as_a_dead_runner_had_decided,
    canceled_between_two_steps,
    lambda: moved_to_another_version(GREETING, end="2026-02-20", now="2026-02-05", onMissed="last"),
    lambda: moved_to_another_version(GREETING, manualTrigger=True),
    lambda: moved_to_another_version(GREETING, end="2026-01-31T12:00"),
    lambda: moved_to_another_version({**GREETING, "runOnCycle": 9}),
    lambda: moved_to_another_version({**GREETING, "runOnCycle": 9}, paused=True),
    given_more_time_after_dates_have_passed,
    completed_as_it_is_created,
    moved_ahead_of_its_reminder,
    lambda: given_more_time_without_a_next_cycle(paused=False),
    lambda: given_more_time_without_a_next_cycle(paused=True),
]
"""Stories with transitions that are too rare in random lives."""


def reached() -> tuple[set[Transition], set[Transition]]:
    """Return every transition of an instance, and of an event, that was seen."""
    lives = [RandomLife.begun(seed).lead(STEPS) for seed in range(LIVES)] + [tell() for tell in STORIES]
    lives += [RandomLife.begun(seed, is_dated=True).lead(STEPS) for seed in range(DATED_LIVES)]
    instances = {move for one in lives for move in one.instances}
    return instances, {move for one in lives for move in one.events}


class TestTransitions:
    """The document lists exactly the transitions that happen."""

    def test_the_tables_list_exactly_what_decide_does(self) -> None:
        for section, seen in zip(("Instance", "Event"), reached(), strict=True):
            documented_rows = documented(section)
            assert len(documented_rows) > 5
            happened = merged(seen, documented_rows)
            assert sorted(map(shown, happened - documented_rows)) == [], (
                "not in the document, or not like that"
            )
            assert sorted(map(shown, documented_rows - happened)) == [], (
                "in the document, but never seen like that"
            )


def shown(move: tuple[frozenset[str], str, frozenset[str]]) -> str:
    before, after, by = move
    return f"{', '.join(sorted(before))} -> {after} by {', '.join(sorted(by))}"
