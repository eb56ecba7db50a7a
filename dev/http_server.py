"""An HTTP server on 127.0.0.1 for functions that answer one request at a time, based on uvicorn.

It answers programs on this machine; requests that web pages cause get 403 (``dev/local_guard.py``).

uvicorn implements the protocol (chunked bodies, keep-alive, pipelining, any method), and can stream a response.
"""

import asyncio
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator, MutableMapping
from contextlib import suppress
from http import HTTPStatus
from ipaddress import IPv4Address
from typing import Any, TypeVar, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from dev.gateway import HttpReply, HttpRequest, json_reply
from dev.local_guard import LocalGuard

T = TypeVar("T")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CLOSING_SECONDS = 1
MAX_PORT = 65535


class ListenError(Exception):
    """A server cannot listen at an address. The text says why."""


class _Gathering:
    """A transport that sends the data written within one step of the event loop as one segment."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._written: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send the data at the end of this step of the event loop."""
        if not self._written:
            asyncio.get_running_loop().call_soon(self._flush)
        self._written.append(data)

    def close(self) -> None:
        """Send the written data and close the connection."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        return getattr(self._transport, name)

    def _flush(self) -> None:
        data, self._written = b"".join(self._written), []
        if data and not self._transport.is_closing():
            self._transport.write(data)


class _OneWrite(H11Protocol):
    """uvicorn's protocol, with head and body of a response in one segment."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a connection."""
        super().connection_made(cast("asyncio.Transport", _Gathering(transport)))


class HttpServer:
    """Serves from its creation until ``close``. Port 0 selects a free port; ``url`` contains it.

    ``names`` are further names of this machine that requests may use. If one is an address, the server listens there.
    Raises: ListenError: the port cannot be used.
    """

    def __init__(
        self, answer: Callable[[HttpRequest], HttpReply], port: int, names: Collection[str] = ()
    ) -> None:
        self._answer = answer
        listeners = [_listener("127.0.0.1", port)]
        self.port: int = listeners[0].getsockname()[1]
        try:
            listeners += [_listener(name, self.port) for name in names if _is_address(name)]
        except ListenError:
            listeners[0].close()
            raise
        self._guard = LocalGuard(port=self.port, names=names)
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._serve,
                interface="asgi3",
                http=_OneWrite,
                lifespan="off",
                proxy_headers=False,
                ws="none",
                log_config=None,  # functions log for themselves
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=CLOSING_SECONDS,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": listeners}, daemon=True, name="http"
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving and release the port."""
        self._server.should_exit = True
        self._thread.join()

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        request = await _request(scope, receive)
        refusal = self._guard.refusal(request.method, request.headers)
        if refusal is None:
            reply = await _in_a_thread(lambda: self._answer(request))
        else:
            reply = json_reply(HTTPStatus.FORBIDDEN, {"message": refusal})
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
        if reply.chunks is None:
            headers.append((b"content-length", str(len(reply.body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        if reply.chunks is not None:
            await _stream(reply.chunks, receive, send)
        await send({"type": "http.response.body", "body": reply.body})


def _listener(address: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises: ListenError."""
    if not 0 <= port <= MAX_PORT:
        raise ListenError(f"cannot listen at {address}:{port}: a port is at most {MAX_PORT}")
    try:
        listener = socket.create_server((address, port), backlog=128)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise ListenError(f"cannot listen at {address}:{port}: {why}") from error
    # Accepted connections inherit it. asyncio sets it only on sockets that name their protocol, and with Nagle's
    # algorithm the body waits up to 40 ms for the client to acknowledge the head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _is_address(name: str) -> bool:
    try:
        IPv4Address(name)
    except ValueError:
        return False
    return True


async def _stream(chunks: Iterator[bytes], receive: Receive, send: Send) -> None:
    """Send the chunks of a body until they end or the client is gone."""
    gone = asyncio.ensure_future(receive())
    try:
        while not gone.done():
            chunk = await _in_a_thread(lambda: next(chunks, b""))
            if not chunk:
                break
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    finally:
        gone.cancel()


async def _in_a_thread(work: Callable[[], T]) -> T:
    """Return the result of work that is done in a thread of its own."""
    # A function may itself call this server. With a pool of fixed size, requests that wait for one another could use it
    # up.
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            outcome: T | Exception = work()
        except Exception as error:  # noqa: BLE001 - raised again below, in the request it belongs to
            outcome = error
        with suppress(RuntimeError):  # the server has closed
            loop.call_soon_threadsafe(_settle, done, outcome)

    threading.Thread(target=run, daemon=True).start()
    return await done


def _settle(done: asyncio.Future[T], outcome: T | Exception) -> None:
    if done.cancelled():
        return  # the server is closing
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)


async def _request(scope: Message, receive: Receive) -> HttpRequest:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    query = scope["query_string"].decode("latin-1")
    return HttpRequest(
        method=scope["method"],
        target=scope["raw_path"].decode("latin-1") + (f"?{query}" if query else ""),
        headers=headers,
        body=body,
        source=scope["client"][0],
    )
