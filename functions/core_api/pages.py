"""The pages of the reference: read from beside this file, where the build has put them."""

from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from pathlib import Path

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from shared.api.core.pages import PAGE_HEADERS, PAGES, Page

HERE = Path(__file__).parent


def serve_pages(app: APIGatewayHttpResolver) -> None:
    """Have requests for the pages answered, whoever makes them."""
    for page in PAGES:
        app.get(page.path)(_showing(page))


@cache
def text_of(file: str, folder: Path) -> str:
    """A page's text; made once where nothing was built, as on the local stack."""
    built = folder / file
    if built.exists():
        return built.read_text(encoding="utf-8")
    from shared.api.core.reference import made  # noqa: PLC0415 - takes a cold start's time, which a build saves

    return made(file)


def _showing(page: Page) -> Callable[[], Response[str]]:
    def shown() -> Response[str]:
        return Response(HTTPStatus.OK, page.media_type, text_of(page.file, HERE), headers=dict(PAGE_HEADERS))

    return shown
