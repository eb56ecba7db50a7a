"""The limits of services on DynamoDB."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from msgspec import Struct, field

from shared.adapters.aws.errors import AwsError
from shared.adapters.dynamodb.attributes import to_attributes
from shared.adapters.dynamodb.client import DynamoDbClient, failed_conditions
from shared.adapters.dynamodb.documents import READABLE, SCHEMA
from shared.adapters.dynamodb.items import expiry_of, read
from shared.adapters.dynamodb.reading import Item
from shared.adapters.dynamodb.tables import Tables, limit_key
from shared.application.ports import LimitAttempt, UnavailableError
from shared.domain.errors import StoredShapeError
from shared.domain.ids import AccountId
from shared.domain.limits.state import SLOT_PREFIX, LimitChange, LimitState, Member, instant_of

KEPT = timedelta(days=1)
"""How long the state of a limit is kept after its last change."""


_MEMBERS = frozenset(Member)


class DynamoDbLimits(Struct, frozen=True, kw_only=True):
    """A ``LimitStore``. A state is one item of the table of access, and each of its numbers is an attribute.

    A change is one conditional write. If a guard does not hold, DynamoDB returns the item with its refusal, so that no
    read is needed before the next attempt. ``report`` takes the origin of a change that was tried and not stored.
    """

    client: DynamoDbClient
    report: Callable[[str, Exception], None]
    tables: Tables = field(default_factory=Tables)

    def load(self, account: AccountId, origin: str) -> LimitState:
        key = to_attributes(limit_key(account, origin))
        return _state_of(
            self.client.get_item(TableName=self.tables.access, Key=key, ConsistentRead=True).get("Item")
        )

    def change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt:
        try:
            answer = self.client.update_item(
                TableName=self.tables.access,
                Key=to_attributes(limit_key(account, origin)),
                **_expressions(change),
                ExpressionAttributeNames={"#schema": "schema"},
                ExpressionAttributeValues=to_attributes(_values(account, change)),
                ReturnValues="ALL_OLD",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except AwsError as error:
            if not any(failed_conditions(error)):
                raise
            # An emulator may not return the item, and there may be none.
            refused_by = error.body.get("Item")
            before = _state_of(refused_by) if refused_by else self.load(account, origin)
            return LimitAttempt(is_stored=False, before=before)
        return LimitAttempt(is_stored=True, before=_state_of(answer.get("Attributes")))

    def try_change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt | None:
        try:
            return self.change(account, origin, change)
        except (UnavailableError, StoredShapeError) as error:
            self.report(origin, error)
            return None


def _state_of(item: Item | None) -> LimitState:
    if not item:
        return LimitState()
    found = read(item)
    names = [name for name in found if name in _MEMBERS or name.startswith(SLOT_PREFIX)]
    return LimitState(values={name: found[name] for name in names})


def _expressions(change: LimitChange) -> dict[str, str]:
    changed = [f"{name} = :{name}" for name in change.sets]
    changed += [f"{name} = if_not_exists({name}, :zero) + :{name}" for name in change.adds]
    readable = ", ".join(f":readable{schema}" for schema in READABLE)
    always = ["accountId = :account", "#schema = :schema", "expiresAt = :expiresAt"]
    return {
        "UpdateExpression": f"SET {', '.join([*always, *changed])}",
        "ConditionExpression": " AND ".join(
            # A state that a newer version of the code wrote is left to it.
            [f"(attribute_not_exists(#schema) OR #schema IN ({readable}))"]
            + [_guard(name, counts_if_absent=bounds.low <= 0) for name, bounds in change.guards.items()]
        ),
    }


def _guard(name: str, *, counts_if_absent: bool) -> str:
    within = f"{name} BETWEEN :{name}Low AND :{name}High"
    return f"(attribute_not_exists({name}) OR {within})" if counts_if_absent else within


def _values(account: AccountId, change: LimitChange) -> Mapping[str, Any]:
    values: dict[str, Any] = {
        ":account": account,
        ":schema": SCHEMA,
        **{f":readable{schema}": schema for schema in READABLE},
        **{
            f":{name}": seconds for name, seconds in expiry_of("access", instant_of(change.at) + KEPT).items()
        },
    }
    for name, bounds in change.guards.items():
        values |= {f":{name}Low": bounds.low, f":{name}High": bounds.high}
    values |= {f":{name}": number for name, number in {**change.sets, **change.adds}.items()}
    return values | ({":zero": 0} if change.adds else {})
