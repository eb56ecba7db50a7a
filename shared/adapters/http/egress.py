"""Outgoing connections, made only to addresses that were checked.

A name is resolved once, each of its addresses is checked, and the connection goes to exactly that address. A name
that resolves differently the second time (DNS rebinding) therefore leads nowhere else.
Source: docs/design.md section 9.
"""

import math
import socket
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from msgspec import Struct

from shared.adapters.http.addresses import AddressGuard

Resolver = Callable[[str], Sequence[str]]
"""Returns the addresses of a host, as text. Raises: OSError, UnicodeError: if it has none."""

Seconds = Callable[[], float]
"""Returns monotonic time in seconds: ``time.monotonic``."""


class NotSentError(Exception):
    """No byte of the request was sent. The message gives the reason and contains no secret."""


class RefusedAddressError(NotSentError):
    """The host has an address that no call may go to."""


def system_resolver(host: str) -> Sequence[str]:
    """Return the addresses that the system's resolver reports."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class TimedSocket(socket.socket):
    """A socket that sends and receives until a deadline, however slowly the bytes arrive.

    ``until`` is on the clock of ``seconds``.
    """

    until: float = math.inf
    seconds: Seconds

    def sendall(self, *args: Any) -> None:  # noqa: ANN401 - as the socket takes them
        self._limit_time()
        super().sendall(*args)

    def recv(self, *args: Any) -> bytes:  # noqa: ANN401 - as above
        self._limit_time()
        return super().recv(*args)

    def _limit_time(self) -> None:
        left = self.until - self.seconds()
        if left <= 0:
            raise TimeoutError("timed out")
        self.settimeout(left)


class Egress(Struct, frozen=True):
    """Makes connections to permitted addresses."""

    seconds: Seconds
    guard: AddressGuard
    resolve: Resolver = system_resolver

    def connected(self, host: str, port: int, until: float) -> TimedSocket:
        """Return a connection to the first address of a host that accepts one.

        Raises: NotSentError; OSError: if no address accepts a connection.
        """
        addresses = self._permitted(host, until)
        failure: OSError = TimeoutError()
        for number, address in enumerate(addresses):
            # Each address gets an equal share of the time left, so that a dead one leaves some for the next.
            left = until - self.seconds()
            if left <= 0:
                break
            try:
                return self._connected(host, address, port, left / (len(addresses) - number))
            except OSError as error:
                failure = error
        raise failure

    def _permitted(self, host: str, until: float) -> Sequence[str]:
        addresses = self._resolved(host, until)
        if not addresses:
            raise NotSentError(f"{host} has no address")
        for address in addresses:
            self._check(host, address)
        return addresses

    def _resolved(self, host: str, until: float) -> Sequence[str]:
        """Return the addresses of a host."""
        # In a thread of its own, because a resolver takes no timeout.
        answers: SimpleQueue[Sequence[str] | Exception] = SimpleQueue()
        Thread(target=_resolve, args=(self.resolve, host, answers), daemon=True).start()
        try:
            answer = answers.get(timeout=max(0.0, until - self.seconds()))
        except Empty:
            raise NotSentError(f"the name {host} was not resolved in time") from None
        if isinstance(answer, Exception):
            raise NotSentError(f"the name {host} does not resolve") from answer
        return answer

    def _connected(self, host: str, address: str, port: int, seconds: float) -> TimedSocket:
        found = TimedSocket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            found.seconds = self.seconds
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            found.settimeout(seconds)
            found.connect((address, port))
            self._check(host, found.getpeername()[0])
        except BaseException:
            found.close()
            raise
        return found

    def _check(self, host: str, address: str) -> None:
        if not self.guard.permits(address):
            raise RefusedAddressError(f"{host} is at an internal address")


def _resolve(resolve: Resolver, host: str, answers: "SimpleQueue[Sequence[str] | Exception]") -> None:
    try:
        answers.put(resolve(host))
    except (OSError, UnicodeError) as error:
        answers.put(error)
