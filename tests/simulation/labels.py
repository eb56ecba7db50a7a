"""The labels of the points at which each store and service can be unavailable."""

WRITES = {
    "instances": {"create", "commit"},
    "events": {"append", "put_record", "put_answer", "commit_records"},
    "audit": {"commit_audit"},
    "operations": {"create_operation", "commit_operation", "remove_operation"},
}
READS = {
    "instances": {"load", "load_many", "due"},
    "events": {"event_history"},
    "flags": {"flags", "queue_flag"},
    "kms": {"load_strategy"},
    # The secrets of a call are read before it is sent.
    "secrets": {"call"},
}
REPLIES = {
    "instances": {"committed"},
    "events": {"appended", "record_put"},
}
INVOKED = {"scheduler": {"arm"}, "lambda": {"invoke", "invoke_operation"}}
PORTS = {
    **{f"writes of {table}": labels for table, labels in WRITES.items()},
    **{f"reads of {table}": labels for table, labels in READS.items()},
    **{f"replies of {table}": labels for table, labels in REPLIES.items()},
    **{f"requests to {service}": labels for service, labels in INVOKED.items()},
    "everything": set().union(*WRITES.values(), *READS.values(), *REPLIES.values(), *INVOKED.values()),
}

OF_A_TOWN = {
    **PORTS,
    "reads of the due index": {"due", "due_operations"},
    "writes of the due index": {"postpone", "postpone_operation"},
    "replies of the due index": {"postponed", "operation_postponed"},
    "writes of access": {"set_queue_flag"},
    "replies of access": {"queue_set"},
    "writes of strategies": {"set_strategy_paused"},
    "reads of strategies": {"head"},
    "replies of strategies": {"strategy_set"},
    "reads of operations": {"load_operation"},
    "replies of operations": {"operation_created", "operation_committed", "operation_removed"},
    "writes of audit by flags": {"flag_audit"},
    "writes of audit by operations": {"operation_audit"},
    "reads of the list of a strategy": {"oldest_of_strategy"},
}
"""All ports that a town uses."""
