"""A runner from its wakeup to its first step (``runner/loop.py``)."""

from collections.abc import Iterator

from tests.model import laws
from tests.model.acting import Acting, place_of
from tests.model.claiming import decide_claim
from tests.model.history import read_plan
from tests.model.state import (
    ACTIVE,
    BLOCK,
    CANCELED,
    CLAIM,
    EXECUTING,
    FLAG,
    FRESH,
    GIVE_BACK,
    IDLE_RUNNER,
    LAPSED,
    LOOK,
    NO_LEASE,
    READY,
    REFENCE,
    STALE,
    UNBLOCK,
    Entry,
    Event,
    Plan,
    Runner,
    State,
    Step,
    event_of,
    fair,
    replaced,
    unfair,
    with_event,
)
from tests.model.world import (
    at_rest,
    due_event,
    is_scheduled,
    renumbered,
    stop_event,
    stored,
)


def start(me: Acting) -> Iterator[Step]:
    if me.configuration.wakeups:
        return  # a delivered wakeup starts it
    is_blocked = me.state.instance.blocked and me.state.instance.lease == NO_LEASE
    if due_event(me.configuration, me.state.instance) is not None:
        yield from _read(me, "is woken and loads instance and history", is_fair=not is_blocked)


def check(me: Acting) -> Iterator[Step]:
    """Load the instance, and the history of its due event. Without one, schedule a wakeup and exit."""
    if due_event(me.configuration, me.state.instance) is not None:
        yield from _read(me, "loads instance and history", is_fair=True)
        return
    schedules = is_scheduled(me.state.instance) and me.guards.wakeup_scheduled_at_exit
    schedule = me.state.schedule | int(schedules)
    name = "schedules the next wakeup and exits" if schedules else "finds nothing due and exits"
    yield fair(name, me.with_runner(IDLE_RUNNER, me.state._replace(schedule=schedule)))


def _read(me: Acting, name: str, *, is_fair: bool) -> Iterator[Step]:
    # Instance and history are two reads. If the instance has changed between them, the claim's write fails, so
    # only the runs in which it has not are of interest: then both reads may as well be one.
    state, number = me.state, due_event(me.configuration, me.state.instance)
    assert number is not None
    event = event_of(state.instance, number)
    if state.is_unreadable or event is None:
        yield Step("cannot read the settings and fails", is_fair, me.with_runner(IDLE_RUNNER))
        return
    flag = state.flag and not me.guards.flag_read_after_claim
    if flag:
        return  # this runner reads the flag before it claims
    if _must_be_fenced(me, event):
        yield from _fence(me, is_fair=is_fair)
        return
    plan = read_plan(me.configuration, state, number, event)
    runner = Runner(at=CLAIM, event=number, plan=plan, loaded=FRESH)
    broken = laws.is_first(state.instance, number)
    yield Step(name, is_fair, me.with_runner(runner, state._replace(broken=broken)))


def _must_be_fenced(me: Acting, event: Event) -> bool:
    """Return whether the runner of a lapsed lease could still store something (``must_be_fenced``)."""
    instance = me.state.instance
    may_write = instance.lease != NO_LEASE and event.fence == instance.fence
    return may_write and me.guards.takeover_fences_first


def _fence(me: Acting, *, is_fair: bool) -> Iterator[Step]:
    """Load the instance and shut its runner out, before the history is read (``fence``)."""
    state = me.state
    if state.is_down:
        yield Step("cannot move the fence and fails", is_fair, me.with_runner(IDLE_RUNNER))
    else:
        fenced = stored(me.configuration, state, state.instance._replace(fence=state.instance.fence + 1))
        yield Step("moves the fence", is_fair, renumbered(me.with_runner(me.again(), fenced)))


def claim(me: Acting) -> Iterator[Step]:
    state, runner = me.state, me.runner
    if state.is_down:
        yield from _refused(me)
        return
    if runner.loaded == STALE and runner.snapshot is None:
        yield fair("loses the race for the claim", me.with_runner(me.again()))
        return
    if _must_wait(me):
        return
    after = _after_claim(me)
    yield fair("claims, or repairs the instance", after)
    budget = state.budget
    if budget.lost_replies:
        spent = budget._replace(lost_replies=budget.lost_replies - 1)
        claimed = after.runners[me.index]
        in_doubt = claimed._replace(at=GIVE_BACK, before=None, plan=Plan()) if claimed.fence else IDLE_RUNNER
        yield unfair(
            "claims, and the reply is lost",
            after._replace(budget=spent, runners=replaced(after.runners, me.index, in_doubt)),
        )
        # The client sends it again, finds the rev changed, and another writer has changed the instance since.
        yield unfair(
            "claims without noticing",
            after._replace(budget=spent, runners=replaced(after.runners, me.index, me.again())),
        )


