"""The sweeper: every minute, rings for whatever nothing else has looked at in time."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.application.sweep import sweep
from shared.bootstrap import ports
from shared.domain.attention import SHARDS

logger = Logger()

MOST_OF_A_SHARD = 500
"""So many entries of a shard are looked at in one sweep; the rest have their turn in the next."""


@logger.inject_lambda_context
def lambda_handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Sweep every shard; how many instances were rung for."""
    rung = sum(sweep(ports(), shard, limit=MOST_OF_A_SHARD) for shard in range(SHARDS))
    logger.info("swept", extra={"rung": rung})
    return {"rung": rung}
