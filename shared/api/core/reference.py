"""The texts of the pages, made. It takes time: at build time, or where nothing was built."""

import json
from collections.abc import Callable, Mapping

from shared.api.core.docs_page import docs_page
from shared.api.core.openapi import document


def made(file: str) -> str:
    """The text of a page. file: its name in ``pages.PAGES``."""
    return _MADE[file]()


def _openapi_json() -> str:
    return json.dumps(document(), ensure_ascii=False, separators=(",", ":"))


_MADE: Mapping[str, Callable[[], str]] = {
    "openapi.json": _openapi_json,
    "docs.html": lambda: docs_page(document()),
}
