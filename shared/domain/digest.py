"""What is kept of a call for the history: enough to tell whether two were the same, nothing that may be a secret.

Paths, queries, headers and bodies can all hold one, so only a hash of them is kept; headers are left out even of
that, since they change with every token. Source: contracts/core.md section 5 (an instance's events).
"""

import json
from hashlib import sha256
from urllib.parse import urlsplit

from shared.domain.call import Answered, CallOutcome, ServiceRequest
from shared.domain.journal import CallDigest


def digest_of(request: ServiceRequest, answer: CallOutcome) -> CallDigest:
    """The digest of a call, and the status it was answered with."""
    told = json.dumps(
        [request.method, request.url, request.params, request.body],
        ensure_ascii=False,
        separators=(",", ":"),
        sort_keys=True,
    )
    return CallDigest(
        method=request.method,
        host=urlsplit(request.url).netloc.rpartition("@")[2],
        sha256=sha256(told.encode()).hexdigest(),
        status=answer.status if isinstance(answer, Answered) else None,
    )
