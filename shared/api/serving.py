"""Serving the pages of a dialect: read from beside its handler, where the build has put them."""

from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from pathlib import Path

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from shared.api.pages import PAGE_HEADERS, PAGES, Page


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
    from shared.api.reference import made  # noqa: PLC0415 - takes a cold start's time, which a build saves

    return made(dialect, file)


def _showing(page: Page, dialect: str, folder: Path) -> Callable[[], Response[str]]:
    def shown() -> Response[str]:
        text = text_of(dialect, page.file, folder)
        return Response(HTTPStatus.OK, page.media_type, text, headers=dict(PAGE_HEADERS))

    return shown
