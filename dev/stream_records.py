"""Stream records in the form in which Lambda delivers them, for the local stack and for tests."""

from collections.abc import Mapping
from typing import Any

from dev.template import ACCOUNT, REGION
from shared.adapters.dynamodb.expiry import BY_EXPIRY

Image = Mapping[str, Mapping[str, Any]]


def record_of(
    table: str,
    keys: tuple[str, ...],
    before: Image | None,
    after: Image | None,
    *,
    number: int,
    has_expired: bool = False,
) -> dict[str, Any]:
    """Return the record of one write of an item, of a table with these key attributes.

    ``number`` is its place in the stream. ``before`` is None for a new item, ``after`` for a deleted one. With
    ``has_expired`` DynamoDB has deleted the item because it had expired.
    Raises: ValueError: both are None.
    """
    image = after if after is not None else before
    if image is None:
        raise ValueError("a write has an image before or after it")
    name = "REMOVE" if after is None else "INSERT" if before is None else "MODIFY"
    images = {"OldImage": before, "NewImage": after}
    return {
        "eventID": f"{number:032x}",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": {
            "Keys": {key: image[key] for key in keys},
            **{name: dict(image) for name, image in images.items() if image is not None},
            "SequenceNumber": f"{number:021}",
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}/stream/local",
        **({"userIdentity": BY_EXPIRY} if has_expired else {}),
    }
