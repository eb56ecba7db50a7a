"""A gym on the local stack, whose members are charged and do nothing else."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from dev.client import Api, Processes, example

_MEMBER: Final = {"memberId": "m", "email": "m@example.test", "monthlyFee": 29.5}


def gym(processes: Processes) -> Api:
    """Save the gym's strategy with nothing but its charge, and return its API."""
    strategy = example("gym-membership", processes.downstream)
    strategy["settings"]["schedule"]["initialDelay"] = {"unit": "minutes", "amount": 0}
    strategy["settings"]["schedule"]["calendars"][0]["leadingUpTasks"] = []
    strategy["settings"]["onCreateTasks"] = []
    processes.stack.call("POST", "/execution-strategy", strategy)
    return replace(processes.stack, secret=strategy["secret"])


def join(api: Api, at: datetime) -> str:
    """Start a member whose first charge is due at an instant, and return the sid."""
    body = {"strategyId": "gym-membership", "startDate": at.isoformat(), "attributes": _MEMBER}
    sid: str = api.call("POST", "/execution-instance", body)["executionInstance"]["sid"]
    return sid
