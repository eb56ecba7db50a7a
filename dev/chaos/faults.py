"""Which faults happen when. Random, but the same for the same seed."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

Kind = TypeVar("Kind")

FIRST_SECOND = 8.0
"""Nothing fails before the work has begun."""


class Target(StrEnum):
    """The processes to kill or stop."""

    EVERYTHING = "everything"
    """The stack with all of its processes."""
    FRONT = "front"
    """The process of the stack alone; its workers finish their calls, as zombies."""
    WORKER = "worker"
    RUNNER = "runner"
    """A worker of the step runner."""
    EMULATOR = "emulator"


class Link(StrEnum):
    """A connection between our code and a service, which a proxy can disturb."""

    DATABASE = "database"
    SERVICES = "services"
    """Scheduler and Lambda."""


class Disturbance(StrEnum):
    """A disturbance of a request by a proxy."""

    THROTTLE = "throttle"
    RESET = "reset"
    LOST_REPLY = "lost reply"
    """The request is forwarded, and its answer is dropped."""
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill -9."""

    target: Target


@dataclass(frozen=True, slots=True)
class Stop:
    """A SIGSTOP, followed by a SIGCONT after some seconds."""

    target: Target
    seconds: float


@dataclass(frozen=True, slots=True)
class Disturb:
    """A share of the requests on a link is disturbed for some seconds."""

    link: Link
    how: Disturbance
    share: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Fail:
    """The next calls of the downstream services fail, as ``dev.downstream`` describes it."""

    status: int | None = None
    lie: bool = False
    drop: bool = False
    hang: bool = False
    times: int = 1


Fault = Kill | Stop | Disturb | Fail

_KILLS = {
    Target.RUNNER: 9,
    Target.WORKER: 5,
    Target.EMULATOR: 7,
    Target.FRONT: 4,
    Target.EVERYTHING: 5,
}
_STOPS = {Target.RUNNER: 6, Target.WORKER: 2, Target.EMULATOR: 3, Target.FRONT: 1}
_FAILURES = (
    Fail(status=402),
    Fail(status=429),
    Fail(status=503),
    Fail(status=500),
    Fail(status=500, lie=True),
    Fail(status=502, lie=True, times=2),
    # The service has done what it refuses. The call is sent again unmarked, and only its key prevents a second effect.
    Fail(status=503, lie=True),
    Fail(drop=True),
    Fail(hang=True),
)


@dataclass(frozen=True, slots=True)
class Timed:
    """A fault and when it happens, in seconds from the begin."""

    at: float
    fault: Fault


def plan_faults(seed: int, *, seconds: float, kills: int) -> list[Timed]:
    """Return the faults of a run in order: exactly ``kills`` kills, and about four other faults for each of them.

    Every kind happens if there are enough of them. No fault lasts beyond ``seconds``.
    """
    rng = random.Random(seed)
    victims = _shuffled(rng, _KILLS, kills)
    faults: list[Fault] = [Kill(target) for target in victims]
    faults += [Stop(target, round(rng.uniform(0.5, 6), 1)) for target in _shuffled(rng, _STOPS, kills)]
    pairs = {(link, how): 1 for link in Link for how in Disturbance}
    faults += [
        Disturb(link, how, round(rng.uniform(0.1, 0.6), 2), round(rng.uniform(3, 10), 1))
        for link, how in _shuffled(rng, pairs, kills)
    ]
    faults += _shuffled(rng, dict.fromkeys(_FAILURES, 1), 2 * kills)
    rng.shuffle(faults)
    room = max(0.0, seconds - FIRST_SECOND)
    spacing = room / max(1, len(faults))
    timed = []
    for number, fault in enumerate(faults):
        at = FIRST_SECOND + spacing * (number + rng.random())
        lasts = fault.seconds if isinstance(fault, Stop | Disturb) else 0.0
        timed.append(Timed(round(max(0.0, min(at, seconds - lasts)), 2), fault))
    return sorted(timed, key=lambda one: one.at)


def _shuffled(rng: random.Random, weights: Mapping[Kind, int], count: int) -> list[Kind]:
    """Return ``count`` kinds in random order, each as often as its weight says."""
    deck: list[Kind] = []
    while len(deck) < count:
        cards = [kind for kind, weight in weights.items() for _ in range(weight)]
        # The heaviest kinds first, one of each: a short run has every kind that it has room for.
        first = sorted(weights, key=lambda kind: -weights[kind])
        for kind in first:
            cards.remove(kind)
        rng.shuffle(cards)
        deck += first + cards
    deck = deck[:count]
    rng.shuffle(deck)
    return deck
