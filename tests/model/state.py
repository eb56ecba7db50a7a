"""The state of the model: the stores, the knowledge of each process, and the memory of the invariants.

A state is a tuple of whole numbers and of other such tuples, so it can be hashed and compared. Fields are named as in
``shared/domain`` if they mean the same.
"""

from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")

# Statuses of an instance. A completed instance is an ACTIVE one without events.
ACTIVE, PAUSED, CANCELED = range(3)

# Statuses of an event. WAITING has a date ahead, and READY has one that has come (PENDING or QUEUED).
WAITING, READY, EXECUTING, STOPPED = range(4)

# How an event closed. POISONED stands for FAILED after MAX_CRASHES.
OPEN, PROCESSED, FAILED, CLOSED_CANCELED, POISONED = range(5)

# The lease. LAPSED_LATE: longer ago than CRASH_WINDOW. GIVEN_BACK lasts until the end of its back-off.
NO_LEASE, LIVE, LAPSED, LAPSED_LATE, GIVEN_BACK, BACK_OVER = range(6)
EXPIRED: Final = frozenset({LAPSED, LAPSED_LATE, BACK_OVER})

# What a service answers. In the two cases without an answer, the call took effect (LOST) or did not (SILENT).
NO_CALL, OK, REFUSED, LOST, SILENT = range(5)

# What a writer knows of the instance it has loaded. See ``world.stored``.
NOT_LOADED, FRESH, STALE = range(3)

# How a run ends, if it does not continue with a step.
NO_END, RETRY, EXHAUSTED, SUCCEEDED = range(4)

READING: Final = 1
"""Stands for the key of a call that only reads: it is no key of any visit."""

ANY_VISITS: Final = 9
LAST_STEP: Final = 2


class Event(NamedTuple):
    """One unfinished event. ``step``, ``key`` and ``repeat`` are the first action of its run; ``step`` is 0 before.

    ``was_killed`` says that a kill cut its run off, so it is unknown how many steps are in the journal.
    """

    status: int
    order: int
    run: int = 1
    step: int = 0
    key: int = 0
    repeat: int = 0
    known_visits: int = 0
    fence: int = 0
    crashes: int = 0
    call_in_doubt: int = 0
    in_doubt: int = 0
    applied: int = 0
    was_killed: int = 0


class Closed(NamedTuple):
    """The place of an event that has left its instance. ``how`` is the status in the instance's last word on it."""

    how: int


class Instance(NamedTuple):
    """The aggregate. ``running`` is the event under the lease. ``moved_on`` is the sweeper's back-off."""

    events: tuple[Event | Closed, ...]
    status: int = ACTIVE
    fence: int = 0
    lease: int = NO_LEASE
    running: int = 0
    sent_visit: int = 0
    blocked: int = 0
    attribute: int = 0
    moved_on: int = 0


class Entry(NamedTuple):
    """A journal entry of one visit, with the intent that follows it, or ``end``."""

    fence: int
    step: int
    key: int
    repeat: int
    answer: int
    directive: int
    next_key: int
    end: int


NO_ENTRY: Final = Entry(0, 0, 0, 0, 0, 0, 0, 0)


class Record(NamedTuple):
    """The record of a closed event."""

    fence: int = 0
    how: int = OPEN
    in_doubt: int = 0


class Plan(NamedTuple):
    """The place at which a run continues, as its claim read it in the history of the event."""

    visits: int = 0
    step: int = 0
    key: int = 0
    repeat: int = 0
    end: int = NO_END
    in_doubt: int = 0
    last: Entry = NO_ENTRY
    unapplied: int = 0
    record: Record = Record()


# Where a runner is. Each is the name of the next access to a store or a service.
IDLE, CHECK, CLAIM, FLAG, BLOCK, UNBLOCK, REFENCE = range(7)
CALL, RECORD, APPLY, LOOK, STOP, PUT_RECORD, ADVANCE, GIVE_BACK, WAIT = range(7, 16)