def _refused(me: Acting) -> Iterator[Step]:
    """Give a claim back that was not stored: the reply to a write that was stored could have been lost as well."""
    runner, instance = me.runner, me.state.instance
    if runner.loaded == FRESH:
        made = decide_claim(me.configuration, me.state, instance, runner.event, runner.plan)
        if made.event is not None and me.guards.claim_given_back:
            undo = Runner(at=GIVE_BACK, event=runner.event, fence=made.instance.fence, is_refused=1)
            yield fair("cannot claim and begins to give its claim back", renumbered(me.with_runner(undo)))
            return
    yield fair("cannot claim and fails", me.with_runner(IDLE_RUNNER))


def _must_wait(me: Acting) -> bool:
    """Return whether a runner that gives its claim back comes first: it tries every five seconds (ADR 36)."""
    event = event_of(me.state.instance, me.runner.event)
    if event is None or me.state.instance.lease != LAPSED:
        return False
    return any(
        other.at == GIVE_BACK and other.fence == event.fence and not other.is_refused
        for other in me.state.runners
    )


def _after_claim(me: Acting) -> State:
    state, runner = me.state, me.runner
    base = state.instance if runner.snapshot is None else runner.snapshot
    before = event_of(base, runner.event)
    made = decide_claim(me.configuration, state, base, runner.event, runner.plan)
    after = stored(me.configuration, made.state, made.instance)
    if made.event is None:
        return renumbered(me.with_runner(me.again(), after))
    assert before is not None
    broken = laws.starts(state, runner.event)
    plan, event = made.plan, made.event
    refences = plan.last.step and _may_be_replaced(me, before, plan.last)
    claimed = Runner(
        at=REFENCE if refences else FLAG,
        event=runner.event,
        fence=made.instance.fence,
        run=event.run,
        visit=plan.visits + 1,
        step=plan.step,
        key=plan.key,
        repeat=plan.repeat | event.call_in_doubt,
        end=plan.end,
        known_visits=plan.visits,
        in_doubt=event.in_doubt | plan.in_doubt,
        under_flag=state.flag,
        plan=Plan(visits=plan.visits, last=plan.last) if refences else Plan(),
        before=before,
    )
    if not refences:
        claimed = _before_flag(me, claimed)
    return renumbered(me.with_runner(claimed, after._replace(broken=broken)))


def _may_be_replaced(me: Acting, before: Event, last: Entry) -> bool:
    """Return whether an earlier runner could still replace the last entry (``entry_to_refence``)."""
    if before.status == EXECUTING or before.call_in_doubt:
        return me.guards.takeover_refences
    return last.fence < before.fence and me.guards.claim_refences_after_a_pause


def _before_flag(me: Acting, runner: Runner) -> Runner:
    """Return the runner before it reads the flags, or after it if there are none."""
    reads = me.configuration.has_flag and me.guards.flag_read_after_claim
    return runner._replace(at=FLAG) if reads else _past_flag(me, runner)


def read_flag(me: Acting) -> Iterator[Step]:
    if me.state.flag:
        yield fair("reads the flag: paused", me.with_runner(me.runner._replace(at=BLOCK, plan=Plan())))
    else:
        yield fair("reads the flag: not paused", me.with_runner(_past_flag(me, me.runner)))


def block(me: Acting) -> Iterator[Step]:
    """Give the claim back and block the instance, in one write (``block``)."""
    runner, state = me.runner, me.state
    event, before = me.claimed_event(), runner.before
    after = runner._replace(at=UNBLOCK, before=None)
    if not me.guards.flag_read_after_block:
        after = IDLE_RUNNER
    if event is None or before is None:
        yield fair("cannot block, its claim is lost", me.with_runner(after))
        return
    if before.status == EXECUTING:
        before = event._replace(status=READY, order=2)
    if state.instance.status == CANCELED:
        state, instance = stop_event(state, state.instance, runner.event, before)
    else:
        instance = at_rest(with_event(state.instance, runner.event, before))._replace(blocked=1)
    yield fair("blocks the instance", me.with_runner(after, stored(me.configuration, state, instance)))


def unblock(me: Acting) -> Iterator[Step]:
    state = me.state
    if state.flag or not state.instance.blocked or state.instance.status != ACTIVE:
        yield fair("reads the flag again and exits", me.with_runner(IDLE_RUNNER))
        return
    free = stored(me.configuration, state, state.instance._replace(blocked=0))
    yield fair("reads the flag again and unblocks", me.with_runner(me.again(), free))


def refence(me: Acting) -> Iterator[Step]:
    runner = me.runner
    entry = runner.plan.last._replace(fence=runner.fence)
    after = me.append(entry, runner.plan.visits)
    then = runner._replace(plan=Plan(), must_read=int(me.guards.claim_reads_after_refence))
    yield fair("stores the last entry again under its fence", me.with_runner(_before_flag(me, then), after))


def _past_flag(me: Acting, runner: Runner) -> Runner:
    """Return the runner after it has read the flags."""
    if runner.must_read:
        return runner._replace(at=LOOK, before=None, must_read=0)
    return me.unless_early(place_of(runner._replace(before=None)))
