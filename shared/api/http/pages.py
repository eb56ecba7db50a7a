"""The pages served beside the operations of a dialect: its reference, as a document and as HTML.

They hold no data of any account, so they need no key. The build puts them beside the handler.
Source: contracts/core.md section 5.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response


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


def serve_pages(app: APIGatewayHttpResolver, dialect: str, folder: Path) -> None:
    """Have requests for the pages answered, whoever makes them. folder: of the handler."""
    for page in PAGES[dialect]:
        app.get(page.path)(_showing(page, dialect, folder))


@cache
def text_of(dialect: str, file: str, folder: Path) -> str:
    """A page's text; made once where nothing was built, as on the local stack."""
    built = folder / file
    if built.exists():
        return built.read_text(encoding="utf-8")
    from shared.api.reference.build import made  # noqa: PLC0415 - takes a cold start's time, which a build saves

    return made(dialect, file)


def _showing(page: Page, dialect: str, folder: Path) -> Callable[[], Response[str]]:
    def shown() -> Response[str]:
        text = text_of(dialect, page.file, folder)
        return Response(HTTPStatus.OK, page.media_type, text, headers=dict(PAGE_HEADERS))

    return shown
