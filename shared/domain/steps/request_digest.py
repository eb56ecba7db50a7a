"""What is kept of a request for the history: enough to tell whether two were the same.

Paths, queries, headers and bodies may all hold secrets, so nothing of them is kept but a hash; headers are left
out even of that, since they change with every token. Source: contracts/core.md section 5 (an instance's events).
"""

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

from shared.domain.steps.call import ServiceRequest, method_of
from shared.domain.strategy.model import Strategy

DIGEST_BYTES = 16
"""So much is kept of a hash: 128 bits, and a record stays within a kilobyte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a step's calls go. host: with its port, empty where this environment has no URL for it."""

    action: str
    method: str
    host: str


def target_of(strategy: Strategy, task: str, step: str) -> Target | None:
    """Where the calls of a step go, as its definition says; None where it makes none."""
    known = strategy.definition.tasks.get(task)
    found = None if known is None else known.steps.get(step)
    if found is None or found.action is None:
        return None
    service, method = method_of(strategy, strategy.definition.actions[found.action])
    host = urlsplit(service.base_urls.get(strategy.environment, "")).netloc
    return Target(action=found.action, method=method.method, host=host)


def digest_of(request: ServiceRequest) -> str:
    """The first 128 bits of the SHA-256 of method, URL, query and body, in base64url."""
    told = json.dumps(
        [request.method, request.url, request.params, request.body],
        ensure_ascii=False,
        separators=(",", ":"),
        sort_keys=True,
    )
    return urlsafe_b64encode(sha256(told.encode()).digest()[:DIGEST_BYTES]).decode().rstrip("=")
