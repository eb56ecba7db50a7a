"""The files of the goldens: ``schema-<number>/<name>.json``, and ``digests`` with the SHA-256 of each."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec.structs import fields

from shared.adapters.dynamodb.tables import LAYOUTS, Tables
from tests.engines import DynamoDb, a_session, moto_dynamodb
from tests.golden.golden import Golden, under_local_key

FOLDER = Path(__file__).parent
DIGESTS = "digests"

Items = Mapping[str, list[dict[str, Any]]]
"""The items of each table that is not empty, in DynamoDB's form."""


def folder_of(schema: int) -> Path:
    """Return the folder of a schema number."""
    return FOLDER / f"schema-{schema}"


def names_in(schema: int) -> set[str]:
    """Return the names of the goldens of a schema number that have a file."""
    folder = folder_of(schema)
    return {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.json")}


def items_in(schema: int, name: str) -> Items:
    """Return the items of a golden."""
    found: Items = document_in(schema, name)
    return found


@contextmanager
def tables() -> Iterator[DynamoDb]:
    """Return tables in this process, for one golden after another."""
    with moto_dynamodb(a_session(), 1) as dynamodb:
        yield dynamodb


def items_of(dynamodb: DynamoDb) -> Items:
    """Return the items of all tables."""
    found = {
        field.name: dynamodb.admin.scan(TableName=getattr(dynamodb.tables, field.name))["Items"]
        for field in fields(Tables)
    }
    return {name: sorted(items, key=_text) for name, items in found.items() if items}


def put_items(dynamodb: DynamoDb, items: Items) -> None:
    """Put items into tables."""
    for name, some in items.items():
        for item in some:
            dynamodb.client.put_item(TableName=getattr(dynamodb.tables, name), Item=item)


def empty(dynamodb: DynamoDb) -> None:
    """Delete the items of all tables. New tables would take ten times as long."""
    for name, items in items_of(dynamodb).items():
        for item in items:
            key = {attribute: item[attribute] for attribute in LAYOUTS[name].key}
            dynamodb.client.delete_item(TableName=getattr(dynamodb.tables, name), Key=key)


def written(golden: Golden, dynamodb: DynamoDb) -> Items:
    """Return the items that today's stores write for a golden."""
    empty(dynamodb)
    golden.write(under_local_key(dynamodb))
    return items_of(dynamodb)


def read(golden: Golden, items: Items, dynamodb: DynamoDb) -> object:
    """Return the value that today's stores read from a golden's items."""
    empty(dynamodb)
    put_items(dynamodb, items)
    return golden.read(under_local_key(dynamodb))


def text_of(items: Items) -> str:
    """Return the text of a file: one line for each item."""
    parts = [f'"{name}": [\n{_lines(some)}\n]' for name, some in sorted(items.items())]
    return "{" + ",\n".join(parts) + "}\n"


def add(schema: int, name: str, text: str) -> None:
    """Write a new file, and pin it."""
    path = folder_of(schema) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    # "x" refuses a file that exists.
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    digests = {**pinned(schema), name: digest_of(schema, name)}
    lines = [f"{digest}  {name}.json\n" for name, digest in sorted(digests.items())]
    (folder_of(schema) / DIGESTS).write_text("".join(lines), "utf-8")


def digest_of(schema: int, name: str) -> str:
    """Return the SHA-256 of a file, in hex."""
    return sha256((folder_of(schema) / f"{name}.json").read_bytes()).hexdigest()


def pinned(schema: int) -> dict[str, str]:
    """Return the digest of each file when it was written, as ``sha256sum`` writes it."""
    path = folder_of(schema) / DIGESTS
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return {name.removesuffix(".json"): digest for digest, name in (line.split("  ") for line in lines)}


def document_in(schema: int, name: str) -> Any:
    """Return the document in a file."""
    return json.loads((folder_of(schema) / f"{name}.json").read_text("utf-8"))


def _lines(items: list[dict[str, Any]]) -> str:
    return ",\n".join(_text(item) for item in items)


def _text(item: Mapping[str, Any]) -> str:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
