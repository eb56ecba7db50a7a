"""Parsing services, and the actions that call them.

Source: docs/contracts/core.md sections 2.2, 4 (12, 13, 27) and 4.1; docs/design.md section 6.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TypedDict
from urllib.parse import urlsplit

from shared.domain.strategy.model import (
    Action,
    Authorization,
    Circuit,
    InDoubt,
    Json,
    Method,
    Service,
    ServiceLimit,
)
from shared.domain.strategy.parse_schedule import delta
from shared.domain.strategy.parse_texts import data, request_validation, schema, templates
from shared.domain.strategy.reader import Reader
from shared.domain.strategy.secret_names import has_references
from shared.domain.strategy.settings import URL_CHARACTERS, HttpMethod
from shared.domain.validation.pointers import escaped

_URL = re.compile(f"[{URL_CHARACTERS}?#]+")
_PART = re.compile(r":[A-Za-z0-9_-]+")
# ``/items:search`` is a literal path at some services, so a colon after a name is no placeholder.
_SENT_LITERALLY = re.compile(r"(?<![\w~%.*)\]/-]):[A-Za-z_][\w-]*")
_SENT_TYPE = re.compile(r"application/(?:(?:[\w.+-]+\+)?json|x-www-form-urlencoded)(?:\s*;.*)?")


def service(reader: Reader, *, environment: str | None) -> Service:
    """Read a service. It needs a base URL for ``environment``, unless that is None."""
    base_urls = dict(reader.parts("baseUrls", _base_url))
    if base_urls and environment is not None and environment not in base_urls:
        reader.problem("baseUrls", "environment", f"has no URL for the environment {environment!r}")
    authorization = dict(reader.parts("authorization", _authorization))
    if authorization:
        reader.require("credentialPath")
    return Service(
        key=reader.text("key"),
        base_urls=base_urls,
        authorization=authorization,
        credential_path=reader.optional_text("credentialPath"),
        credential_type=reader.optional_text("credentialType"),
        methods={method.key: method for method in reader.parts("methods", _method)},
        limit=reader.part("limit", _limit),
    )


def action(reader: Reader, *, services: Mapping[str, Service]) -> Action:
    """Read an action. Its attributes must fill every ``:name`` part of the method's URL, and nothing else."""
    service_key = reader.reference("service", services, "there is no service")
    called = services.get(service_key) if service_key else None
    if called is None:  # then the methods are unknown, too
        method = reader.text("method")
    else:
        method = reader.reference("method", called.methods, f"the service {service_key!r} has no method")
        if method in called.methods:
            _match_parts(reader, called.methods[method].url)
    _check_request(reader)
    request = _templates_of_request(reader)
    return Action(
        key=reader.text("key"),
        service=service_key,
        method=method,
        **request,
        attributes=templates(reader, "attributes"),
        names_secrets=has_references(*request.values()),
    )


class _RequestTemplates(TypedDict):
    """The parts of a request whose strings are templates and may name secrets."""

    headers: Mapping[str, str]
    params: Mapping[str, str]
    data: Json


def _templates_of_request(reader: Reader) -> _RequestTemplates:
    return {
        "headers": templates(reader, "headers"),
        "params": templates(reader, "params"),
        "data": data(reader),
    }


def _base_url(reader: Reader) -> tuple[str, str]:
    url = _url(reader, query=False)
    if next(_parts(url), None) is not None:
        reader.problem("url", "url", "must not have :name parts: only those in a method's url are filled")
    return reader.text("environment"), url


def _authorization(reader: Reader) -> tuple[str, Authorization]:
    """Read how to fetch a token. The attributes must fill the ``:name`` parts of the URL, and nothing else."""
    request = _templates_of_request(reader)
    authorization = Authorization(
        url=_url(reader, query=True),
        method=reader.choice("method", HttpMethod).value,
        **request,
        attributes=templates(reader, "attributes"),
        no_cache=reader.flag("noCache"),
        names_secrets=has_references(*request.values()),
    )
    _match_parts(reader, authorization.url)
    _check_request(reader)
    return reader.text("environment"), authorization


def _limit(reader: Reader) -> ServiceLimit:
    return ServiceLimit(
        per_second=reader.optional_whole("perSecond"),
        concurrent=reader.optional_whole("concurrent"),
        circuit=reader.part("circuit", _circuit),
    )


def _circuit(reader: Reader) -> Circuit:
    return Circuit(failures=reader.whole("failures"), open_for=timedelta(seconds=reader.whole("openSeconds")))


