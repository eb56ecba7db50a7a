"""The claim of a due event, and the takeover from a runner that crashed, stalled or gave its claim back."""

from typing import NamedTuple

from tests.model.history import new_key
from tests.model.state import (
    ACTIVE,
    BACK_OVER,
    EXECUTING,
    LAPSED,
    LIVE,
    NO_LEASE,
    OK,
    OPEN,
    POISONED,
    Event,
    Instance,
    Plan,
    Record,
    State,
    event_of,
    replaced,
    with_event,
)
from tests.model.world import (
    Configuration,
    after_visits,
    at_rest,
    closed,
    is_too_early,
    only_reads,
    stop_event,
)

OTHER_KEYS = 50
"""Added to a key that another runner cannot know, because it was not stored before the call."""


class Claimed(NamedTuple):
    """The result of a claim. ``event`` is None if the instance was repaired instead."""

    state: State
    instance: Instance
    event: Event | None
    plan: Plan


def decide_claim(
    configuration: Configuration, state: State, base: Instance, number: int, plan: Plan
) -> Claimed:
    """Claim an event of ``base`` under a new fence and lease, or repair the instance first (``claim.py``)."""
    event = event_of(base, number)
    if event is None:  # only without a check of the rev
        return Claimed(state, base, None, plan)
    if base.lease == NO_LEASE:
        return _claimed(configuration, state, base, number, event, plan)
    guards = configuration.guards
    counts = plan.record.fence == event.fence or not guards.record_counts_by_fence
    if plan.record.how != OPEN and counts:
        state, after = closed(state, base, number, plan.record.how)
        return Claimed(state, at_rest(after), None, plan)
    event, plan = _left_behind(configuration, state, base, event, plan)
    state = with_recorded(state, number, plan)
    if plan.unapplied and guards.takeover_applies_directives:
        state, base, event = applied(configuration, state, base, number, event, plan.visits)
    if base.status != ACTIVE:
        state, after = stop_event(state, base, number, event)
        return Claimed(state, after, None, plan)
    if event.crashes >= configuration.max_crashes:
        record = Record(base.fence, POISONED, event.in_doubt)
        state, after = closed(state, base, number, POISONED, record)
        return Claimed(state, at_rest(after), None, plan)
    return _claimed(configuration, state, base, number, event, plan)


def applied(
    configuration: Configuration, state: State, instance: Instance, number: int, event: Event, visit: int
) -> tuple[State, Instance, Event]:
    """Return state, instance and event after the directive of a visit, recorded as applied (``apply_entry``)."""
    if configuration.guards.applied_with_directives:
        event = event._replace(applied=new_key(event.run, visit))
    instance = with_event(instance, number, event)._replace(attribute=instance.attribute + 1)
    seen = state.seen[number]
    seen = seen._replace(applied=seen.applied + 1, passed=max(seen.passed, 1), recorded=max(seen.recorded, 1))
    return state._replace(seen=replaced(state.seen, number, seen)), instance, event


def with_recorded(state: State, number: int, plan: Plan) -> State:
    """Return the state in which the invariants know that the success of the plan's last step is stored."""
    if plan.last.answer != OK:
        return state
    seen = state.seen[number]
    seen = seen._replace(recorded=max(seen.recorded, plan.last.step))
    return state._replace(seen=replaced(state.seen, number, seen))


def _left_behind(
    configuration: Configuration, state: State, base: Instance, event: Event, plan: Plan
) -> tuple[Event, Plan]:
    """Return the event with its calls in doubt and one more crash, if it crashed (``_left_behind``)."""
    guards = configuration.guards
    event = after_visits(event, plan.visits)
    was_sent = base.lease != BACK_OVER or base.sent_visit == plan.visits + 1
    may_have_called = plan.step > 0 and was_sent and guards.takeover_marks_doubt
    may_have_called = may_have_called and not is_too_early(configuration, state, plan.visits + 1)
    if plan.step > 0 and was_sent and not guards.intent_before_call:
        plan = plan._replace(key=plan.key % OTHER_KEYS + OTHER_KEYS)
        may_have_called = False
    call_in_doubt, reads = event.call_in_doubt | may_have_called, only_reads(configuration, plan.step)
    in_doubt = event.in_doubt | (call_in_doubt and plan.step > 0 and not reads) | plan.in_doubt
    is_crash = base.lease == LAPSED or (not guards.late_takeover_not_counted and base.lease != BACK_OVER)
    crashes = event.crashes + is_crash
    return event._replace(call_in_doubt=int(call_in_doubt), in_doubt=int(in_doubt), crashes=crashes), plan


def _claimed(
    configuration: Configuration, state: State, base: Instance, number: int, event: Event, plan: Plan
) -> Claimed:
    if not event.step:
        event = event._replace(step=plan.step, key=plan.key, repeat=plan.repeat)
    fence = base.fence + configuration.guards.claim_moves_fence
    event = after_visits(event, plan.visits)._replace(
        status=EXECUTING, known_visits=plan.visits, fence=fence, was_killed=0
    )
    after = with_event(base, number, event)._replace(lease=LIVE, running=number, sent_visit=0, fence=fence)
    return Claimed(state, after, event, plan)
