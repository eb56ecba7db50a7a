"""An HttpRequest step as the engine's service, method and action.

The engine calls services it knows by their origin; so scheme and host of a URL are literal. Each part of the path
that holds a script is a named part, which the engine fills percent-encoded: nothing from outside leads elsewhere.
Source: contracts/automation.md A.2; docs/decisions/0025.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

from shared.api.automation.scripts import Script, ScriptError, Scripts, parts_of

Json = Any

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MAX_TIMEOUT, USUAL_TIMEOUT = 300, 5

_MARK = "\x01"
_MARKED = re.compile(f"{_MARK}([0-9]+){_MARK}")
_URL = re.compile(r"(https?://[^/?#]+)([^?#]*)(?:\?([^#]*))?", re.IGNORECASE)
_INPUTS = frozenset({"url", "method", "headers", "parameters", "body", "timeoutSeconds"})
# Everything RFC 3986 allows in a path or query, and the percent sign of what is encoded already.
_SAFE = "%!$&'()*+,;=:@-._~/?[]"


@dataclass(slots=True)
class HttpSteps:
    """The HttpRequest steps of one definition, told one after another. services: by their origin."""

    scripts: Scripts
    environment: str
    services: dict[str, dict[str, Json]] = field(default_factory=dict)
    actions: list[dict[str, Json]] = field(default_factory=list)

    def add(self, key: str, inputs: Mapping[str, Json]) -> list[str]:
        """Add the call of a step; what is wrong with its inputs."""
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
        """Services and actions. The engine wants one of each: where nothing is called, one that never is."""
        if not self.actions:
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


@dataclass(slots=True)
class _Reading:
    """The inputs of one step. attributes: of the named parts of its path. query: of its URL, where that has scripts."""

    scripts: Scripts
    inputs: Mapping[str, Json]
    problems: list[str] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)

    def url(self) -> tuple[str, str]:
        """Origin and path; empty where they are wrong."""
        url = self.inputs.get("url")
        if not isinstance(url, str) or not url:
            self.problems.append("url is required" if url in (None, "") else "url must be a text")
            return "", ""
        try:
            return self._split(url)
        except ScriptError as error:
            self.problems.append(f"url: {error}")
        return "", ""

    def method(self) -> str:
        """The HTTP method."""
        method = self.inputs.get("method")
        if not isinstance(method, str) or method.upper() not in METHODS:
            told = "is required" if method is None else f"must be one of {', '.join(METHODS)}"
            self.problems.append(f"method {told}")
            return ""
        return method.lower()

    def timeout(self) -> int:
        """Seconds."""
        seconds = self.inputs.get("timeoutSeconds")
        if seconds is None:
            return USUAL_TIMEOUT
        if isinstance(seconds, bool) or not isinstance(seconds, int) or not 1 <= seconds <= MAX_TIMEOUT:
            self.problems.append(f"timeoutSeconds must be a whole number from 1 to {MAX_TIMEOUT}")
            return USUAL_TIMEOUT
        return seconds

    def texts(self, name: str) -> dict[str, str]:
        """A map of texts with scripts in them; null leaves one out."""
        values = self.inputs.get(name)
        if values is None:
            return {}
        if not isinstance(values, Mapping):
            self.problems.append(f"{name} must be an object")
            return {}
        return dict(self._texts(name, values))

    def params(self) -> dict[str, str]:
        """The query, that of the URL too where it has scripts."""
        given = self.texts("parameters")
        self.problems += [
            f"parameters: {name!r} is in the url already" for name in given if name in self.query
        ]
        return self.query | given

    def body(self) -> dict[str, Json] | None:
        """The body: an object with scripts in its texts."""
        body = self.inputs.get("body")
        if body is None or isinstance(body, Mapping):
            return None if body is None else {key: self._filled(value) for key, value in body.items()}
        self.problems.append("body must be an object")
        return None

    def finish(self) -> None:
        """Note what nobody asked for."""
        self.problems += [f"inputs: {name!r} is not known" for name in self.inputs if name not in _INPUTS]

    def _texts(self, name: str, values: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        for key, value in values.items():
            if isinstance(value, str):
                yield key, self._template(f"{name}.{key}", value)
            elif isinstance(value, bool):
                yield key, "true" if value else "false"
            elif isinstance(value, int | float):
                yield key, str(value)
            elif value is not None:
                self.problems.append(f"{name}.{key} must be a text")

    def _template(self, name: str, text: str) -> str:
        try:
            return self.scripts.template(text)
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
            raise ScriptError("holds a control character")
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
            raise ScriptError("must begin with http:// or https:// and a literal host, and have no fragment")
        path = "/".join(self._segment(segment, scripts) for segment in match[2].split("/")) or "/"
        return match[1], path + self._query(match[3], scripts)

    def _segment(self, segment: str, scripts: list[str]) -> str:
        """A part of the path as the engine has it: literal, or named and filled at run time."""
        if _MARK not in segment and not segment.startswith(":"):
            return quote(segment, safe=_SAFE)
        name = f"part-{len(self.attributes) + 1}"
        self.attributes[name] = self.scripts.template(_whole(segment, scripts, unquote))
        return f":{name}"

    def _query(self, query: str | None, scripts: list[str]) -> str:
        """The query that stays in the path; one with scripts in it is kept apart."""
        if query is None or _MARK not in query:
            return "" if query is None else f"?{quote(query, safe=_SAFE)}"
        for pair in query.split("&"):
            name, _, value = pair.partition("=")
            key = unquote_plus(name)
            if _MARK in name or key in self.query:
                raise ScriptError(
                    "the names of a query with scripts in it are literal, and each is there once"
                )
            self.query[key] = self.scripts.template(_whole(value, scripts, unquote_plus))
        return ""


def _whole(marked: str, scripts: list[str], decoded: Any) -> str:  # noqa: ANN401 - a function of urllib
    """A part of a URL with its scripts back in it, and all else as it is before it is encoded."""
    pieces = _MARKED.split(marked)
    return "".join(scripts[int(piece)] if odd else decoded(piece) for piece, odd in _alternating(pieces))


def _alternating(pieces: list[str]) -> Iterator[tuple[str, bool]]:
    return ((piece, index % 2 == 1) for index, piece in enumerate(pieces))
