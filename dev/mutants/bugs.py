"""The bugs: each replaces one text of one file, and names the tests that must fail, the fastest first."""

from dataclasses import dataclass

STALLS = "tests/simulation/test_stalls.py"
LOOP = "tests/application/runner/test_loop.py"
DUNNING = "tests/application/runner/test_dunning.py"
TAKING_OVER = "tests/application/runner/test_taking_over.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """A change that makes the code wrong. ``layers`` are the tests to run, until one fails."""

    name: str
    file: str
    old: str
    new: str
    layers: tuple[str, ...]


BUGS = (
    Bug(
        name="a claim keeps the fence",
        file="shared/domain/lifecycle/claim.py",
        old="visits, fence = len(chain(command.event_history, event.run)), instance.fence + 1",
        new="visits, fence = len(chain(command.event_history, event.run)), instance.fence",
        layers=("tests/domain/lifecycle/test_claim.py",),
    ),
    Bug(
        name="a live lease is taken over",
        file="shared/domain/instance/due.py",
        old="""    if instance.lease.until > now:
        return Leased(until=instance.lease.until)
""",
        new="",
        layers=("tests/domain/instance/test_due.py",),
    ),
    Bug(
        name="the flag is not read after the claim",
        file="shared/application/runner/loop.py",
        old="    if flags.blocked_by is not None:",
        new="    if False:",
        layers=(LOOP, "tests/simulation/test_storms.py"),
    ),
    Bug(
        name="the flag is not read again after blocking",
        file="shared/application/runner/loop.py",
        old="if verdict is None or ports.strategies.flags(claimed.account_id, claimed.strategy_sid).blocked_by:",
        new="if True:",
        layers=(LOOP, "tests/simulation/test_bulk.py"),
    ),
    Bug(
        name="a takeover does not refence",
        file="shared/application/runner/loop.py",
        old="entry = entry_to_refence(event_history, event, fence=after.fence)",
        new="entry = None",
        layers=(TAKING_OVER, STALLS),
    ),
    Bug(
        name="a claim after a pause trusts the entry of a late runner",
        file="shared/domain/instance/replay.py",
        old="return None if is_left and last.fence >= event.claim.fence else",
        new="return None if is_left else",
        layers=("tests/domain/instance/test_replay.py",),
    ),
    Bug(
        name="late failures count",
        file="shared/domain/instance/replay.py",
        old="return is_late and not entry.outcome.success",
        new="return False",
        layers=("tests/domain/instance/test_replay.py",),
    ),
    Bug(
        name="a kill forgets what the claim knew",
        file="shared/domain/lifecycle/pause_resume_cancel.py",
        old="resolution=None, was_killed=True)",
        new="resolution=None, was_killed=True, known_visits=1000)",
        layers=("tests/domain/lifecycle/test_pause_resume_cancel.py",),
    ),
    Bug(
        name="a record counts under any fence",
        file="shared/domain/lifecycle/takeover.py",
        old="if record is not None and record.end is not None and record.fence == event.claim.fence:",
        new="if record is not None and record.end is not None:",
        layers=("tests/domain/lifecycle/test_takeover.py",),
    ),
    Bug(
        name="a takeover leaves the fence until its claim",
        file="shared/domain/instance/due.py",
        old="return due.abandoned is not None and due.event.claim.fence == instance.fence",
        new="return due.abandoned is not None and due.event.claim.fence > instance.fence",
        layers=("tests/domain/lifecycle/test_takeover.py",),
    ),
    Bug(
        name="a call that the journal no longer shows is not in doubt",
        file="shared/domain/lifecycle/claim.py",
        old="if visits < event.progress.known_visits:",
        new="if visits < 0:",
        layers=("tests/domain/lifecycle/test_takeover.py",),
    ),
    Bug(
        name="the claim of another runner is given back",
        file="shared/domain/lifecycle/claim.py",
        old="if (event.seq, event.claim.fence, lease.token) != (command.seq, command.fence, command.token):",
        new="if (event.seq, event.claim.fence) != (command.seq, command.fence):",
        layers=("tests/domain/lifecycle/test_give_back.py",),
    ),
    Bug(
        name="a given claim counts as a crash",
        file="shared/domain/lifecycle/takeover.py",
        old="return lease.given_back is None and now < lease.until + CRASH_WINDOW",
        new="return now < lease.until + CRASH_WINDOW",
        layers=("tests/domain/lifecycle/test_give_back.py",),
    ),
    Bug(
        name="a late takeover counts as a crash",
        file="shared/domain/lifecycle/takeover.py",
        old="return lease.given_back is None and now < lease.until + CRASH_WINDOW",
        new="return lease.given_back is None",
        layers=("tests/domain/lifecycle/test_takeover.py",),
    ),
    Bug(
        name="a retry is not counted",
        file="shared/domain/lifecycle/conclude.py",
        old="        attempt=event.attempt + 1,\n",
        new="        attempt=event.attempt,\n",
        layers=("tests/domain/lifecycle/test_conclude.py",),
    ),
    Bug(
        name="the instance advances before its record",
        file="shared/application/runner/step.py",
        old="""    for record in verdict.records:
        if record.event.seq == seq:
            ports.instances.put_record(verdict.instance, record)
    others = tuple(record for record in verdict.records if record.event.seq != seq)
    return save(ports, replace(verdict, records=others))
