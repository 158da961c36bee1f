"""A server of `sparring play --web` in a thread, and a client that sends what it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from tables import untrained

from sparring.dqn.policy import InferencePolicy
from sparring.games import BatchedGame, make
from sparring.play.commands import OpponentChoices
from sparring.play.match import OpenMatch

if TYPE_CHECKING:
    from sparring.play.web.matches import WebMatches
    from sparring.play.web.server import WebServer

LEVELS = {"agent": "agent", "random": "random"}


def web_matches(
    game: str = "tic_tac_toe", policy: InferencePolicy | None = None, levels: Any = LEVELS
) -> WebMatches:
    """Matches against an untrained agent, or that of `policy`."""
    from sparring.play.web.matches import WebMatches

    policy = policy or untrained(game)
    spec = policy.spec.game_spec
    match = OpenMatch(make(game, 1), policy)
    return WebMatches(spec, lambda: match, OpponentChoices(policy, None), levels)


class LastCell(InferencePolicy):
    """Values the cells of tic-tac-toe by their numbers, the last one most."""

    def action_values(self, game: BatchedGame, slots: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.arange(9, dtype=np.float32)[None].repeat(len(slots), axis=0) / 10

    def choose(
        self, game: BatchedGame, slots: NDArray[np.int64], *_: Any, **__: Any
    ) -> NDArray[np.int64]:
        return np.where(game.mask[slots], np.arange(9), -1).argmax(axis=1)


def last_cell() -> InferencePolicy:
    return LastCell(untrained().spec)


@dataclass(frozen=True)
class Site:
    """A running server."""

    server: WebServer
    thread: threading.Thread

    def wait(self) -> None:
        """Wait until the server ends by itself."""
        self.thread.join()

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    @property
    def token(self) -> str:
        return urlsplit(self.url).path.strip("/")

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = {},
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer; `path` as it is sent."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def post(self, path: str, **body: Any) -> tuple[int, Any]:
        """Status and JSON of the answer to a well-behaved page."""
        sent = json.dumps(body).encode()
        headers = {"content-type": "application/json", "origin": f"http://127.0.0.1:{self.port}"}
        status, _, answer = self.ask("POST", f"/{self.token}/api/{path}", sent, headers)
        return status, json.loads(answer)

    def is_alive(self) -> bool:
        status, answer = self.post("position", seed=0, match=1, moves=[])
        return status == 200 and answer["over"] is False


@contextmanager
def serving(matches: WebMatches, *, host: str = "127.0.0.1", **first: Any) -> Iterator[Site]:
    """Serve in a thread; `first` is the match that a page begins with."""
    from sparring.play.web.server import WebServer

    begin = {"seed": "1", "players": [None, "agent"], "values": False, **first}
    server = WebServer(matches, begin, host=host, port=0)
    raised: list[BaseException] = []

    def serve() -> None:
        try:
            server.serve(open_browser=False)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Site(server, thread)
    finally:
        server.stop()
        thread.join()
    if raised:
        raise raised[0]
