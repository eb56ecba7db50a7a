"""What is served beside the operations of a dialect: its reference, as a document and as a page.

Both hold no data of anybody, so they are open to everybody, without a key. Source: contracts/core.md section 5.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A text that is made when the function is built. file: its name beside the handler."""

    path: str
    operation: str
    summary: str
    file: str
    media_type: str


def _reference(dialect: str, *, below: str) -> tuple[Page, ...]:
    return (
        Page(
            path=f"{below}/openapi.json",
            operation="get_openapi",
            summary=f"This document: OpenAPI 3.1 of the {dialect} dialect.",
            file="openapi.json",
            media_type="application/json",
        ),
        Page(
            path=f"{below}/docs",
            operation="get_docs",
            summary="The same as a page to read; it loads nothing from anywhere.",
            file="docs.html",
            media_type="text/html; charset=utf-8",
        ),
    )


PAGES: Mapping[str, tuple[Page, ...]] = {
    "core": _reference("core", below=""),
    "process": _reference("process", below="/process"),
    "automation": _reference("automation", below="/automation"),
    "orders": _reference("orders", below="/orders"),
}
"""The pages of each dialect, by the name its package ``shared.api.<dialect>`` and ``functions/<dialect>_api`` have."""

PAGE_HEADERS: Mapping[str, str] = {
    "Cache-Control": "public, max-age=300",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""A browser runs no script of theirs, loads nothing, sends nothing and frames them nowhere."""
