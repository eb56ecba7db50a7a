"""The steps of a run, and its end (``runner/step.py``, ``progress.py``, ``patience.py``)."""

from collections.abc import Iterator
from typing import Final

from tests.model import laws
from tests.model.acting import Acting, refreshed
from tests.model.claiming import applied
from tests.model.history import NO_ANSWER, new_key
from tests.model.state import (
    ACTIVE,
    ADVANCE,
    APPLY,
    BACK_OVER,
    CALL,
    CANCELED,
    CHECK,
    CLOSED_CANCELED,
    EXHAUSTED,
    FAILED,
    GIVEN_BACK,
    IDLE_RUNNER,
    LAPSED_LATE,
    LAST_STEP,
    LIVE,
    LOOK,
    LOST,
    NO_ENTRY,
    OK,
    PROCESSED,
    PUT_RECORD,
    READING,
    RECORD,
    REFUSED,
    RETRY,
    SILENT,
    STOP,
    SUCCEEDED,
    WAITING,
    Entry,
    Event,
    Record,
    Runner,
    Step,
    event_of,
    fair,
    replaced,
    with_event,
)
from tests.model.world import (
    after_visits,
    at_rest,
    closed,
    only_reads,
    stop_event,
    stored,
)

ANSWERS: Final = ("", "success", "a refusal", "no answer, but it took effect", "no answer and no effect")


def call(me: Acting) -> Iterator[Step]:
    """Look at the clock, and send the call. Nothing comes between the two."""
    runner, state = me.runner, me.state
    if runner.has_lapsed and me.guards.lease_checked_before_call:
        yield from _renew(me)
        return
    broken = (
        laws.call_begins(me.configuration, state, runner)
        or laws.overlaps(me.configuration, state, runner)
        or laws.sent_again(state, runner)
    )
    seen = state.seen[runner.event]
    key = READING if only_reads(me.configuration, runner.step) else runner.key
    took_effect = key != READING and seen.effects[runner.step - 1] == key
    for answer in me.configuration.answers:
        if took_effect and answer in (REFUSED, SILENT):
            continue  # a service that honours the key answers the same again
        budget = state.budget
        if answer != OK:
            if not budget.bad_answers:
                continue
            budget = budget._replace(bad_answers=budget.bad_answers - 1)
        effects, wrong, again = seen.effects, broken, took_effect
        if answer in (OK, LOST):
            wrong = wrong or laws.takes_effect(me.configuration, seen, runner, key)
            again = key != READING and effects[runner.step - 1] != 0
            effects = replaced(effects, runner.step - 1, key)
        after = seen._replace(
            effects=effects,
            outlived_kill=seen.outlived_kill | (runner.was_killed and answer in (OK, LOST)),
            passed=max(seen.passed, runner.step - 1) if not runner.was_killed else seen.passed,
            called_twice=seen.called_twice | again,
        )
        called = state._replace(seen=replaced(state.seen, runner.event, after), budget=budget, broken=wrong)
        yield Step(
            f"calls step {runner.step} of event {runner.event + 1} under key {runner.key}: {ANSWERS[answer]}",
            answer == OK,
            me.with_runner(_answered(me, answer), called),
        )


def _answered(me: Acting, answer: int) -> Runner:
    """Return the runner with an answer. The last step is kept for the record instead of the journal."""
    runner = me.runner
    in_doubt = runner.repeat | (answer in NO_ANSWER) and not only_reads(me.configuration, runner.step)
    runner = runner._replace(answer=answer, in_doubt=int(runner.in_doubt or in_doubt))
    if answer == OK:
        closes, end = runner.step == LAST_STEP, SUCCEEDED
    else:
        closes, end = runner.run == me.configuration.runs, EXHAUSTED
    if not closes:
        return runner._replace(at=RECORD)
    first = PUT_RECORD if me.guards.record_before_advance else ADVANCE
    return runner._replace(at=first, end=end)


def _renew(me: Acting) -> Iterator[Step]:
    """Extend the lease, conditional on the claim (``renew``)."""
    runner, state = me.runner, me.state
    if me.claimed_event() is None:
        yield fair("cannot renew its lease and stops", me.with_runner(IDLE_RUNNER))
        return
    if state.is_down:
        yield from me.unavailable()
        return
    after = stored(me.configuration, state, state.instance._replace(lease=LIVE, blocked=0))
    renewed = refreshed(runner._replace(has_lapsed=0), state.instance)
    yield fair("renews its lease", me.with_runner(renewed, after))


