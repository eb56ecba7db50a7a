"""The guards of the protocol: each is a switch of the model, and a function that implements it."""

from dataclasses import dataclass, fields
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """Which guards are in force. If a guard is removed, the model behaves as the code would without it."""

    claim_checks_rev: bool = True
    command_checks_rev: bool = True
    claim_moves_fence: bool = True
    kill_moves_fence: bool = True
    takeover_fences_first: bool = True
    advance_checks_fence: bool = True
    journal_checks_fence: bool = True
    record_checks_fence: bool = True
    record_before_advance: bool = True
    record_counts_by_fence: bool = True
    lease_respected: bool = True
    lease_checked_before_call: bool = True
    refresh_between_steps: bool = True
    stop_decides_again: bool = True
    events_in_order: bool = True
    intent_before_call: bool = True
    key_kept_without_answer: bool = True
    journal_followed: bool = True
    takeover_refences: bool = True
    claim_refences_after_a_pause: bool = True
    claim_reads_after_refence: bool = True
    late_failures_ignored: bool = True
    takeover_marks_doubt: bool = True
    kill_marks_doubt: bool = True
    kill_keeps_known_visits: bool = True
    applied_with_directives: bool = True
    takeover_applies_directives: bool = True
    flag_read_after_claim: bool = True
    flag_read_after_block: bool = True
    release_job_with_flag: bool = True
    claim_given_back: bool = True
    only_own_claim_given_back: bool = True
    late_takeover_not_counted: bool = True
    wakeup_after_commit: bool = True
    wakeup_scheduled_at_exit: bool = True
    sweeper_runs: bool = True
    sweep_after_lease: bool = True
    unreadable_moves_on: bool = True


GUARDS: Final = {
    "claim_checks_rev": "shared.application.runner.loop._claim",
    "command_checks_rev": "shared.application.commit.execute",
    "claim_moves_fence": "shared.domain.lifecycle.claim._claimed",
    "kill_moves_fence": "shared.domain.planning.closing.close",
    "takeover_fences_first": "shared.domain.lifecycle.claim.fence",
    "advance_checks_fence": "shared.domain.lifecycle.conclude.conclude",
    "journal_checks_fence": "shared.adapters.dynamodb.instances.DynamoDbInstances.append",
    "record_checks_fence": "shared.adapters.dynamodb.instances.DynamoDbInstances.put_record",
    "record_before_advance": "shared.application.runner.step._save_record_first",
    "record_counts_by_fence": "shared.domain.lifecycle.takeover.take_over",
    "lease_respected": "shared.domain.instance.due.next_action",
    "lease_checked_before_call": "shared.application.runner.step._is_leased",
    "refresh_between_steps": "shared.application.runner.progress.record_step",
    "stop_decides_again": "shared.application.runner.progress.stop_run",
    "events_in_order": "shared.domain.instance.due.next_event",
    "intent_before_call": "shared.domain.lifecycle.claim._with_new_run",
    "key_kept_without_answer": "shared.domain.steps.cursor.FlowCursor._open_call",
    "journal_followed": "shared.domain.instance.replay.position",
    "takeover_refences": "shared.domain.instance.replay.entry_to_refence",
    "claim_refences_after_a_pause": "shared.domain.instance.replay.entry_to_refence",
    "claim_reads_after_refence": "shared.application.runner.progress.refresh",
    "late_failures_ignored": "shared.domain.instance.replay.valid_history",
    "takeover_marks_doubt": "shared.domain.lifecycle.takeover._left_behind",
    "kill_marks_doubt": "shared.domain.lifecycle.pause_resume_cancel._killed",
    "kill_keeps_known_visits": "shared.domain.lifecycle.pause_resume_cancel._killed",
    "applied_with_directives": "shared.domain.lifecycle.conclude.apply_entry",
    "takeover_applies_directives": "shared.domain.instance.replay.unapplied",
    "flag_read_after_claim": "shared.application.runner.loop._begin",
    "flag_read_after_block": "shared.application.runner.loop._block",
    "release_job_with_flag": "shared.application.flags.resume_queue",
    "claim_given_back": "shared.application.runner.patience.give_back",
    "only_own_claim_given_back": "shared.domain.lifecycle.claim.give_back",
    "late_takeover_not_counted": "shared.domain.lifecycle.takeover._counts_as_crash",
    "wakeup_after_commit": "shared.application.control.control",
    "wakeup_scheduled_at_exit": "shared.application.commit.schedule_wakeup",
    "sweeper_runs": "shared.application.sweep.sweep",
    "sweep_after_lease": "shared.domain.instance.due.first_run_sweep_at",
    "unreadable_moves_on": "shared.application.sweep._postpone",
}
"""The function that implements each guard."""

NAMES: Final = tuple(field.name for field in fields(Guards))


def without(name: str) -> Guards:
    """Return all guards except the given one."""
    if name not in NAMES:
        raise ValueError(f"there is no guard {name!r}")
    return Guards(**{name: False})
