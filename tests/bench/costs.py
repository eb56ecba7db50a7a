"""The cost of runs, from counts and list prices: the tables of docs/deployment.md."""

from dataclasses import dataclass

WRITE_UNITS = 0.625
READ_UNITS = 0.125
REQUESTS = 0.20
SCHEDULES = 1.00
NOTIFICATIONS = 1.00
"""US dollars for a million, at list prices of us-east-1. ``REQUESTS`` are invocations of Lambda."""

GIGABYTE_SECOND = 0.0000133334
LOG_GIGABYTE = 0.50
STORED_GIGABYTE = 0.25 + 0.20
"""A month of storage in DynamoDB, with point-in-time recovery."""

FIXED = 20.0
"""A month of the sweeper, alarms, metrics, dashboard, key and secret."""

TRIP_SECONDS = 0.005
SERVICE_SECONDS = 0.2
OWN_SECONDS = 0.012
"""How long a trip to AWS, a service's answer and our own work for a step take. The runner has 1 GB."""

PUBLISHER_SECONDS = 0.03
LOGGED_BYTES = 2_000
"""For each run. The publisher is invoked once a run at worst."""

ITEM_BYTES = 1_000
INSTANCE_BYTES = 2_000
"""A record or journal entry; an instance with its index entries."""

_MILLION = 1_000_000
_GIGABYTE = 1_000_000_000
SECONDS_OF_A_MONTH = 30 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The counts of a run with a number of steps. ``trips`` are those to all of AWS."""

    steps: int
    read_units: float
    write_units: int
    trips: int

    @property
    def seconds(self) -> float:
        """Return how long the runner takes."""
        return self.trips * TRIP_SECONDS + self.steps * (SERVICE_SECONDS + OWN_SECONDS)

    def costs(self) -> dict[str, float]:
        """Return the US dollars for a million runs by kind."""
        return {
            "DynamoDB": self.write_units * WRITE_UNITS + (self.read_units + 1) * READ_UNITS,
            "step runner": self.seconds * GIGABYTE_SECOND * _MILLION + REQUESTS,
            "Scheduler": SCHEDULES,
            "notifications": PUBLISHER_SECONDS * GIGABYTE_SECOND * _MILLION + REQUESTS + NOTIFICATIONS,
            "logs": LOGGED_BYTES * _MILLION / _GIGABYTE * LOG_GIGABYTE,
        }

    def total(self) -> float:
        """Return the US dollars for a million runs."""
        return sum(self.costs().values())

    def kept(self) -> float:
        """Return the US dollars a month for keeping the records and journal entries of a million runs."""
        return self.steps * ITEM_BYTES * _MILLION / _GIGABYTE * STORED_GIGABYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Load and cost of a number of instances, if each has such a run a month and all are due within an hour."""

    instances: int
    run: Run

    @property
    def peak(self) -> float:
        """Return runs a second."""
        return self.instances / 3600

    @property
    def concurrency(self) -> float:
        """Return how many runners run at once."""
        return self.peak * self.run.seconds

    @property
    def write_units(self) -> float:
        """Return write units a second, of all tables."""
        return self.peak * self.run.write_units

    @property
    def dollars(self) -> float:
        """Return the cost of a month, without keeping the records and journal entries of earlier months."""
        runs = self.instances / _MILLION * (self.run.total() + self.run.kept())
        stored = self.instances * INSTANCE_BYTES / _GIGABYTE * STORED_GIGABYTE
        return FIXED + runs + stored
