"""The digest of a request in the history. It shows whether two requests were equal.

Source: docs/contracts/core.md section 5 (an instance's events).
"""

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import urlsplit

from msgspec import Struct

from shared.domain.steps.call import ServiceRequest, method_of
from shared.domain.strategy.model import Strategy

# Paths, queries, headers and bodies may hold secrets, so only a hash of them is stored. Headers are not even hashed,
# because they change with every token.
DIGEST_BYTES = 16
"""How many bytes of the hash are stored: 128 bits, so that a record stays within a kilobyte."""


class CallTarget(Struct, frozen=True, kw_only=True):
    """The target of a step's calls. ``host`` includes the port; it is empty if this environment has no URL."""

    action: str
    method: str
    host: str


def target_of(strategy: Strategy, task: str, step: str) -> CallTarget | None:
    """Return the target of a step's calls by its definition, or None if the step makes none."""
    task_definition = strategy.definition.tasks.get(task)
    step_definition = None if task_definition is None else task_definition.steps.get(step)
    if step_definition is None or step_definition.action is None:
        return None
    service, method = method_of(strategy, strategy.definition.actions[step_definition.action])
    host = urlsplit(service.base_urls.get(strategy.environment, "")).netloc
    return CallTarget(action=step_definition.action, method=method.method, host=host)


# ``json.dumps`` would make an encoder for each request.
_canonical = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


def digest_of(request: ServiceRequest) -> str:
    """Return the first 128 bits of the SHA-256 of method, URL, query and body, in base64url."""
    text = _canonical([request.method, request.url, request.params, request.body])
    return urlsafe_b64encode(sha256(text.encode()).digest()[:DIGEST_BYTES]).decode().rstrip("=")
