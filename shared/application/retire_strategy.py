"""Delete a strategy, or one version of it, and cancel its instances.

The strategy is deleted first, so that nothing new starts under it. Then a bulk operation cancels its instances.
If this fails in between, it may be repeated as a whole.
Source: docs/contracts/automation.md A.5; docs/design.md section 8.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from shared.application.bulk.start import BulkRequest, begin_bulk
from shared.application.ports import Ports, StaleRevError
from shared.application.start import Repeatable
from shared.application.strategies import CHANGED, ChangedMeanwhileError, remove_strategy
from shared.domain.bulk.operation import BulkOperation
from shared.domain.bulk.selection import OfStrategy
from shared.domain.instance.verdict import Actor, audit_entry
from shared.domain.lifecycle.commands import Cancel
from shared.domain.strategy.model import StrategyHead


def retire_strategy(ports: Ports, head: StrategyHead, *, by: Actor) -> BulkOperation:
    """Delete the strategy and return the operation that cancels its instances, finished if they are few.

    An instance that is being started at the same moment is not canceled. Repeating it returns the operation as it is
    now.
    Raises: ChangedMeanwhileError: nothing was changed.
    """
    if head.deleted_at is None:
        remove_strategy(ports, head, by=by)
    return _cancel(ports, head, None, by=by)


def retire_version(
    ports: Ports, head: StrategyHead, version: int, *, labels: Mapping[str, str], by: Actor
) -> BulkOperation:
    """Store labels that mark a version as deleted, and return the operation that cancels that version's instances.

    Raises: ChangedMeanwhileError: nothing was changed.
    """
    if dict(labels) != dict(head.labels):
        now = ports.clock.now()
        after = replace(head, labels=dict(labels), updated_at=now)
        states = (f"version {version}", None)
        audit = audit_entry(head.account_id, head.sid, "delete-version", by=by, now=now, states=states)
        try:
            ports.strategies.relabel(after, before=head, audit=audit)
        except StaleRevError as error:
            if ports.strategies.head(head.sid) != after:  # else only the reply was lost
                raise ChangedMeanwhileError(CHANGED) from error
    return _cancel(ports, head, version, by=by)


def _cancel(ports: Ports, head: StrategyHead, version: int | None, *, by: Actor) -> BulkOperation:
    request = BulkRequest(
        account=head.account_id,
        selection=OfStrategy(strategy=head.sid, version=version),
        command=Cancel(by=by),
        # The same key for the same strategy and version, so that a repetition finds the first operation.
        repeatable=Repeatable(key=f"retire {head.sid} {version}", body_hash="retire"),
    )
    return begin_bulk(ports, request)
