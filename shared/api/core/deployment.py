"""What operations of the core dialect tell of the deployment."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment as one of its containers sees it. up_seconds: how long that container has been there."""

    environment: str
    stage: str
    up_seconds: float
