"""The operations that look back: an instance's history, and why something did or did not run.

Source: contracts/core.md section 5.
"""

from datetime import UTC, datetime
from http import HTTPStatus

from shared.api.core.call import Answer, Call
from shared.api.core.errors import bad_request
from shared.api.core.paging import Paging
from shared.api.core.render_history import explanation_shape, past_event_shape
from shared.api.core.schemas import ExplainQuery, PageQuery
from shared.application.explain import explained
from shared.application.history import history_page
from shared.domain.errors import Problem

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC)


def list_events(call: Call, sid: str) -> Answer:
    """Every event of an instance, open and closed, newest first, with every step of every run."""
    instance, _ = call.gate.instance(call.principal, sid)
    asked = call.asked(PageQuery)
    paging = Paging(call, f"events of {instance.sid}", asked)
    page = history_page(call.ports, instance, before=paging.before(int), limit=asked.limit)
    versions = {past.event.claim.version or instance.strategy_version for past in page.events}
    known = {version: call.ports.strategies.load(instance.strategy_sid, version) for version in versions}
    shapes = [
        past_event_shape(instance, past, known[past.event.claim.version or instance.strategy_version])
        for past in page.events
    ]
    return HTTPStatus.OK, paging.page_up_to(shapes, None if page.after is None else str(page.after))


def explain_instance(call: Call, sid: str) -> Answer:
    """Why something did or did not run at a time, which may lie ahead."""
    instance, _ = call.gate.instance(call.principal, sid)
    at = call.asked(ExplainQuery).at or call.ports.clock.now()
    if not EARLIEST <= at <= LATEST:
        raise bad_request([Problem(pointer="/at", rule="range", message="must be between 2000 and 2999")])
    return HTTPStatus.OK, explanation_shape(instance, explained(call.ports, instance, at))
