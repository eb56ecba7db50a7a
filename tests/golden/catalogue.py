"""All goldens. Add one for each new member, type or enum value that is stored; never change or remove one."""

from tests.golden.access import ACCESS
from tests.golden.events import EVENTS
from tests.golden.golden import Golden
from tests.golden.instances import INSTANCES
from tests.golden.operations import OPERATIONS
from tests.golden.strategies import STRATEGIES

GOLDENS: tuple[Golden, ...] = (*STRATEGIES, *INSTANCES, *EVENTS, *OPERATIONS, *ACCESS)

WRITTEN = tuple(golden for golden in GOLDENS if golden.until is None)
"""Those that today's stores write."""
