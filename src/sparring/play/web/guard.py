"""The door of the server: who may ask, and how much.

The server can load agents and burn the processor, so a page of another origin must not reach it,
not even by a name of its own that it points at this machine (DNS rebinding). Every path begins
with a secret token, the Host has to be the server's own, and a request that names its origin has to
come from there. Without CORS headers no other origin can read an answer. Who is slow is hung up on:
a few connections that never ask would otherwise use up those that the server allows.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY: Final = 64 * 1024  # bytes: 20,000 moves of three characters
_PATIENCE = 10.0  # seconds in which a request has to arrive, and after it its body
HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),  # the address holds the token
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


@dataclass(frozen=True)
class Address:
    """The names under which the server is reached. `host` is what it listens on."""

    host: str
    port: int

    def is_own(self, host: str) -> bool:
        """Return whether a Host header, as it stands, names this server.

        A server for all interfaces accepts every number: a page of a stranger can only point a name
        of its own at this machine, never a number.
        """
        name, port = _parts(host)
        if port != self.port:
            return False
        if name in ("localhost", self.host):
            return True
        if not _is_number(name):
            return self._is_for_all and name == socket.gethostname().lower()
        return self._is_for_all or ipaddress.ip_address(name).is_loopback

    @property
    def _is_for_all(self) -> bool:
        return _is_number(self.host) and ipaddress.ip_address(self.host).is_unspecified


class Connection(H11Protocol):  # type: ignore[misc]
    """A connection that is closed if its next request does not arrive in time. uvicorn by itself
    waits for ever for the first one, and for one that has begun.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def _wait(self) -> None:
        self.loop.call_later(_PATIENCE, self._hang_up_if_idle, self.cycle)

    def _hang_up_if_idle(self, cycle: Any) -> None:
        """Hang up if nothing has come since that cycle of request and answer."""
        if self.cycle is cycle and self.conn.their_state is h11.IDLE:
            self.transport.close()


class Guard:
    """The ASGI application behind its door; it sees paths without the token."""

    def __init__(self, app: App, address: Address, token: str) -> None:
        self._app = app
        self._address = address
        self._token = token

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no lifespan, no web sockets
        send = _with_headers(send)
        headers = {name.decode("latin-1"): value for name, value in scope["headers"]}
        path = self._inner_path(scope["path"])
        if line := self._refusal(headers, path):
            await _refuse(send, 403, line)
            return
        try:
            body = await asyncio.wait_for(_body(headers, receive), _PATIENCE)
        except TimeoutError:
            await _refuse(send, 408, "the request does not arrive")
            return
        if body is None:
            await _refuse(send, 413, f"the request is too large: expected at most {MAX_BODY} bytes")
            return
        inner = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(inner, _once(body, receive), send)

    def _inner_path(self, path: str) -> str:
        """The path behind the token; "" if it does not begin with the token."""
        token, slash, rest = path.removeprefix("/").partition("/")
        known = secrets.compare_digest(token.encode(), self._token.encode())
        return f"/{rest}" if known and slash else ""

    def _refusal(self, headers: dict[str, bytes], path: str) -> str:
        host = headers.get("host", b"").decode("latin-1").lower()
        origin = headers.get("origin")
        if not self._address.is_own(host):
            return "the Host is not this server"
        if origin is not None and origin.decode("latin-1").lower() != f"http://{host}":
            return "the Origin is not this server"
        return "" if path else "open the address that the command printed, with its token"


def _parts(host: str) -> tuple[str, int]:
    """Name and port of a Host header, without the brackets of IPv6; port -1 if it is none."""
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, "80"
    if not (port.isascii() and port.isdecimal() and len(port) <= 5):
        return name, -1
    return name.removeprefix("[").removesuffix("]"), int(port)


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _body(headers: dict[str, bytes], receive: Receive) -> bytes | None:
    """The body; None if it is too large, which is found before it is read where it says so."""
    if len(declared := headers.get("content-length", b"0")) > 9 or int(declared) > MAX_BODY:
        return None
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _once(body: bytes, receive: Receive) -> Receive:
    """The body as one message; after it what comes, which is the end of the connection."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> Message:
        return left.pop() if left else await receive()

    return receiving


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
        await send(message)

    return sending


async def _refuse(send: Send, status: int, line: str) -> None:
    start = {"type": "http.response.start", "status": status}
    await send({**start, "headers": [(b"content-type", b"text/plain"), (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": f"{line}\n".encode()})
