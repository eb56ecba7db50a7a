"""The invariants. Each function returns the invariant that a step breaks, or an empty text."""

from tests.model.state import (
    ADVANCE,
    CLOSED_CANCELED,
    EXECUTING,
    FAILED,
    NO_LEASE,
    OPEN,
    POISONED,
    PROCESSED,
    PUT_RECORD,
    READING,
    READY,
    RECORD,
    Closed,
    Entry,
    Event,
    Instance,
    Record,
    Runner,
    Seen,
    State,
)
from tests.model.world import Configuration, holds

AFTER_THE_FLAG = "an event claimed under a paused flag makes no call"
WITHOUT_A_CLAIM = "a call begins only under a valid claim"
"""So none begins after a pause or a cancel has drained: that is when the instance has no lease."""
AT_THE_SAME_TIME = "calls of one instance do not overlap while their lease lasts"
SENT_AGAIN = "a call that is sent again under a valid claim is marked as a repeat"
ONCE_PASSED = "a step whose success was stored under a valid fence is not called again"
SECOND_KEY = "a step takes effect under one key"
OVERWRITTEN = "a lower fence does not overwrite a higher one"
OUT_OF_ORDER = "events start in the order of their dates, one at a time"
REOPENED = "an event closes once"
UNRECORDED = "a closed event has the record of its end"
RECORD_CHANGED = "the record of a closed event does not change"
UNMARKED = "a record is marked in doubt if a call was sent again, or failed after it took effect"
NOT_DONE = "a processed event has done each step once, with its directive"
APPLIED_TWICE = "a directive is applied once"
POISONED_BY_OUTAGE = "an event is not poisoned by an unavailable store"


def call_begins(configuration: Configuration, state: State, runner: Runner) -> str:
    """Check the beginning of a call, before it has any effect."""
    # A kill answers at once, and cannot reach a runner that has already looked. Its one call is in doubt.
    if runner.was_killed:
        return ""
    instance = state.instance
    if holds(instance, runner.event, runner.fence) is None:
        # By its own clock it may have its lease still.
        return "" if configuration.clocks_differ else WITHOUT_A_CLAIM
    if runner.under_flag:
        return AFTER_THE_FLAG
    if runner.step <= state.seen[runner.event].passed:
        return ONCE_PASSED
    return ""


def sent_again(state: State, runner: Runner) -> str:
    """Check that a runner with a valid claim knows of its call's first sending, if that took effect."""
    if runner.was_killed or runner.repeat or holds(state.instance, runner.event, runner.fence) is None:
        return ""
    return SENT_AGAIN if state.seen[runner.event].effects[runner.step - 1] == runner.key else ""


def overlaps(configuration: Configuration, state: State, runner: Runner) -> str:
    """Check that no other runner is in a call under the same lease, as far as its clock says."""
    if runner.was_killed or configuration.clocks_differ:
        return ""
    for other in state.runners:
        is_calling = other.at in (RECORD, PUT_RECORD, ADVANCE) and other.answer
        if other is runner or not is_calling or other.has_lapsed or other.was_killed:
            continue
        if holds_lease(state, other):
            return AT_THE_SAME_TIME
    return ""


def holds_lease(state: State, runner: Runner) -> bool:
    """Return whether the instance is still leased for the runner's event."""
    instance = state.instance
    return instance.lease != NO_LEASE and instance.running == runner.event


def takes_effect(configuration: Configuration, seen: Seen, runner: Runner, key: int) -> str:
    """Check that a step takes effect under one key only.

    Two are possible if a call outlived a kill, or if it was refused and a runner with another clock sent it again.
    Then the record must be in doubt, which is checked when the event closes.
    """
    if configuration.clocks_differ:
        return ""
    is_second = seen.effects[runner.step - 1] not in (0, key)
    return SECOND_KEY if is_second and not (seen.outlived_kill or runner.was_killed) else ""


def overwrites(before: Entry | Record, fence: int) -> str:
    """Check that a write of the journal or of a record overwrites no higher fence."""
    return OVERWRITTEN if before.fence > fence else ""


def is_first(instance: Instance, number: int) -> str:
    """Check that the event that a runner is about to claim is the first of those whose date has come."""
    event = instance.events[number]
    if instance.lease != NO_LEASE or not isinstance(event, Event):
        return ""
    for other_number, other in enumerate(instance.events):
        if not isinstance(other, Event) or other.status != READY:
            continue
        if (other.order, other_number) < (event.order, number):
            return OUT_OF_ORDER
    return ""


def starts(before: State, number: int) -> str:
    """Check that no other event is in flight when one is claimed."""
    for other_number, other in enumerate(before.instance.events):
        if other_number != number and isinstance(other, Event) and other.status == EXECUTING:
            return OUT_OF_ORDER
    return ""


def changes(configuration: Configuration, before: State, after: State) -> str:
    """Check everything else that a step may not do: it closes an event, opens one again, or changes a record."""
    if before.instance is after.instance and before.records is after.records:
        return ""
    for number, was in enumerate(before.instance.events):
        now, record = after.instance.events[number], after.records[number]
        if isinstance(was, Closed):
            if not isinstance(now, Closed):
                return REOPENED
            if record[1:] != before.records[number][1:]:  # fences may have been renumbered
                return RECORD_CHANGED
        elif isinstance(now, Closed):
            broken = _closes(configuration, after, number, now.how)
            if broken:
                return broken
    return ""


def _closes(configuration: Configuration, after: State, number: int, how: int) -> str:
    record, seen = after.records[number], after.seen[number]
    if record.how == OPEN or record.how != how:
        return UNRECORDED
    if seen.applied > 1:
        return APPLIED_TWICE
    if how == PROCESSED and (0 in seen.effects or seen.applied != configuration.has_directive):
        return NOT_DONE
    if how == POISONED and not configuration.budget.crashes and not configuration.budget.stalls:
        return POISONED_BY_OUTAGE
    # A step took effect, and its success is not stored.
    is_open = any(key > READING for key in seen.effects[seen.recorded :])
    has_failed = how in (FAILED, POISONED, CLOSED_CANCELED) and is_open
    if not record.in_doubt and (seen.called_twice or seen.outlived_kill or has_failed):
        return UNMARKED
    return ""
