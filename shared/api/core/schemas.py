"""What the core dialect's bodies may hold; unknown fields are refused. Source: contracts/core.md section 1.1."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
Secret = Annotated[str, StringConstraints(min_length=16, max_length=128)]


class Body(BaseModel):
    """A request body: strict types, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


class CreateStrategy(Body):
    """S1. The settings are checked by the domain, all of their problems at once."""

    name: Name
    secret: Secret
    settings: dict[str, Any]
    description: Annotated[str, Field(max_length=4096)] = ""
    folder: Annotated[str, StringConstraints(pattern=r"^/([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$")] = "/"


class CreateInstance(Body):
    """I1. ``strategyId`` is a strategy's name or sid; ``startDate`` is now where it is not given."""

    strategyId: Annotated[str, Field(min_length=1, max_length=100)]  # noqa: N815 - the wire's spelling
    attributes: dict[str, Any] = {}
    description: Annotated[str, Field(max_length=4096)] = ""
    startDate: str | None = None  # noqa: N815 - the wire's spelling
    endDate: str | None = None  # noqa: N815 - the wire's spelling


class ResumeInstance(Body):
    """What becomes of planned dates that have passed; as the strategy says where it is not given."""

    onResume: Literal["last", "all", "skip", "shift"] | None = None  # noqa: N815 - the wire's spelling
