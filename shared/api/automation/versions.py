"""Which versions of a definition there are: those of its strategy, without those that were deleted.

A version of a strategy is never removed, for the sake of what ran under it; which ones are gone for this dialect
stands in a label of the strategy.
"""

from collections.abc import Iterable

from shared.domain.strategy.model import StrategyHead

FOLDER = "/automation"
"""Where the strategies of this dialect's definitions are."""

_DELETED = "deletedVersions"


def is_definition(head: StrategyHead) -> bool:
    """Whether this dialect has made a strategy: another one can be in the folder, and of any sid."""
    return head.folder == FOLDER and "trigger" in head.labels


def versions_deleted(head: StrategyHead) -> frozenset[int]:
    """The versions that are gone."""
    return frozenset(int(version) for version in head.labels.get(_DELETED, "").split(",") if version)


def latest_version(head: StrategyHead) -> int:
    """The latest version there is; one is left as long as the definition is."""
    gone = versions_deleted(head)
    return next((version for version in range(head.version, 0, -1) if version not in gone), head.version)


def with_versions_deleted(labels: dict[str, str], versions: Iterable[int]) -> dict[str, str]:
    """The labels of a definition of which these versions are gone."""
    gone = ",".join(str(version) for version in sorted(versions))
    return {**labels, _DELETED: gone} if gone else labels
