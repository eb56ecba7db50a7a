"""New connections to servers of AWS."""

import socket
import ssl

from msgspec import Struct

from shared.adapters.connection import Connection


class Patience(Struct, frozen=True, kw_only=True):
    """How long a request may take: seconds to connect, and between two reads."""

    connect: float
    read: float


def connect(host: str, port: int, *, tls: ssl.SSLContext | None, patience: Patience) -> Connection:
    """Return a new connection. With ``tls`` the server must prove that it is ``host``. Raises: OSError."""
    connected = socket.create_connection((host, port), timeout=patience.connect)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            connected = tls.wrap_socket(connected, server_hostname=host)
        connected.settimeout(patience.read)
        return Connection(connected)
    except BaseException:
        connected.close()
        raise