def wait(me: Acting) -> Iterator[Step]:
    """Leave the event until the delay ends (``wait``)."""
    runner, state = me.runner, me.state
    event = me.claimed_event()
    if event is None:
        yield fair("cannot leave its event, its claim is lost", me.with_runner(IDLE_RUNNER))
        return
    if state.instance.status != ACTIVE:
        yield fair("finds the instance stopped", me.with_runner(runner._replace(at=STOP)))
        return
    if state.is_down:
        yield from me.unavailable()
        return
    event = after_visits(event, runner.known_visits)
    waiting = event._replace(status=WAITING, order=2, in_doubt=event.in_doubt | runner.in_doubt)
    instance = at_rest(with_event(state.instance, runner.event, waiting))._replace(blocked=0)
    after = stored(me.configuration, state, instance)
    yield fair("leaves the event until the delay ends", me.with_runner(me.again(), after))
    yield from me.without_reply("leaves the event, and the reply is lost", runner, after)


def record(me: Acting) -> Iterator[Step]:
    """Write the step, and the intent that follows it, to the journal."""
    runner, state = me.runner, me.state
    if state.is_down:
        yield from me.unavailable()
        return
    end = RETRY if runner.answer != OK else 0
    directive = int(me.configuration.has_directive and runner.step == 1 and not end)
    next_key = 0 if end else new_key(runner.run, runner.visit + 1)
    entry = Entry(
        runner.fence, runner.step, runner.key, runner.repeat, runner.answer, directive, next_key, end
    )
    after = me.append(entry, runner.visit)
    if runner.answer == OK and not directive and me.claimed_event() is not None:
        seen = after.seen[runner.event]
        seen = seen._replace(passed=max(seen.passed, runner.step), recorded=max(seen.recorded, runner.step))
        after = after._replace(seen=replaced(after.seen, runner.event, seen))
    then = runner._replace(
        known_visits=runner.visit,
        answer=NO_ENTRY.answer,
        visit=runner.visit + 1,
        step=0 if end else runner.step + 1,
        key=next_key,
        repeat=0,
        end=end,
        was_killed=0,
    )
    at = APPLY if directive else ADVANCE if end else LOOK
    yield fair("writes the step to the journal", me.with_runner(then._replace(at=at), after))
    yield from me.without_reply("writes the step, and the reply is lost", runner, after)


def apply(me: Acting) -> Iterator[Step]:
    """Apply the directive of the step before, once, with its mark in the same write."""
    runner, state = me.runner, me.state
    event = me.claimed_event()
    if event is None:
        yield fair("cannot apply its directive and stops", me.with_runner(IDLE_RUNNER))
        return
    if state.is_down:
        yield from me.unavailable()
        return
    visit = runner.visit - 1
    if event.applied >= new_key(runner.run, visit):
        yield fair(
            "has applied its directive before",
            me.with_runner(me.unless_early(refreshed(runner, state.instance))),
        )
        return
    state, instance, _ = applied(me.configuration, state, state.instance, runner.event, event, visit)
    after = stored(me.configuration, state, instance._replace(blocked=0))
    yield fair("applies its directive", me.with_runner(me.unless_early(refreshed(runner, instance)), after))
    yield from me.without_reply("applies its directive, and the reply is lost", runner, after)


def read_again(me: Acting) -> Iterator[Step]:
    runner, state = me.runner, me.state
    if not me.guards.refresh_between_steps:
        yield fair("continues without a look", me.with_runner(runner._replace(at=CALL)))
    elif me.claimed_event() is None:
        yield fair("looks at the instance, has lost it and stops", me.with_runner(IDLE_RUNNER))
    else:
        yield fair(
            "looks at the instance", me.with_runner(me.unless_early(refreshed(runner, state.instance)))
        )


