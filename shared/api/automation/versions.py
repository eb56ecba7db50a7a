"""The versions of a definition: those of its strategy, without those that were deleted.

Versions of a strategy are never removed, because instances may have run under them. A label of the strategy lists
the versions that are deleted for this dialect.
"""

from collections.abc import Iterable

from shared.domain.strategy.model import StrategyHead

FOLDER = "/automation"
"""The folder of the strategies of this dialect's definitions."""

_DELETED = "deletedVersions"


def is_definition(head: StrategyHead) -> bool:
    """Return whether this dialect made a strategy. Other dialects may create strategies in the folder too."""
    return head.folder == FOLDER and "trigger" in head.labels


def versions_deleted(head: StrategyHead) -> frozenset[int]:
    """Return the versions that were deleted."""
    return frozenset(int(version) for version in head.labels.get(_DELETED, "").split(",") if version)


def latest_version(head: StrategyHead) -> int:
    """Return the latest version that is not deleted. At least one is left as long as the definition exists."""
    gone = versions_deleted(head)
    return next((version for version in range(head.version, 0, -1) if version not in gone), head.version)


def with_versions_deleted(labels: dict[str, str], versions: Iterable[int]) -> dict[str, str]:
    """Return the labels of a definition of which these versions are deleted."""
    gone = ",".join(str(version) for version in sorted(versions))
    return {**labels, _DELETED: gone} if gone else labels