def _method(reader: Reader) -> Method:
    later = reader.flag_may_be_set(
        "async"
    )  # a wrong type is already reported, and the rules below must not add to it
    if reader.has("answerWithin") and not later:
        reader.problem("answerWithin", "exclusive", "is for asynchronous methods: async is not true")
    if reader.flag("wholeAnswer") and later:
        reader.problem("wholeAnswer", "exclusive", "is not for asynchronous methods")
    return Method(
        key=reader.text("key"),
        url=_path(reader),
        method=reader.choice("method", HttpMethod).value,
        request_validation=request_validation(reader),
        response_validation=schema(reader, "responseValidation"),
        timeout_seconds=reader.whole("timeoutSeconds"),
        in_doubt=reader.choice("inDoubt", InDoubt),
        answers_later=later,
        answer_within=reader.part("answerWithin", delta),
        whole_answer=reader.flag("wholeAnswer"),
        definite_statuses=frozenset(reader.wholes("definiteStatuses")),
    )


def _url(reader: Reader, *, query: bool) -> str:
    url = reader.text("url")
    reason = next(why_no_url(url, query=query), None) if url else None
    if reason is not None:
        reader.problem("url", "url", reason)
        return ""
    return url


def why_no_url(url: str, *, query: bool) -> Iterator[str]:
    """Yield the problems of a URL, the most helpful one first."""
    if not url.startswith(("http://", "https://")):
        yield "must start with http:// or https://"
    if not _URL.fullmatch(url):
        yield "must contain only URL characters; encode any other as %XX"
    try:
        parts = urlsplit(url)
        has_host = parts.hostname and parts.port != 0
    except ValueError as error:
        yield f"is not a URL: {error}"
    else:
        if not has_host:
            yield "must name a host"
        if "@" in parts.netloc:
            yield "must not contain a user name or password"
        if "#" in url:
            yield "must not contain a fragment"
        if "?" in url and not query:
            yield "must not contain a query"
        yield from _literal_parts(f"/{url.partition('//')[2].partition('/')[2]}")


def _path(reader: Reader) -> str:
    """Read a resource path. Each ``:name`` part must be a whole segment."""
    url = reader.text("url")
    if url and not url.startswith("/"):
        reader.problem("url", "url", "must start with /")
    elif url and (not _URL.fullmatch(url) or "#" in url):
        reader.problem("url", "url", "must contain only URL path characters; encode any other as %XX")
    elif not all(_PART.fullmatch(part) for part in _parts(url)):
        reader.problem("url", "url", "a :name part must be a whole segment of letters, digits, _ and -")
    elif (literal := next(_literal_parts(url), None)) is not None:
        reader.problem("url", "url", literal)
    else:
        return url
    return ""


def _parts(url: str) -> Iterator[str]:
    """Return the ``:name`` parts of a URL, which are whole segments of its path."""
    return (segment for segment in url.partition("?")[0].split("/") if segment.startswith(":"))


def _literal_parts(url: str) -> Iterator[str]:
    """Return a problem for each ``:name`` that is no whole segment of the path, and so would be sent as it is."""
    for found in _SENT_LITERALLY.finditer(url):
        yield (
            f"{found[0]} would be sent as it is: only a whole segment of the path is filled; "
            "use params for the query"
        )


def _match_parts(reader: Reader, url: str) -> None:
    """Note each ``:name`` part of a URL that no attribute fills, and each attribute that fills none."""
    # Attributes that are not an object are already reported.
    attributes = reader.raw("attributes") or {}
    if not isinstance(attributes, Mapping) or not url:
        return
    parts = dict.fromkeys(_parts(url))
    for part in parts:
        if attributes.get(part[1:]) is None:
            message = f"must have {part[1:]!r}, which fills {part} in the URL {url!r}"
            reader.problem("attributes", "required", message)
    for name, value in attributes.items():
        if value is not None and f":{name}" not in parts:
            message = f"fills no part of the URL {url!r}; use params for the query, data for the body"
            reader.problem("attributes", "unused", message, below=f"/{escaped(name)}")


def _check_request(reader: Reader) -> None:
    """Note templates in names, which would be sent as they are, and a content type that contradicts the body."""
    for name in ("headers", "params", "data"):
        for below in _names_with_templates(reader.raw(name), ""):
            message = "must not contain a template in its name: names are sent as they are"
            reader.problem(name, "template", message, below=below)
    headers = reader.raw("headers")
    if not reader.has("data") or not isinstance(headers, Mapping):
        return
    for name, value in headers.items():
        is_literal = isinstance(value, str) and "{" not in value
        if name.lower() == "content-type" and is_literal and not _SENT_TYPE.fullmatch(value.strip().lower()):
            message = "contradicts data, which is sent as JSON, or as a form under application/x-www-form-urlencoded"
            reader.problem("headers", "content-type", message, below=f"/{escaped(name)}")


def _names_with_templates(value: Json, below: str) -> Iterator[str]:
    """Return the pointers of the members whose names contain a template."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            place = f"{below}/{escaped(name)}"
            if "${" in name or "{{" in name:
                yield place
            yield from _names_with_templates(member, place)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _names_with_templates(entry, f"{below}/{index}")