def stop(me: Acting) -> Iterator[Step]:
    """Let a pause or a cancel take effect between two steps (``stop``)."""
    runner, state = me.runner, me.state
    event = me.claimed_event()
    if event is None:
        yield fair("cannot stop, its claim is lost", me.with_runner(IDLE_RUNNER))
        return
    if state.instance.status == ACTIVE:
        goes = IDLE_RUNNER
        if me.guards.stop_decides_again:
            goes = me.unless_early(refreshed(runner, state.instance))
        yield fair("finds the instance resumed", me.with_runner(goes))
        return
    if state.is_down:
        yield from me.unavailable()
        return
    event = after_visits(event, runner.known_visits)
    event = event._replace(in_doubt=event.in_doubt | runner.in_doubt)
    state, instance = stop_event(state, state.instance, runner.event, event)
    yield fair(
        "stops between two steps",
        me.with_runner(me.again(), stored(me.configuration, state, instance)),
    )


def put_record(me: Acting) -> Iterator[Step]:
    runner, state = me.runner, me.state
    if state.is_down:
        yield from me.unavailable()
        return
    how = {SUCCEEDED: PROCESSED, EXHAUSTED: FAILED}.get(runner.end, CLOSED_CANCELED)
    stored_record = state.records[runner.event]
    after = state
    if not me.guards.record_checks_fence or stored_record.fence <= runner.fence:
        event = event_of(state.instance, runner.event)
        in_doubt = runner.in_doubt | (0 if event is None else event.in_doubt)
        if stored_record.how and event is None and stored_record.fence == runner.fence:
            in_doubt = stored_record.in_doubt  # its own record, written once more
        record = Record(runner.fence, how, in_doubt)
        broken = laws.overwrites(stored_record, runner.fence)
        after = state._replace(records=replaced(state.records, runner.event, record), broken=broken)
    at = ADVANCE if me.guards.record_before_advance else CHECK
    then = runner._replace(at=at) if at == ADVANCE else me.again()
    yield fair("stores the record", me.with_runner(then, after))
    yield from me.without_reply("stores the record, and the reply is lost", runner, after)


def advance(me: Acting) -> Iterator[Step]:
    """Apply the end of the run to the instance as it is now (``conclude``)."""
    runner, state = me.runner, me.state
    event = me.claimed_event() if me.guards.advance_checks_fence else me.leased_event()
    if event is None:
        yield fair("cannot conclude, its claim is lost", me.with_runner(IDLE_RUNNER))
        return
    if state.is_down:
        yield from me.unavailable()
        return
    record = state.records[runner.event]
    if runner.end == RETRY and state.instance.status != CANCELED:
        retried = Event(
            WAITING, 2, run=runner.run + 1, fence=event.fence, in_doubt=event.in_doubt | runner.in_doubt
        )._replace(applied=event.applied)
        instance = with_event(state.instance, runner.event, retried)
    elif runner.end == RETRY and record.fence < runner.fence:
        yield fair("finds the instance canceled", me.with_runner(runner._replace(at=PUT_RECORD)))
        return
    else:
        how = {SUCCEEDED: PROCESSED, EXHAUSTED: FAILED}.get(runner.end, CLOSED_CANCELED)
        state, instance = closed(state, state.instance, runner.event, how)
    after = stored(me.configuration, state, at_rest(instance)._replace(blocked=0))
    then = (
        me.again()
        if me.guards.record_before_advance or runner.end == RETRY
        else runner._replace(at=PUT_RECORD)
    )
    yield fair("advances the instance", me.with_runner(then, after))
    yield from me.without_reply("advances the instance, and the reply is lost", runner, after)


def give_back(me: Acting) -> Iterator[Step]:
    """Leave the event under a lease marked as given back (``give_back``)."""
    runner, state = me.runner, me.state
    if state.instance.lease == LAPSED_LATE:
        yield fair("gives up", me.with_runner(IDLE_RUNNER))
    if state.is_down:
        return
    event = me.leased_event()
    is_other = runner.is_refused and me.guards.only_own_claim_given_back
    if (
        event is None
        or event.fence != runner.fence
        or is_other
        or state.instance.lease in (GIVEN_BACK, BACK_OVER)
    ):
        yield fair("has nothing to give back", me.with_runner(IDLE_RUNNER))
        return
    left = after_visits(event, runner.known_visits)
    sent = runner.visit if runner.answer else 0
    instance = with_event(state.instance, runner.event, left)
    instance = instance._replace(lease=GIVEN_BACK, sent_visit=sent, blocked=0)
    after = stored(me.configuration, state, instance)
    yield fair("gives its claim back", me.with_runner(me.again(), after))
