"""Operations on the past: the history of an instance, and explanations. Source: docs/contracts/core.md section 5."""

from datetime import UTC, datetime

from shared.api.core.answers import ExplanationShape, HistoryPageShape
from shared.api.core.authorizer import NamedInstance
from shared.api.core.days import instant_on_instance
from shared.api.core.errors import bad_request
from shared.api.core.paging import Paging
from shared.api.core.render_history import explanation_shape, past_event_shape
from shared.api.core.schemas import ExplainQuery, PageQuery
from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.application.explain import explain_at
from shared.application.history import history_page
from shared.application.ports import UnknownStrategyError, Unreadable
from shared.domain.errors import Problem, RitornelloError
from shared.domain.ids import StrategySid, event_sid
from shared.domain.strategy.model import Strategy

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC)


def list_events(request: Request, named: NamedInstance, query: PageQuery) -> Answer[HistoryPageShape]:
    """List every event of an instance, open and closed, newest first, with every step of every run."""
    instance = named.instance
    paging = Paging(request, f"events of {instance.sid}", query)
    page = history_page(request.ports, instance, before=paging.before(int), limit=query.limit)
    versions = {past.event.claim.version or instance.strategy_version for past in page.events}
    known = {version: _readable(request, instance.strategy_sid, version) for version in versions}
    shapes = [
        past_event_shape(instance, past, known[past.event.claim.version or instance.strategy_version])
        for past in page.events
    ]
    after = None if page.after is None else str(page.after)
    unreadable = [Unreadable(key=event_sid(instance.sid, item.key), why=item.why) for item in page.unreadable]
    return Answer(body=paging.page_up_to(shapes, after, unreadable))


def _readable(request: Request, sid: StrategySid, version: int) -> Strategy | None:
    """Return a version of a strategy, or None if it is missing or cannot be decrypted or parsed."""
    # The history is stored with the instance; only the addresses of its calls come from the settings.
    try:
        return request.ports.strategies.load(sid, version)
    except (RitornelloError, UnknownStrategyError):
        return None


def explain_instance(request: Request, named: NamedInstance, query: ExplainQuery) -> Answer[ExplanationShape]:
    """Explain why something did or did not run at a time, which may be in the future."""
    at = instant_on_instance(request, named.instance, query.at, pointer="/at")
    if at is not None and not EARLIEST <= at <= LATEST:
        raise bad_request([Problem(pointer="/at", rule="range", message="must be between 2000 and 2999")])
    return Answer(body=explanation_shape(named.instance, explain_at(request.ports, named.instance, at)))
