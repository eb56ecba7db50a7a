"""Make the texts of the reference pages."""

import json
from importlib import import_module
from typing import Any, cast

from shared.api.reference.docs_page import docs_page


def page_text(dialect: str, file: str) -> str:
    """Return the text of a page of a dialect. ``file`` is its name in ``pages.PAGES``."""
    # Both pages are made from the same document.
    document = document_of(dialect)
    if file == "docs.html":
        return docs_page(document)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def document_of(dialect: str) -> dict[str, Any]:
    """Return the OpenAPI document of a dialect."""
    return cast(dict[str, Any], import_module(f"shared.api.reference.{dialect}").document())