""",
        new="""    others = tuple(record for record in verdict.records if record.event.seq != seq)
    is_saved = save(ports, replace(verdict, records=others))
    for record in verdict.records:
        if record.event.seq == seq:
            ports.instances.put_record(verdict.instance, record)
    return is_saved
""",
        layers=(TAKING_OVER, LOOP, "tests/simulation/test_crashes.py"),
    ),
    Bug(
        name="the lease is not checked before a call",
        file="shared/application/runner/step.py",
        old="return lease is not None and lease.until - ports.clock.now() >= needed",
        new="return lease is not None",
        layers=(LOOP,),
    ),
    Bug(
        name="the lease is not checked after its renewal",
        file="shared/application/runner/step.py",
        old="        at = _renew(ports, at, intent)\n    return at\n",
        new="""        at = _renew(ports, at, intent)
        if isinstance(at, Run):
            return _execute(ports, at, intent, deadline)
    return at
""",
        layers=("tests/application/runner/test_late_renewals.py",),
    ),
    Bug(
        name="flags that cannot be read count as crashes",
        file="shared/application/runner/loop.py",
        old="    except (UnavailableError, *UNREADABLE) as error:",
        new="    except UnavailableError as error:",
        layers=("tests/application/runner/test_unreadable_flags.py",),
    ),
    Bug(
        name="an item that becomes unreadable during a run counts as a crash",
        file="shared/application/runner/loop.py",
        old="        except UNREADABLE_ITEM:\n            # If the result",
        new="        except ZeroDivisionError:\n            # If the result",
        layers=("tests/application/runner/test_unreadable_midway.py",),
    ),
    Bug(
        name="an answer keeps an event of a canceled instance open",
        file="shared/domain/lifecycle/conclude.py",
        old="""    if instance.status.is_final and not instance.lets_run(event):
        change = stop_event(instance, event, now=now)
        return Applied(instance=change.instance, records=change.records)
    return Applied(instance=instance.with_event(event.queued""",
        new="    return Applied(instance=instance.with_event(event.queued",
        layers=("tests/domain/lifecycle/test_async_answer.py",),
    ),
    Bug(
        name="a resume before a stop settles the doubt about a call",
        file="shared/application/runner/loop.py",
        old="if not (isinstance(at, Run) and _is_at_the_same_step(at, before)):",
        new="if True:",
        layers=("tests/application/runner/test_overtaken_steps.py",),
    ),
    Bug(
        name="a call without an answer counts as not sent if the end cannot be decided",
        file="shared/application/runner/loop.py",
        old="has_called = isinstance(before.then, RunEnd) or len",
        new="has_called = len",
        layers=("tests/application/runner/test_overtaken_steps.py",),
    ),
    Bug(
        name="the last answer is lost if the settings cannot be read",
        file="shared/application/runner/step.py",
        old="                ports.instances.append(instance, run.last)\n",
        new="                pass\n",
        layers=("tests/application/runner/test_unreadable_midway.py",),
    ),
    Bug(
        name="a renewal does not see a stop",
        file="shared/application/runner/step.py",
        old="        if not _may_run(at):\n            return _stop(ports, at)\n",
        new="",
        layers=("tests/application/runner/test_late_renewals.py",),
    ),
    Bug(
        name="unreadable instances keep others blocked",
        file="shared/application/bulk/release.py",
        old="            ports.instances.postpone(entry, now=ports.clock.now())\n",
        new="",
        layers=("tests/application/bulk/test_release.py",),
    ),
    Bug(
        name="a limit of a newer release is overwritten",
        file="shared/adapters/dynamodb/limits.py",
        old="(attribute_not_exists(#schema) OR #schema IN",
        new="(attribute_exists(#schema) OR attribute_not_exists(#schema) OR #schema IN",
        layers=("tests/contract/test_limit_store.py",),
    ),
    Bug(
        name="a release job ends although something is left",
        file="shared/domain/bulk/release.py",
        old="        if left_at is None:\n",
        new="        if True:\n",
        layers=("tests/domain/bulk/test_release.py",),
    ),
    Bug(
        name="the key is made at the call, not before",
        file="shared/application/runner/step.py",
        old="request = request_of(run.context(ports), intent)",
        new='request = request_of(run.context(ports), replace(intent, call_key=f"{run.fence}"))',
        layers=(TAKING_OVER,),
    ),
    Bug(
        name="the instance is not read between steps",
        file="shared/application/runner/progress.py",
        old="return refresh(run, ports.instances.load(run.instance.sid))",
        new="return run",
        layers=(LOOP,),
    ),
    Bug(
        name="each attempt has a new key, even after a 504",
        file="shared/domain/steps/cursor.py",
        old="        if entry is None:\n            return None\n        outcome = entry.outcome",
        new="        if entry is None or entry:\n            return None\n        outcome = entry.outcome",
        layers=("tests/domain/steps", "tests/application/runner/test_key_matrix.py"),
    ),
    Bug(
        name="a pause ignores the rev",
        file="shared/application/commit.py",
        old="""        if not isinstance(verdict, Applied) or save(ports, verdict):
            return verdict
""",
        new="""        if not isinstance(verdict, Applied) or save(ports, verdict):
            return verdict
        latest = ports.instances.load(sid)
        if isinstance(command, Pause) and latest is not None:
            from msgspec.structs import replace

            save(ports, replace(verdict, instance=replace(verdict.instance, rev=latest.rev + 1)))
            return verdict
""",
        layers=("tests/application/test_races.py", "tests/simulation/test_storms.py"),
    ),
    Bug(
        name="a command wakes before it commits",
        file="shared/application/control.py",
        old="""    verdict = execute(ports, sid, command, known=known)
    return None if verdict is None else wake_runner(ports, verdict)
""",
        new="""    from shared.application.commit import _decide

    instance = known or ports.instances.load(sid)
    if instance is None:
        return None
    wake_runner(ports, _decide(ports, instance, command))
    return execute(ports, sid, command, known=instance)
""",
        layers=(LOOP,),
    ),
    Bug(
        name="journal entries have no fence condition",
        file="shared/adapters/dynamodb/instances.py",
        old="        self._put_fenced(entry_item(instance, entry), entry.fence)\n",
        new="        self.client.put_item(TableName=self.tables.events, Item=entry_item(instance, entry))\n",
        layers=("tests/contract/test_instance_store.py",),
    ),
    Bug(
        name="commits have no condition on the rev",
        file="shared/adapters/dynamodb/instances.py",
        old='            "ConditionExpression": "rev = :before",\n',
        new='            "ConditionExpression": "rev = :before OR rev <> :before",\n',
        layers=("tests/contract/test_instance_store.py",),
    ),
    Bug(
        name="every sweep begins at shard 0",
        file="shared/domain/instance/due_entries.py",
        old="first = int(now.timestamp()) // 60 * STRIDE",
        new="first = 0",
        layers=("tests/domain/instance/test_due_entries.py",),
    ),
    Bug(
        name="an unreadable entry stays at the head",
        file="shared/application/sweep.py",
        old="    failed |= _postpone(ports, workers, crashed, failed)\n",
        new="",
        layers=("tests/application/test_sweep.py",),
    ),
    Bug(
        name="results are those of the first instances of a batch",
        file="shared/domain/bulk/operation.py",
        old="left = tuple(sid for sid in bulk.batch_sids if sid not in result_sids)",
        new="left = bulk.batch_sids[len(result_sids) :]",
        layers=("tests/application/bulk/test_batch.py", "tests/simulation/test_bulk.py"),
    ),
    Bug(
        name="two threads compute a year of holidays",
        file="shared/domain/calendar/public_holidays.py",
        old="with _one_at_a_time, warnings.catch_warnings():",
        new="with warnings.catch_warnings():",
        layers=("tests/domain/calendar/test_public_holidays.py",),
    ),
    Bug(
        name="the next cycle follows the actual date",
        file="shared/domain/planning/cycles.py",
        old="planned, problem = _next_date(strategy, instance, calendar, base, cycle=number, now=now)",
        new="""planned, problem = _next_date(
        strategy,
        instance,
        calendar,
        _moment(strategy, instance, max(now, base.at), cycle=number),
        cycle=number,
        now=now,
    )""",
        layers=("tests/domain/planning/test_cycles.py", "tests/domain/lifecycle"),
    ),
    Bug(
        name="a customer who moves is charged twice on one date",
        file="shared/domain/planning/cycles.py",
        old="    if plan.dated_in is None or elapses:",
        new="    if plan.dated_in is None or not elapses:",
        layers=("tests/domain/planning/test_redating.py", "tests/domain/planning/test_zone_lives.py"),
    ),
    Bug(
        name="an attribute undoes a shifted plan",
        file="shared/domain/planning/redate.py",
        old="if was is None or was.due != main.date:",
        new="if was is None:",
        layers=("tests/domain/planning/test_redating.py",),
    ),
    Bug(
        name="the next cycle follows the clamped date",
        file="shared/domain/planning/cycles.py",
        old="return later(base, span, zone), problem",
        new="return later(moment_at(base.at, zone), span, zone), problem",
        layers=("tests/domain/planning/test_cycles.py",),
    ),
    Bug(
        name="an inserted text names a secret",
        file="shared/domain/steps/call.py",
        old="for one in references\n",
        new="for one in render_with_references(rendered, {}, variables=VARIABLES, reserved=RESERVED)[1]\n",
        layers=("tests/domain/steps/test_call.py", "tests/adapters/http/test_call_secrets.py"),
    ),
    Bug(
        name="a fresh secret is read again after a 401",
        file="shared/adapters/http/call_secrets.py",
        old="        if value.is_fresh:\n            self._fresh.add(whole)\n",
        new="",
        layers=("tests/adapters/http/test_call_secrets.py",),
    ),
    Bug(
        name="an answer keeps the secret that was sent first",
        file="shared/adapters/http/call_secrets.py",
        old="        self._seen.add(value.text)\n",
        new="        self._seen = {value.text}\n",
        layers=("tests/adapters/http/test_call_secrets.py",),
    ),
    Bug(
        name="a stored member has another name",
        file="shared/adapters/dynamodb/documents.py",
        old='"has_run": Member("hasRun", FLAG)',
        new='"has_run": Member("hasBegun", FLAG)',
        layers=("tests/golden/test_items.py",),
    ),
    Bug(
        name="a stored enum value has another text",
        file="shared/domain/instance/event.py",
        old='ON_CREATE = "ON_CREATE"',
        new='ON_CREATE = "CREATED"',
        layers=("tests/golden/test_items.py",),
    ),
    Bug(
        name="a stored field has another default",
        file="shared/domain/instance/event.py",
        old="side_results_from: int = 1",
        new="side_results_from: int = 0",
        layers=("tests/golden/test_documents.py",),
    ),
    Bug(
        name="an enum value is in no golden item",
        file="shared/domain/instance/event.py",
        old='    FAIL = "fail"\n',
        new='    FAIL = "fail"\n    WAIT = "wait"\n',
        layers=("tests/golden/test_complete.py",),
    ),
    Bug(
        name="an index key has another form",
        file="shared/adapters/dynamodb/tables.py",
        old='return f"{account}#{phase.value}#{shard % OWNER_SHARDS}"',
        new='return f"{account}#{shard % OWNER_SHARDS}#{phase.value}"',
        layers=("tests/golden/test_items.py",),
    ),
    Bug(
        name="stored settings mean something else",
        file="shared/domain/strategy/settings.py",
        old='"How long a call may take.", default=30',
        new='"How long a call may take.", default=60',
        layers=("tests/golden/test_documents.py",),
    ),
    Bug(
        name="a schedule of an earlier release wakes for nothing",
        file="functions/step_runner/handler.py",
        old='InstanceSid(event["sid"])',
        new='InstanceSid(event["instance"])',
        layers=("tests/functions/test_golden_messages.py",),
    ),
    Bug(
        name="an open event with an expired record counts as closed",
        file="shared/domain/instance/retention.py",
        old="    if instance.event(seq) is not None:\n        return Standing.OPEN\n",
        new="",
        layers=("tests/domain/instance/test_retention.py", "tests/simulation/test_expiry.py"),
    ),
    Bug(
        name="a call that has been in doubt for years is repeated",
        file="shared/domain/steps/in_doubt.py",
        old="MAX_DOUBT_AGE = timedelta(days=60)",
        new="MAX_DOUBT_AGE = timedelta(days=6000)",
        layers=("tests/domain/steps/test_in_doubt.py", "tests/simulation/test_expiry.py"),
    ),
    Bug(
        name="a call is sent again if a rule cannot be evaluated on its answer",
        file="shared/domain/steps/flow.py",
        old="    if method is not None and not method.is_safe_to_repeat:\n        return outcome",
        new="",
        layers=("tests/domain/steps/test_flow.py", "tests/application/runner/test_in_doubt.py"),
    ),
    Bug(
        name="a retry sends a call that an operator has skipped",
        file="shared/domain/instance/replay.py",
        old="    return outcome.error is not None and outcome.error.kind is ErrorKind.SKIPPED",
        new="    return False",
        layers=("tests/application/runner/test_in_doubt.py",),
    ),
    Bug(
        name="a hard decline is retried",
        file="shared/domain/steps/retry.py",
        old="    if stops:\n",
        new="    if False:\n",
        layers=("tests/domain/steps/test_retry.py", DUNNING),
    ),
    Bug(
        name="a call in doubt counts as a hard decline",
        file="shared/domain/steps/retry.py",
        old=" or result.in_doubt:",
        new=":",
        layers=("tests/domain/steps/test_retry.py", DUNNING),
    ),
    Bug(
        name="a retry at a time of day is before the service allows it",
        file="shared/domain/steps/retry.py",
        old="at = next_time_of_day(at, policy.retry_at",
        new="at = next_time_of_day(max(due.at, now), policy.retry_at",
        layers=("tests/domain/steps/test_retry.py", DUNNING),
    ),
    Bug(
        name="a mail that is sent again names other dates",
        file="shared/domain/instance/scope.py",
        old='of_instance = {"nextDate": _text_of(failure.next_at)}',
        new='of_instance = {"nextDate": variables["instance"]["nextDate"]}',
        layers=("tests/domain/instance/test_scope.py", DUNNING),
    ),
    Bug(
        name="a moved date is the base of the next one",
        file="shared/domain/planning/cycles.py",
        old="return replace(dated, due=due, move=move)",
        new="return replace(dated, due=due, moment=moment_at(due, strategy.definition.zone), move=move)",
        layers=("tests/domain/planning/test_moved_dates.py",),
    ),
    Bug(
        name="cycles that coincide all run",
        file="shared/domain/planning/cycles.py",
        old="or dated.due > before:",
        new="or dated.due != dated.moment.at:",
        layers=("tests/domain/planning/test_moved_dates.py",),
    ),
    Bug(
        name="an end date does not limit the due date",
        file="shared/domain/planning/cycles.py",
        old="return max(self.moment.at, self.due - timedelta(seconds=self.spread_seconds))",
        new="return self.moment.at",
        layers=("tests/domain/planning/test_moved_dates.py",),
    ),
    Bug(
        name="a skipped range changes the anchor",
        file="shared/domain/planning/plan.py",
        old="plan = plan.at_cycle(skipped.last_cycle, skipped.moment,",
        new="plan = plan.at_cycle(skipped.last_cycle, moment_at(skipped.last_at, ZoneInfo('UTC')),",
        layers=("tests/domain/planning/test_moved_dates.py",),
    ),
    Bug(
        name="an import welcomes a customer of two years",
        file="shared/domain/planning/start.py",
        old="    if new.missed is OnResume.SKIP:\n",
        new="    if False:\n",
        layers=("tests/domain/planning/test_imports.py",),
    ),
    Bug(
        name="an import forgets its rule for missed dates after the first run",
        file="shared/domain/planning/start.py",
        old="end_date=new.end_date, on_late=new.missed)",
        new="end_date=new.end_date)",
        layers=("tests/domain/planning/test_imports.py",),
    ),
    Bug(
        name="the first cycle is on no business day",
        file="shared/domain/planning/cycles.py",
        old="on_day, rule = _on_business_day(strategy, instance, dated), calendar.business_days",
        new="on_day, rule = dated, calendar.business_days",
        layers=("tests/domain/planning/test_business_days.py",),
    ),
    Bug(
        name="a reminder that is due when its cycle is planned is skipped",
        file="shared/domain/planning/offset_dates.py",
        old="return now - date > GRACE",
        new="return date < now",
        layers=("tests/domain/planning/test_plan.py",),
    ),
    Bug(
        name="jitter moves a retry off its business day",
        file="shared/domain/steps/retry.py",
        old="    return day.at or at, ",
        new="    return spread(policy, instance, event, day.at or at, now=now), ",
        layers=("tests/domain/planning/test_business_days.py",),
    ),
    Bug(
        name="an event whose record has expired is redriven",
        file="shared/adapters/dynamodb/instances.py",
        old="""            "ConditionExpression": "fence = :fence",
            "ExpressionAttributeValues": to_attributes({":fence": record.fence}),
""",
        new="",
        layers=("tests/contract/test_instance_store.py",),
    ),
    Bug(
        name="a deletion by a redrive counts as an expiry",
        file="shared/adapters/dynamodb/expiry.py",
        old="    if not by_expiry or not is_record_key(sort_key):\n",
        new='    if record["eventName"] != "REMOVE" or not is_record_key(sort_key):\n',
        layers=("tests/adapters/dynamodb/test_expiry.py",),
    ),
    Bug(
        name="a group with a space names a role",
        file="shared/domain/tokens.py",
        old="if not rules.role_prefix and len(values) > 1:",
        new="if False:",
        layers=("tests/domain/test_tokens.py",),
    ),
    Bug(
        name="a key stands in for a token without claims",
        file="shared/api/http/auth.py",
        old="if incoming.claims is not None:",
        new="if incoming.claims:",
        layers=("tests/dialects/test_tokens.py",),
    ),
    Bug(
        name="a token has no prefix in the audit trail",
        file="shared/domain/tokens.py",
        old='name=f"token:{subject}"',
        new="name=subject",
        layers=("tests/domain/test_tokens.py",),
    ),
    Bug(
        name="a dated cancellation lets everything run",
        file="shared/domain/instance/model.py",
        old="return event.due_at >= scheduled.at and not continues",
        new="return False",
        layers=("tests/domain/lifecycle/test_cancel_at.py",),
    ),
    Bug(
        name="the end of a cycle cancels a charge that has begun",
        file="shared/domain/instance/due.py",
        old="return is_active and main.has_begun and main.created_cycle < scheduled.from_cycle",
        new="return False",
        layers=("tests/domain/lifecycle/test_cancel_at.py",),
    ),
    Bug(
        name="a pause with an end lasts forever",
        file="shared/domain/instance/due.py",
        old="return None if until is None else ResumeDue(at=until)",
        new="return None",
        layers=("tests/domain/lifecycle/test_pause_until.py",),
    ),
    Bug(
        name="a week in dunning loses the next charge",
        file="shared/domain/planning/missed_dates.py",
        old="return of_pause if is_paused else other",
        new="return of_pause",
        layers=("tests/domain/planning/test_missed_dates.py",),
    ),
    Bug(
        name="a longer spread charges a day twice",
        file="shared/domain/planning/cycles.py",
        old="before=before - timedelta(seconds=instance.plan.spread_seconds)",
        new="before=before - timedelta(days=1)",
        layers=("tests/domain/planning/test_spread.py",),
    ),
    Bug(
        name="a moved charge moves the rhythm",
        file="shared/domain/lifecycle/reschedule.py",
        old="moment = planned if command.keep_anchor else moment_at(",
        new="moment = moment_at(",
        layers=("tests/domain/lifecycle/test_reschedule.py",),
    ),
    Bug(
        name="a charge is moved beyond the cancellation",
        file="shared/domain/lifecycle/reschedule.py",
        old="    why = _beyond_cancellation(instance, event, command.date)\n",
        new="    why = None\n",
        layers=("tests/domain/lifecycle/test_reschedule.py",),
    ),
    Bug(
        name="a migration to the west charges one date twice",
        file="shared/domain/lifecycle/migrate.py",
        old="plan=moved.plan.in_another_zone(old_zone.key, zone.key)",
        new="plan=moved.plan",
        layers=("tests/domain/lifecycle/test_migrate.py",),
    ),
    Bug(
        name="the pauses of flags are unknown when a charge ends",
        file="shared/application/runner/loop.py",
        old="        strategy=with_pauses(strategy, flags),",
        new="        strategy=strategy,",
        layers=("tests/application/test_flag_pauses.py",),
    ),
    Bug(
        name="two runners take one slot",
        file="shared/domain/limits/slots.py",
        old="guards={**limit.guards, slot_name(number): is_free},",
        new="guards=limit.guards,",
        layers=("tests/domain/limits/test_slots.py", "tests/simulation/test_slots.py"),
    ),
    Bug(
        name="a runner returns the slot of another one",
        file="shared/domain/limits/slots.py",
        old="guards={slot.name: exactly(slot.until)},",
        new="guards={},",
        layers=("tests/domain/limits/test_slots.py", "tests/simulation/test_slots.py"),
    ),
    Bug(
        name="a slot passes before its call ends",
        file="shared/application/runner/limits.py",
        old="        lasts=_lasts(run, intent),",
        new="        lasts=-timedelta(minutes=1),",
        layers=("tests/application/runner/test_slots.py", "tests/simulation/test_slots.py"),
    ),
    Bug(
        name="a permit is kept beyond its slot",
        file="shared/application/runner/limits.py",
        old="""            if granted.slot is not None:
                return Later(until=ports.clock.now() + SHORTEST_WAIT)
""",
        new="",
        layers=("tests/application/runner/test_slots.py",),
    ),
    Bug(
        name="whoever joins the line takes a slot",
        file="shared/domain/limits/grant.py",
        old="guards=concurrent.guards, sets=concurrent.sets)",
        new="guards=concurrent.guards, sets={**concurrent.sets, 'slot0': 1 << 60})",
        layers=("tests/domain/limits/test_slots.py",),
    ),
    Bug(
        name="a run that waits keeps its slot",
        file="shared/application/runner/loop.py",
        old="        free_slot(ports, run, deadline.permits)\n    except",
        new="    except",
        layers=("tests/application/runner/test_slots.py",),
    ),
)
"""From the domain outwards."""
