"""The problems of an account's instances, and taking it off the list. Source: docs/contracts/core.md section 5."""

import json
import re
from typing import Any

from msgspec.structs import replace

from shared.api.core import answers
from shared.api.core.authorizer import Authorizer, NamedInstance
from shared.api.core.errors import unless_refused
from shared.api.core.paging import Paging
from shared.api.core.render import instance_shape
from shared.api.core.schemas import DismissProblems, ProblemsQuery
from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.api.http.shapes import omit_unset
from shared.application.control import control
from shared.application.ports import page_key_of, page_key_text
from shared.application.problems import FailedCall, FoundProblem, ProblemFilter, problem_page
from shared.domain.calendar.dates import format_instant
from shared.domain.ids import event_sid
from shared.domain.instance.phase import reason_of
from shared.domain.instance.problems import ProblemKind, Remedy, remedies
from shared.domain.lifecycle.commands import Dismiss

MAX_EXCERPT = 500
"""Characters of an error's body that are shown."""

_SECRET = re.compile(
    r"secret|token|passw|authori[sz]ation|credential|api[-_]?key|cookie|session|signature|card|cvv|cvc|iban|pin\b",
    re.IGNORECASE,
)
"""Names of members whose values may be secrets."""

_HIDDEN = "***"


def list_problems(request: Request, query: ProblemsQuery) -> Answer[answers.ProblemPageShape]:
    """List what needs a person, newest first: failed events, calls in doubt, overdue answers, late events.

    Excerpts of the services' answers need the strategy's secret, so only a list of one strategy has them.
    """
    head = None if query.strategyId is None else Authorizer(request).strategy_named(query.strategyId)
    criteria = ProblemFilter(
        kind=None if query.kind is None else ProblemKind(query.kind),
        strategy=None if head is None else head.sid,
        error_class=query.error,
    )
    paging = Paging(request, f"problems {criteria}", query)
    page = problem_page(
        request.ports,
        request.principal.account_id,
        criteria,
        before=paging.before(page_key_of),
        limit=query.limit,
    )
    shapes = [_problem(found, has_secret=head is not None) for found in page.found]
    after = None if page.after is None else page_key_text(page.after)
    return Answer(body=paging.page_up_to(shapes, after, page.unreadable))


def dismiss_problems(
    request: Request, named: NamedInstance, body: DismissProblems
) -> Answer[answers.InstanceShape]:
    """Take the final problems of an instance off the list: they will not be repaired. Others stay."""
    command = Dismiss(until=request.ports.clock.now(), by=replace(request.actor, reason=body.comment))
    verdict = control(request.ports, named.instance.sid, command, known=named.instance)
    instance = unless_refused(verdict, "instance").instance
    return Answer(body=instance_shape(instance, now=request.ports.clock.now()))


@omit_unset
def _problem(found: FoundProblem, *, has_secret: bool) -> answers.ProblemShown:
    instance, problem = found.instance, found.problem
    reason, failure = reason_of(instance), problem.failure
    return answers.ProblemShown(
        kind=problem.kind,
        since=format_instant(problem.since),
        why=problem.why,
        error=None if failure is None else failure.error_class,
        executionInstanceSid=instance.sid,
        executionEventSid=None if problem.seq is None else event_sid(instance.sid, problem.seq),
        strategyId=instance.origin.strategy_id,
        reference=instance.origin.reference,
        status=instance.status,
        reason=None if reason is None else reason.text,
        call=None if found.call is None else _call(found.call, has_secret=has_secret),
        commands=[_command(found, remedy, has_secret=has_secret) for remedy in remedies(instance, problem)],
    )


@omit_unset
def _call(call: FailedCall, *, has_secret: bool) -> answers.FailedCallShown:
    error = call.error
    return answers.FailedCallShown(
        service=call.service,
        method=call.method,
        step=call.step,
        status=None if error is None else error.status,
        excerpt=None if error is None or error.data is None or not has_secret else _excerpt(error.data),
    )


def _excerpt(body: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return the beginning of a body, without the values of members that may be secrets."""
    text = body if isinstance(body, str) else json.dumps(_without_secrets(body), ensure_ascii=False)
    return text if len(text) <= MAX_EXCERPT else f"{text[: MAX_EXCERPT - 1]}…"


def _without_secrets(body: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(body, dict):
        return {
            name: _HIDDEN if _SECRET.search(name) else _without_secrets(value) for name, value in body.items()
        }
    return [_without_secrets(value) for value in body] if isinstance(body, list) else body


def _command(found: FoundProblem, remedy: Remedy, *, has_secret: bool) -> str:
    """Return the request that ends a problem."""
    instance, seq = found.instance, found.problem.seq
    if remedy is Remedy.ANSWER:
        # Whoever knows the id may answer, so it needs the strategy's secret, as GET of the event does.
        correlation_id = None if found.call is None or not has_secret else found.call.correlation_id
        return f"POST /execution-event/{correlation_id or '<correlationId>'}/resume"
    if remedy is Remedy.CANCEL_EVENT and seq is not None:
        return f"POST /execution-event/{event_sid(instance.sid, seq)}/cancel"
    if remedy in (Remedy.RETRY, Remedy.RESOLVE) and seq is not None:
        return f"POST /execution-event/{event_sid(instance.sid, seq)}/{remedy.value}"
    return f"POST /execution-instance/{instance.sid}/{remedy.value}"