class Runner(NamedTuple):
    """An invocation of the step runner. An idle one is ``IDLE_RUNNER``.

    ``visit``, ``step``, ``key``, ``repeat`` and ``end`` are the next action of the run, ``answer`` is that of a call
    that is not recorded yet. ``has_lapsed`` says that its clock has passed the end of its lease, and ``is_refused``
    that its claim was not stored. With ``must_read`` it reads the instance before it continues.

    For the invariants: ``was_killed`` says that a kill came between its last look and its next call, and
    ``under_flag`` that a flag was paused before its claim and has been since.
    """

    at: int = IDLE
    event: int = 0
    fence: int = 0
    run: int = 0
    visit: int = 0
    step: int = 0
    key: int = 0
    repeat: int = 0
    end: int = NO_END
    known_visits: int = 0
    call_in_doubt: int = 0
    in_doubt: int = 0
    answer: int = NO_CALL
    has_lapsed: int = 0
    is_refused: int = 0
    must_read: int = 0
    was_killed: int = 0
    under_flag: int = 0
    loaded: int = NOT_LOADED
    plan: Plan = Plan()
    before: Event | None = None
    snapshot: Instance | None = None


IDLE_RUNNER: Final = Runner()

# Where the sweeper is.
RESTING, MOVE_ON, WAKE = range(3)

# Where another entry of the due index, which cannot be read, is: absent or moved on, or at the head.
BEHIND, AT_HEAD = range(2)


class Budget(NamedTuple):
    """How many more faults and commands of each kind may come."""

    crashes: int = 0
    stalls: int = 0
    commands: int = 0
    lost_replies: int = 0
    bad_answers: int = 0
    pauses_of_flag: int = 0
    outages: int = 0
    extra_wakeups: int = 0
    lost_wakeups: int = 0


class Seen(NamedTuple):
    """The facts about one event that the invariants need.

    ``effects`` are the keys under which each step took effect. ``recorded`` is the last step whose success is stored,
    and ``passed`` the last step whose success no claim under way can have missed. ``called_twice`` says that a call
    was sent again after it took effect, and ``outlived_kill`` that a call took effect that began after a kill.
    ``applied`` counts how often its directive was applied.
    """

    effects: tuple[int, ...] = (0, 0)
    passed: int = 0
    recorded: int = 0
    called_twice: int = 0
    outlived_kill: int = 0
    applied: int = 0


class State(NamedTuple):
    """One state of everything. ``broken`` is the invariant that the last step broke, or empty."""

    instance: Instance
    journal: tuple[tuple[Entry, ...], ...]
    records: tuple[Record, ...]
    runners: tuple[Runner, ...]
    budget: Budget
    seen: tuple[Seen, ...]
    flag: int = 0
    job: int = 0
    wakeup: int = 0
    schedule: int = 0
    is_delay_over: int = 0
    sweeper: int = RESTING
    sweeper_loaded: int = NOT_LOADED
    neighbour: int = BEHIND
    is_down: int = 0
    is_unreadable: int = 0
    operator: Instance | None = None
    broken: str = ""


class Step(NamedTuple):
    """One step from a state to another. A fair one needs neither a fault nor a command, so it comes in the end."""

    name: str
    is_fair: bool
    after: State


def fair(name: str, after: State) -> Step:
    """Return a step that comes in the end, without a fault or a command."""
    return Step(name=name, is_fair=True, after=after)


def unfair(name: str, after: State) -> Step:
    """Return a step that may never come: a fault or a command."""
    return Step(name=name, is_fair=False, after=after)


def event_of(instance: Instance, number: int) -> Event | None:
    """Return the unfinished event with that number, or None."""
    event = instance.events[number]
    return event if isinstance(event, Event) else None


def with_event(instance: Instance, number: int, changed: Event | Closed) -> Instance:
    """Return the instance with one event replaced."""
    events = instance.events
    return instance._replace(events=(*events[:number], changed, *events[number + 1 :]))


def replaced(values: tuple[T, ...], index: int, value: T) -> tuple[T, ...]:
    """Return the tuple with one value replaced."""
    return (*values[:index], value, *values[index + 1 :])
