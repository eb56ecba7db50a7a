"""Settings without the parts that usually hold credentials.

Source: docs/contracts/core.md sections 4 (14) and 4.1.
"""

import re
from collections.abc import Mapping

from shared.domain.strategy.model import Json

_SECRET_HEADER = re.compile(
    r"auth|cookie|credential|passw|pwd|secret|session|signature|token|(?<!^idempotency-)key", re.IGNORECASE
)


def is_secret_header(name: str) -> bool:
    """Return whether a header's name says that its value is a credential."""
    return _SECRET_HEADER.search(name) is not None


def without_credentials(settings: Mapping[str, Json]) -> dict[str, Json]:
    """Return settings without the ``authorization`` of services, and without secret headers of actions."""
    shown = dict(settings)
    if "services" in settings:
        shown["services"] = [_without(service, "authorization") for service in settings["services"]]
    if "actions" in settings:
        shown["actions"] = [_without_secret_headers(action) for action in settings["actions"]]
    return shown


def _without(value: Mapping[str, Json], left_out: str) -> dict[str, Json]:
    return {name: member for name, member in value.items() if name != left_out}


def _without_secret_headers(action: Mapping[str, Json]) -> Mapping[str, Json]:
    headers = action.get("headers")
    # Nulls are stored as they were sent.
    if not headers:
        return action
    shown = {name: value for name, value in headers.items() if not is_secret_header(name)}
    return {**action, "headers": shown}
