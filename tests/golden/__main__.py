"""Write the files of goldens that have none. ``make golden`` runs this; no file that exists is written again."""

import json
import sys

from dev.memory.evaluator import InProcessEvaluator
from shared.adapters.dynamodb.documents import SCHEMA
from shared.expressions import use_evaluator
from tests.golden.catalogue import WRITTEN
from tests.golden.documents import DOCUMENTS
from tests.golden.files import add, names_in, tables, text_of, written
from tests.moto_bridge import bridge


def main() -> None:
    use_evaluator(InProcessEvaluator())
    bridge()
    known = names_in(SCHEMA)
    with tables() as dynamodb:
        for golden in WRITTEN:
            if golden.name not in known:
                add(SCHEMA, golden.name, text_of(written(golden, dynamodb)))
    # After the items, which the stream records hold.
    for document in DOCUMENTS:
        if document.name not in known:
            add(
                SCHEMA, document.name, f"{json.dumps(document.write(), ensure_ascii=False, sort_keys=True)}\n"
            )
    for name in sorted(names_in(SCHEMA) - known):
        sys.stdout.write(f"new: schema-{SCHEMA}/{name}.json\n")
    sys.stdout.write(f"{len(known)} unchanged\n")


if __name__ == "__main__":
    main()
