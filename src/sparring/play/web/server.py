"""The server of the page: routes, the socket, the browser."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import threading
import webbrowser
from pathlib import Path
from typing import Annotated, Any, Final

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field

from sparring.errors import GameFault, IllegalAction, InputError, SparringError
from sparring.play.web.guard import Address, Connection, Guard
from sparring.play.web.matches import Played, WebMatches

_MAX_REQUESTS: Final = 64  # at the same time; further ones are answered with 503
_MAX_NUMBER: Final = 2**31
_PAGE: Final = Path(__file__).parent / "page"


class MatchBody(BaseModel):
    """A match up to a position, as a page sends it."""

    model_config = ConfigDict(extra="forbid")

    seed: Annotated[int, Field(ge=0, lt=2**63)]
    match: Annotated[int, Field(ge=1, lt=_MAX_NUMBER)]
    moves: list[Annotated[int, Field(ge=0, lt=_MAX_NUMBER)]]

    @property
    def played(self) -> Played:
        return Played(self.seed, self.match, self.moves)


class PositionBody(MatchBody):
    """The same, and whether values are wanted."""

    values: bool = False


class ReplyBody(PositionBody):
    """The same, and the player who has the seat to move."""

    player: str


class WebServer:
    """Serves `matches` on `host` and `port` (0: a free one); `first` is the match that a page
    begins with. The socket is open from the start. Raises `InputError` if it cannot be.
    """

    def __init__(self, matches: WebMatches, first: dict[str, Any], *, host: str, port: int) -> None:
        self._socket = _listen(host, port)
        self._address = Address(host, self._socket.getsockname()[1])
        self._token = secrets.token_urlsafe(16)
        self._fault: GameFault | None = None
        app = self._routes(matches, first)
        self._server = uvicorn.Server(
            uvicorn.Config(
                Guard(app, self._address, self._token),
                http=Connection,
                lifespan="off",
                ws="none",
                access_log=False,
                log_level="error",
                server_header=False,
                limit_concurrency=_MAX_REQUESTS,
                timeout_graceful_shutdown=1,
            )
        )

    @property
    def url(self) -> str:
        """The address with the token, as another device sees it if the server is for all."""
        host = _outside_address() if self._address.host in ("0.0.0.0", "::") else self._address.host
        name = f"[{host}]" if ":" in host else host
        return f"http://{name}:{self._address.port}/{self._token}/"

    @property
    def is_private(self) -> bool:
        """Return whether only this machine reaches the server."""
        return bool(ipaddress.ip_address(self._socket.getsockname()[0]).is_loopback)

    def serve(self, *, open_browser: bool) -> None:
        """Answer requests until a signal or `stop`. Raises the `GameFault` of a match, which ends
        the server, as it ends a match in the terminal.
        """
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(self.url,), daemon=True).start()
        with self._socket:
            self._server.run(sockets=[self._socket])
        if self._fault is not None:
            raise self._fault

    def stop(self) -> None:
        """End `serve`, from another thread."""
        self._server.should_exit = True

    def _routes(self, matches: WebMatches, first: dict[str, Any]) -> FastAPI:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

        @app.get("/api/facts")
        def facts() -> dict[str, Any]:
            return {**matches.facts(), "first": first}

        @app.post("/api/position")
        def position(body: PositionBody) -> dict[str, Any]:
            return matches.position(body.played, values=body.values)

        @app.post("/api/reply")
        def reply(body: ReplyBody) -> dict[str, Any]:
            return matches.reply(body.played, body.player, values=body.values)

        @app.post("/api/review")
        def review(body: MatchBody) -> dict[str, Any]:
            return matches.review(body.played)

        @app.exception_handler(RequestValidationError)
        async def not_understood(request: Request, error: RequestValidationError) -> JSONResponse:
            [first, *_] = error.errors()
            where = ".".join(map(str, first["loc"][1:]))
            return _error(400, f"{where}: {first['msg']}" if where else first["msg"])

        @app.exception_handler(SparringError)
        async def refused(request: Request, error: SparringError) -> JSONResponse:
            if isinstance(error, GameFault):
                self._fault = error
                self.stop()
            return _error(400 if isinstance(error, InputError | IllegalAction) else 500, str(error))

        app.mount("/", StaticFiles(directory=_PAGE, html=True))
        return app


def _error(status: int, line: str) -> JSONResponse:
    return JSONResponse({"error": line}, status)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise InputError(
            f"--port {port} on {host}: {error.strerror or error}",
            remedy="choose another port, or leave --port out for a free one",
        ) from None
    return listening


def _outside_address() -> str:
    """The number of this machine in its network, as the system chooses it for a packet to the
    outside; none is sent.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documents (RFC 5737)
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
