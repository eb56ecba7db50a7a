"""The texts of the pages, made. It takes time: at build time, or where nothing was built."""

import json
from importlib import import_module
from typing import Any, cast

from shared.api.reference.docs_page import docs_page


def made(dialect: str, file: str) -> str:
    """The text of a page of a dialect. file: its name in ``pages.PAGES``."""
    document = document_of(dialect)
    if file == "docs.html":
        return docs_page(document)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def document_of(dialect: str) -> dict[str, Any]:
    """The OpenAPI document of a dialect."""
    return cast(dict[str, Any], import_module(f"shared.api.reference.{dialect}").document())
