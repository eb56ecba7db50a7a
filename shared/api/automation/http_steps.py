"""Translate HttpRequest steps into services, methods and actions of the engine.

Services of the engine have fixed origins, so scheme and host of a URL must be literal. A part of the path with a
script becomes a named part, which the engine fills percent-encoded. So no value can lead a call to another path or
host.
Source: docs/contracts/automation.md A.2; docs/decisions/0025.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

from msgspec import Struct, field

from shared.api.automation.scripts import Script, ScriptError, Scripts, parts_of

Json = Any

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MAX_TIMEOUT, USUAL_TIMEOUT = 300, 5

# Stands for a script while a URL is split. No URL may contain it.
_MARK = "\x01"
_MARKED = re.compile(f"{_MARK}([0-9]+){_MARK}")
_URL = re.compile(r"(https?://[^/?#]+)([^?#]*)(?:\?([^#]*))?", re.IGNORECASE)
_INPUTS = frozenset({"url", "method", "headers", "parameters", "body", "timeoutSeconds"})
# Everything RFC 3986 allows in a path or query, and the percent sign of parts that are encoded already.
_SAFE = "%!$&'()*+,;=:@-._~/?[]"


class HttpSteps(Struct):
    """The HttpRequest steps of one definition. ``services`` are by origin."""

    scripts: Scripts
    environment: str
    services: dict[str, dict[str, Json]] = field(default_factory=dict)
    actions: list[dict[str, Json]] = field(default_factory=list)

    def add(self, key: str, inputs: Mapping[str, Json]) -> list[str]:
        """Add the call of a step, and return the problems of its inputs."""
        reading = _Reading(self.scripts, inputs)
        origin, path = reading.url()
        action = {
            "key": key,
            "method": key,
            "headers": reading.texts("headers"),
            "params": reading.params(),
            "data": reading.body(),
            "attributes": reading.attributes,
        }
        method = {
            "key": key,
            "url": path,
            "method": reading.method(),
            "timeoutSeconds": reading.timeout(),
            "wholeAnswer": True,
        }
        reading.finish()
        if not reading.problems:
            service = self._service(origin)
            service["methods"].append(method)
            self.actions.append(
                {name: value for name, value in action.items() if value} | {"service": service["key"]}
            )
        return reading.problems

    def settings(self) -> dict[str, Json]:
        """Return services and actions."""
        if not self.actions:
            # Settings must have at least one of each, so a definition without calls gets one that no step uses.
            self.add("nothing", {"url": "https://localhost/", "method": "GET"})
        return {"services": list(self.services.values()), "actions": self.actions}

    def _service(self, origin: str) -> dict[str, Json]:
        if origin not in self.services:
            self.services[origin] = {
                "key": f"service-{len(self.services) + 1}",
                "baseUrls": [{"environment": self.environment, "url": origin}],
                "methods": [],
            }
        return self.services[origin]


class _Reading(Struct):
    """The inputs of one step while they are read.

    ``attributes`` fill the named parts of the path. ``query`` is that of the URL if it has scripts.
    """

    scripts: Scripts
    inputs: Mapping[str, Json]
    problems: list[str] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)

    def url(self) -> tuple[str, str]:
        """Return origin and path, empty if they are invalid."""
        url = self.inputs.get("url")
        if not isinstance(url, str) or not url:
            self.problems.append("url is required" if url in (None, "") else "url must be a string")
            return "", ""
        try:
            return self._split(url)
        except ScriptError as error:
            self.problems.append(f"url: {error}")
        return "", ""

    def method(self) -> str:
        """Return the HTTP method in lower case."""
        method = self.inputs.get("method")
        if not isinstance(method, str) or method.upper() not in METHODS:
            rule = "is required" if method is None else f"must be one of {', '.join(METHODS)}"
            self.problems.append(f"method {rule}")
            return ""
        return method.lower()

    def timeout(self) -> int:
        """Return the timeout in seconds."""
        seconds = self.inputs.get("timeoutSeconds")
        if seconds is None:
            return USUAL_TIMEOUT
        # In Python, True is an int too.
        if isinstance(seconds, bool) or not isinstance(seconds, int) or not 1 <= seconds <= MAX_TIMEOUT:
            self.problems.append(f"timeoutSeconds must be an integer from 1 to {MAX_TIMEOUT}")
            return USUAL_TIMEOUT
        return seconds

    def texts(self, name: str) -> dict[str, str]:
        """Return an object of templates. Members that are null are left out."""
        values = self.inputs.get(name)
        if values is None:
            return {}
        if not isinstance(values, Mapping):
            self.problems.append(f"{name} must be an object")
            return {}
        return dict(self._texts(name, values))

    def params(self) -> dict[str, str]:
        """Return the query parameters, including those of the URL if its query has scripts."""
        given = self.texts("parameters")
        self.problems += [
            f"parameters: {name!r} is already in the url" for name in given if name in self.query
        ]
        return self.query | given

    def body(self) -> dict[str, Json] | None:
        """Return the body, with templates for its texts."""
        body = self.inputs.get("body")
        if body is None or isinstance(body, Mapping):
            return None if body is None else {key: self._filled(value) for key, value in body.items()}
        self.problems.append("body must be an object")
        return None

    def finish(self) -> None:
        """Record a problem for each unknown input."""
        unknown = [name for name in self.inputs if name not in _INPUTS]
        self.problems += [f"inputs: {name!r} is not a known field" for name in unknown]

    def _texts(self, name: str, values: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        for key, value in values.items():
            if isinstance(value, str):
                yield key, self._template(f"{name}.{key}", value)
            elif isinstance(value, bool):
                yield key, "true" if value else "false"
            elif isinstance(value, int | float):
                yield key, str(value)
            elif value is not None:
                self.problems.append(f"{name}.{key} must be a string")

    def _template(self, name: str, text: str) -> str:
        try:
            return self.scripts.template(text, takes_secrets=True)
        except ScriptError as error:
            self.problems.append(f"{name}: {error}")
            return ""

    def _filled(self, value: Json) -> Json:
        if isinstance(value, str):
            return self._template("body", value)
        if isinstance(value, Mapping):
            return {key: self._filled(item) for key, item in value.items()}
        return [self._filled(item) for item in value] if isinstance(value, list) else value

    def _split(self, url: str) -> tuple[str, str]:
        if _MARK in url:
            raise ScriptError("must not have a control character")
        scripts: list[str] = []
        marked = ""
        for part in parts_of(url):
            if isinstance(part, Script):
                scripts.append(f"{{{{{part.source}}}}}")
                marked += f"{_MARK}{len(scripts) - 1}{_MARK}"
            else:
                marked += part
        match = _URL.fullmatch(marked)
        if match is None or _MARK in match[1]:
            raise ScriptError("must begin with http:// or https:// and a literal host, without a fragment")
        path = "/".join(self._segment(segment, scripts) for segment in match[2].split("/")) or "/"
        return match[1], path + self._query(match[3], scripts)

    def _segment(self, segment: str, scripts: list[str]) -> str:
        """Return a segment of the path: literal, or a named part that is filled at run time."""
        # The engine reads a segment that begins with a colon as a named part, even a literal one.
        if _MARK not in segment and not segment.startswith(":"):
            return quote(segment, safe=_SAFE)
        name = f"part-{len(self.attributes) + 1}"
        self.attributes[name] = self.scripts.template(_whole(segment, scripts, unquote))
        return f":{name}"

    def _query(self, query: str | None, scripts: list[str]) -> str:
        """Return the query that stays in the path. A query with scripts goes to ``self.query`` instead."""
        if query is None or _MARK not in query:
            return "" if query is None else f"?{quote(query, safe=_SAFE)}"
        for pair in query.split("&"):
            name, _, value = pair.partition("=")
            key = unquote_plus(name)
            if _MARK in name or key in self.query:
                raise ScriptError("in a query with scripts, names must be literal and must not repeat")
            self.query[key] = self.scripts.template(_whole(value, scripts, unquote_plus))
        return ""


def _whole(marked: str, scripts: list[str], decoded: Any) -> str:  # noqa: ANN401 - a function of urllib
    """Return a part of a URL with its scripts in place, and the rest decoded."""
    # The engine encodes named parts, so the literal text in them must not be encoded already.
    pieces = _MARKED.split(marked)
    return "".join(scripts[int(piece)] if odd else decoded(piece) for piece, odd in _alternating(pieces))


def _alternating(pieces: list[str]) -> Iterator[tuple[str, bool]]:
    return ((piece, index % 2 == 1) for index, piece in enumerate(pieces))
