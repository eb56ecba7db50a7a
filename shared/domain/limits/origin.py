"""The origin of a URL: what a limit is shared by."""

from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """Return scheme, host and port of a valid URL, as RFC 6454 section 6.2 writes them: a default port is left out."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    # An address of IPv6 is only readable in brackets.
    name = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{name}{port}"
