"""The pages of a dialect's reference: the OpenAPI document and its HTML form.

They hold no data of any account, so they need no access key. The build puts them beside the handler.
Source: docs/contracts/core.md section 5.
"""

from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from msgspec import Struct


class Page(Struct, frozen=True, kw_only=True):
    """A page of the reference. ``file`` is its name beside the handler."""

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
            summary=f"Return this document: OpenAPI 3.1 of the {dialect} dialect.",
            file="openapi.json",
            media_type="application/json",
        ),
        Page(
            path=f"{below}/docs",
            operation="get_docs",
            summary="Return the document as an HTML page, which loads nothing from elsewhere.",
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
"""The pages of each dialect by its name, as in ``shared.api.<dialect>`` and ``functions/<dialect>_api``."""

PAGE_HEADERS: Mapping[str, str] = {
    "Cache-Control": "public, max-age=300",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Browsers run no script of a page, load nothing for it, submit no form of it, and show it in no frame."""


def serve_pages(app: APIGatewayHttpResolver, dialect: str, folder: Path) -> None:
    """Add the pages to the app, for callers without a key too. ``folder`` is that of the handler."""
    for page in PAGES[dialect]:
        app.get(page.path)(_showing(page, dialect, folder))


# The files of an artifact do not change while a container lives.
@cache
def text_of(dialect: str, file: str, folder: Path) -> str:
    """Return the text of a page. If the build has not written it, as on the local stack, make it once."""
    built = folder / file
    if built.exists():
        return built.read_text(encoding="utf-8")
    # Artifacts do not have this package. Importing it takes longer than a cold start may.
    from shared.api.reference.build import page_text  # noqa: PLC0415 - imported only without a build

    return page_text(dialect, file)


def _showing(page: Page, dialect: str, folder: Path) -> Callable[[], Response[str]]:
    def show() -> Response[str]:
        text = text_of(dialect, page.file, folder)
        return Response(HTTPStatus.OK, page.media_type, text, headers=dict(PAGE_HEADERS))

    return show
