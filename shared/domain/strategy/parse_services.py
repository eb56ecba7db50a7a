"""Reading services and the actions that call them.

Source: contracts/core.md sections 2.2, 4 (12, 13, 27) and 4.1; design section 6.
"""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from urllib.parse import urlsplit

from shared.domain.strategy.model import Action, Authorization, InDoubt, Method, Service
from shared.domain.strategy.parse_schedule import delta
from shared.domain.strategy.parse_texts import data, headers, request_validation, schema, templates
from shared.domain.strategy.reader import Reader

_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")  # the characters of RFC 3986
_PART = re.compile(r":[A-Za-z0-9_-]+")
_LONGEST_URL = 1000


class _HttpMethod(StrEnum):
    GET = "get"
    DELETE = "delete"
    POST = "post"
    PUT = "put"
    PATCH = "patch"


def service(reader: Reader, *, environment: str | None) -> Service:
    """A service. It needs a base URL for the environment (None: not looked at), but no authorization."""
    _description(reader)
    base_urls = dict(reader.many("baseUrls", _base_url, required=True, unique="environment"))
    if base_urls and environment is not None and environment not in base_urls:
        reader.problem("baseUrls", "environment", f"has no URL for the environment {environment!r}")
    authorization = dict(reader.many("authorization", _authorization, unique="environment"))
    reader.take("credentialPath", required=bool(authorization))
    return Service(
        key=reader.key(),
        base_urls=base_urls,
        authorization=authorization,
        credential_path=reader.optional_text("credentialPath", longest=200),
        credential_type=reader.optional_text("credentialType", longest=50),
        methods={method.key: method for method in reader.many("methods", _method, required=True)},
    )


def action(reader: Reader, *, services: Mapping[str, Service]) -> Action:
    """A call of one of these services; its attributes fill each ``:name`` part of the method's URL."""
    called = reader.reference("service", services, "there is no service")
    owner = services.get(called) if called else None
    if owner is None:  # which methods there are cannot be told
        method = reader.key("method")
    else:
        method = reader.reference("method", owner.methods, f"the service {called!r} has no method")
        if method in owner.methods:
            _require_parts(reader, owner.methods[method].url)
    return Action(
        key=reader.key(),
        service=called,
        method=method,
        headers=headers(reader),
        params=templates(reader, "params"),
        data=data(reader),
        attributes=templates(reader, "attributes"),
    )


def _base_url(reader: Reader) -> tuple[str, str]:
    return _environment(reader), _url(reader, query=False)


def _authorization(reader: Reader) -> tuple[str, Authorization]:
    """How to fetch the token; its attributes fill the ``:name`` parts of its URL."""
    found = Authorization(
        url=_url(reader, query=True),
        method=_http_method(reader),
        headers=headers(reader),
        params=templates(reader, "params"),
        data=data(reader),
        attributes=templates(reader, "attributes"),
        no_cache=reader.flag("noCache"),
    )
    _require_parts(reader, found.url)
    return _environment(reader), found


def _method(reader: Reader) -> Method:
    _description(reader)
    given = reader.take("async")
    later = reader.flag("async") or not (given is None or isinstance(given, bool))  # then only that is told
    if reader.has("answerWithin") and not later:
        reader.problem("answerWithin", "exclusive", "is for asynchronous methods: async is not true")
    if reader.flag("wholeAnswer") and later:
        reader.problem("wholeAnswer", "exclusive", "is not for asynchronous methods")
    return Method(
        key=reader.key(),
        url=_path(reader),
        method=_http_method(reader),
        request_validation=request_validation(reader),
        response_validation=schema(reader, "responseValidation"),
        timeout_seconds=reader.whole("timeoutSeconds", 1, 300) or 30,
        in_doubt=reader.choice("inDoubt", InDoubt) or InDoubt.RETRY,
        answers_later=later,
        answer_within=reader.one("answerWithin", delta),
        whole_answer=reader.flag("wholeAnswer"),
    )


def _description(reader: Reader) -> None:
    reader.optional_text("description", may_be_empty=True)


def _environment(reader: Reader) -> str:
    return reader.text("environment", longest=50)


def _http_method(reader: Reader) -> str:
    return (reader.choice("method", _HttpMethod, required=True) or _HttpMethod.GET).value


def _url(reader: Reader, *, query: bool) -> str:
    url = reader.text("url", longest=_LONGEST_URL)
    wrong = next(_wrong_with_url(url, query=query), None) if url else None
    if wrong is not None:
        reader.problem("url", "url", wrong)
        return ""
    return url


def _wrong_with_url(url: str, *, query: bool) -> Iterator[str]:
    """What is wrong, the most telling first."""
    if not url.startswith(("http://", "https://")):
        yield "must start with http:// or https://"
    if not _URL.fullmatch(url):
        yield "must hold only the characters of a URL, any other as %XX"
    try:
        parts = urlsplit(url)
        has_host = parts.hostname and parts.port != 0
    except ValueError as error:
        yield f"is not a URL: {error}"
    else:
        if not has_host:
            yield "must name a host"
        if "@" in parts.netloc:
            yield "must not carry a user name or password"
        if "#" in url:
            yield "must not carry a fragment"
        if "?" in url and not query:
            yield "must not carry a query"


def _path(reader: Reader) -> str:
    """A resource path, each ``:name`` part a whole segment of it."""
    url = reader.text("url", longest=_LONGEST_URL)
    if url and not url.startswith("/"):
        reader.problem("url", "url", "must start with /")
    elif url and (not _URL.fullmatch(url) or "#" in url):
        reader.problem("url", "url", "must hold only the characters of a URL path, any other as %XX")
    elif not all(_PART.fullmatch(part) for part in _parts(url)):
        reader.problem("url", "url", "a :name part is a whole segment of letters, digits, _ and -")
    else:
        return url
    return ""


def _parts(url: str) -> Iterator[str]:
    return (segment for segment in url.split("/") if segment.startswith(":"))


def _require_parts(reader: Reader, url: str) -> None:
    """Each ``:name`` part must be filled by the attributes beside; what else is wrong with them is told."""
    given = reader.take("attributes") or {}
    for part in dict.fromkeys(_parts(url)) if isinstance(given, Mapping) else ():
        if given.get(part[1:]) is None:
            message = f"must hold {part[1:]!r}, which fills {part} in the URL {url!r}"
            reader.problem("attributes", "required", message)
