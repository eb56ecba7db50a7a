"""The answers of the process dialect. Source: docs/contracts/process.md C.3 and C.4."""

from enum import StrEnum
from typing import Annotated, Final, Literal, NotRequired, TypedDict

from shared.api.http.shapes import ErrorId, Keywords

OUTPUT = "__out_"
"""The prefix of the names of outputs."""

SAVED: Final = "Process saved"


class Seen(StrEnum):
    """The status of a process."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


StartedShape = TypedDict("StartedShape", {"robustaSpid": str, "message": Literal["Process saved"]})
Status = TypedDict("Status", {"status": Seen, "message": str})
StatusShape = Annotated[
    Status,
    Keywords({"patternProperties": {f"^{OUTPUT}": {}}}),
    f"With SUCCEEDED, a member `{OUTPUT}<name>` for each output of the last run.",
]
ErrorShape = TypedDict("ErrorShape", {"message": str, "errorId": NotRequired[ErrorId | None]})
