"""Decides which requests the local servers answer: those of programs on this machine, not those that web pages send.

A web page that a developer has open can send requests to 127.0.0.1. By DNS rebinding it can read the answers too: its
own name then leads to 127.0.0.1, so that the browser takes the local server for its own. Such requests carry the name
of the page's server as ``Host``, or the page as ``Origin``, and no page can change these headers.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

NAMES = ("127.0.0.1", "localhost", "[::1]")
HTTP_PORT = 80
_SHOWN_CHARACTERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalGuard:
    """The rules for one server. ``names`` are names of this machine besides those of the loopback interface."""

    port: int
    names: Collection[str] = ()

    def refusal(self, method: str, headers: Mapping[str, str]) -> str | None:
        """Return why a request is refused, or None if it is not. The names of headers are in lower case.

        ``Host`` must be this server. ``Origin``, if there is one, must be the same server, because no page but the
        server's own is meant to call it. Requests of a page for an image or a script have no ``Origin``, so the
        ``Sec-Fetch-Site`` of the browser counts, too. Links to the server work.
        """
        host = headers.get("host")
        if host is None:
            return f"the header Host is missing: it must be {self._choices()}"
        if host.lower() not in self._authorities():
            return f"Host {_shown(host)} is not this server: it must be {self._choices()}"
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host.lower()}":
            return f"Origin {_shown(origin)} may not call this server: other sites are refused"
        site = headers.get("sec-fetch-site", "none")
        # A frame in a page is a navigation, too, and no one sees it.
        is_seen = headers.get("sec-fetch-dest") == "document"
        is_link = method == "GET" and headers.get("sec-fetch-mode") == "navigate" and is_seen
        if site not in ("none", "same-origin") and not is_link:
            return f"Sec-Fetch-Site {_shown(site)} may not call this server: other sites are refused"
        return None

    def _authorities(self) -> list[str]:
        named = [name.lower() for name in (*NAMES, *self.names)]
        bare = named if self.port == HTTP_PORT else []  # clients leave out the port of the scheme
        return [*(f"{name}:{self.port}" for name in named), *bare]

    def _choices(self) -> str:
        return " or ".join(self._authorities())


def _shown(value: str) -> str:
    return repr(value[:_SHOWN_CHARACTERS])
