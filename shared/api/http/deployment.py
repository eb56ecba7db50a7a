"""The facts about a deployment that its APIs need. Functions without an API import this module and no other of them."""

from msgspec import Struct

from shared.domain.tokens import TokenRules


class Deployment(Struct, frozen=True, kw_only=True):
    """The settings of the deployment, and the age of the container in seconds (``up_seconds``).

    ``connector_timezone`` is the zone of a process's dates if neither the request nor the strategy names one.
    If ``joc_allow_unscoped``, a JOC command that names no orders, workflows or folders means every order.
    If ``joc_force_comments``, every JOC command needs a comment.
    ``tokens`` says which claims of tokens name the account and the role.
    """

    environment: str
    stage: str
    up_seconds: float
    connector_timezone: str
    joc_allow_unscoped: bool
    joc_force_comments: bool
    tokens: TokenRules
