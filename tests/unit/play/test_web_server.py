"""The server of the page against well-behaved and hostile requests, over real sockets."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("fastapi", reason="sparring[web] is not installed")
pytest.importorskip("uvicorn", reason="sparring[web] is not installed")

from web_tables import Site, serving, web_matches

from sparring.errors import GameFault, InputError
from sparring.play.web import guard
from sparring.play.web.guard import MAX_BODY, Address
from sparring.play.web.server import WebServer

FINE = {"seed": "1", "match": 1, "moves": [4]}
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving(web_matches()) as running:
        yield running


def test_the_page_comes_with_its_address_and_nothing_from_outside(site: Site) -> None:
    status, headers, page = site.ask("GET", f"/{site.token}/")
    assert status == 200
    assert b"<title>" in page
    assert b"://" not in page
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers
    assert len(site.token) >= 20


def test_the_facts_hold_the_match_to_begin_with(site: Site) -> None:
    status, _, answer = site.ask("GET", f"/{site.token}/api/facts")
    facts = json.loads(answer)
    assert (status, facts["game"]) == (200, "tic_tac_toe")
    assert facts["first"] == {"seed": "1", "players": [None, "agent"], "values": False}


def test_a_match_is_played_to_its_end(site: Site) -> None:
    moves = list[int]()
    shown = {"over": False}
    while not shown["over"]:
        status, shown = site.post("position", seed="5", match=1, moves=moves)
        assert status == 200
        if not shown["over"] and shown["seat"] == 0:
            moves.append(shown["legal"][0]["action"])
        elif not shown["over"]:
            status, shown = site.post("reply", seed="5", match=1, moves=moves, player="agent")
            moves.append(shown["action"])
    status, review = site.post("review", seed="5", match=1, moves=moves)
    assert (status, len(review["plies"])) == (200, len(moves))


HOSTILE = {
    "another host": ({"host": "evil.example:{port}"}, FINE, 403),
    "another host with the server's number in it": ({"host": "127.0.0.1.evil:{port}"}, FINE, 403),
    "another port": ({"host": "127.0.0.1:1"}, FINE, 403),
    "a host that is none": ({"host": "::::"}, FINE, 403),
    "another origin": ({"origin": "http://evil.example"}, FINE, 403),
    "the origin of a file": ({"origin": "null"}, FINE, 403),
    "another port as origin": ({"origin": "http://127.0.0.1:1"}, FINE, 403),
    "another scheme as origin": ({"origin": "https://127.0.0.1:{port}"}, FINE, 403),
    "10 MB announced": ({"content-length": "10000000"}, b"[", 413),
    "a false length": ({"content-length": "99999999999999999999"}, b"", 413),
    "garbage": ({}, b"\x00\xff{{{", 400),
    "no JSON": ({}, b"seed=1&match=1&moves=", 400),
    "nothing": ({}, b"", 400),
    "brackets without end": ({}, b"[" * 60_000, 400),
    "a number without end": ({}, b'{"seed": ' + b"9" * 60_000 + b"}", 400),
    "a list": ({}, b"[]", 400),
    "moves that are no list": ({}, {**FINE, "moves": "4"}, 400),
    "moves that are no numbers": ({}, {**FINE, "moves": ["a"]}, 400),
    "an illegal move": ({}, {**FINE, "moves": [4, 4]}, 400),
    "a move that does not exist": ({}, {**FINE, "moves": [9]}, 400),
    "a move below all": ({}, {**FINE, "moves": [-1]}, 400),
    "a move beyond all": ({}, {**FINE, "moves": [2**70]}, 400),
    "moves after the end": ({}, {**FINE, "moves": [0, 3, 1, 4, 2, 5]}, 400),
    "10,000 moves": ({}, {**FINE, "moves": [0] * 10_000}, 400),
    "a seed below all": ({}, {**FINE, "seed": -1}, 400),
    "infinity": ({}, b'{"seed": Infinity, "match": 1, "moves": []}', 400),
    "an unknown session": ({}, {**FINE, "session": "1"}, 400),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_request_is_refused_and_the_server_lives(site: Site, name: str) -> None:
    extra, body, expected = HOSTILE[name]
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {**JSON, **{key: value.format(port=site.port) for key, value in extra.items()}}
    status, _, answer = site.ask("POST", f"/{site.token}/api/position", sent, headers)
    assert (status, len(answer) < 500) == (expected, True)
    assert site.is_alive()


@pytest.mark.parametrize("length", ["Content-Length: 10000000", "Transfer-Encoding: chunked"])
def test_a_body_of_10_mb_is_not_taken_in(site: Site, length: str) -> None:
    """The server hangs up long before its end, with 413 if the client looks in time."""
    chunk = b"1" * 0x10000
    piece = b"10000\r\n" + chunk + b"\r\n" if "chunked" in length else chunk
    head = f"POST /{site.token}/api/position HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
    with socket.create_connection(("127.0.0.1", site.port), timeout=60) as connection:
        connection.sendall(f"{head}{length}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            for _ in range(10_000_000 // len(chunk)):
                connection.sendall(piece)
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = connection.recv(100)
    assert answer == b"" or answer.split()[1] == b"413"
    assert site.is_alive()


@pytest.mark.parametrize(
    "path",
    ["/", "/api/position", "/wrong/api/position", "/{short}/api/position", "//api/position"],
)
def test_without_its_token_nothing_is_there(site: Site, path: str) -> None:
    sent = path.format(short=site.token[:-1])
    status, _, answer = site.ask("POST", sent, json.dumps(FINE).encode(), JSON)
    assert (status, b"token" in answer) == (403, True)
    assert site.ask("GET", sent)[0] == 403
    assert site.is_alive()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "../server.py"),
        ("GET", "%2e%2e/server.py"),
        ("GET", "..%2f..%2fmatch.py"),
        ("GET", "/etc/passwd"),
        ("GET", "docs"),
        ("GET", "openapi.json"),
        ("GET", "api/position"),
        ("PUT", "api/position"),
        ("OPTIONS", "api/position"),
        ("POST", "index.html"),
    ],
)
def test_no_other_path_and_method_is_answered(site: Site, method: str, path: str) -> None:
    status, headers, _ = site.ask(method, f"/{site.token}/{path}")
    assert status in (404, 405)
    assert "access-control-allow-origin" not in headers


def test_other_players_are_refused(site: Site) -> None:
    status, answer = site.post("reply", **FINE, player="own_players:Last")
    assert (status, answer) == (
        400,
        {"error": "unknown player: got 'own_players:Last', expected one of agent, random"},
    )


def test_1000_matches_at_once_are_answered_or_refused(site: Site) -> None:
    """There are no sessions: another match is another list of moves."""
    addresses = [("127.0.0.1", site.port)] * 100
    statuses = list[str]()
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(address, timeout=60))
            for address in addresses
        ]
        for first, connection in enumerate(connections):
            connection.sendall(b"".join(question(site, 100 * row + first) for row in range(10)))
        for connection in connections:
            statuses += received(connection, 10)
    assert set(statuses) <= {"200", "503"}
    assert wait_for(site)


def received(connection: socket.socket, count: int) -> list[str]:
    """The statuses of that many answers; fewer if the server hangs up."""
    answers = b""
    while answers.count(b"HTTP/1.1 ") < count:
        piece = connection.recv(0x10000)
        if not piece:
            break
        answers += piece
    return re.findall(r"HTTP/1\.1 (\d+)", answers.decode())


def question(site: Site, match: int) -> bytes:
    """A request for a position of that match."""
    body = json.dumps({"seed": 3, "match": 1 + match, "moves": [match % 9]})
    return (
        f"POST /{site.token}/api/position HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def wait_for(site: Site) -> bool:
    """The server notices that connections are closed a little later."""
    for _ in range(100):
        status, _, _ = site.ask("GET", f"/{site.token}/api/facts")
        if status == 200:
            return True
        time.sleep(0.05)
    return False


def test_a_body_that_does_not_arrive_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "_PATIENCE", 0.5)
    with socket.create_connection(("127.0.0.1", site.port), timeout=60) as slow:
        head = f"POST /{site.token}/api/position HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
        slow.sendall(f"{head}Content-Length: {MAX_BODY}\r\n\r\n1".encode())
        assert site.is_alive()
        assert slow.recv(100).split()[1] == b"408"


@pytest.mark.parametrize(
    "sent",
    ["", "GET / HT", "POST /{token}/api/position HTTP/1.1\r\nHost: {host}\r\n", "{answered}GET /"],
    ids=["nothing", "the first letters", "half a head", "the first letters after an answer"],
)
def test_a_connection_that_does_not_ask_is_closed(
    site: Site, sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "_PATIENCE", 0.1)
    host = f"127.0.0.1:{site.port}"
    answered = f"GET /{site.token}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", site.port), timeout=60) as idle:
        idle.sendall(sent.format(token=site.token, host=host, answered=answered).encode())
        while idle.recv(0x10000):  # until the server hangs up
            pass
    assert site.is_alive()


def test_idle_connections_do_not_shut_others_out(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "_PATIENCE", 0.1)
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            address = ("127.0.0.1", site.port)
            stack.enter_context(socket.create_connection(address, timeout=60))
        assert wait_for(site)


@pytest.mark.parametrize(
    ("listens", "host", "own"),
    [
        ("127.0.0.1", "127.0.0.1:80", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "localhost:80", True),
        ("127.0.0.1", "[::1]:80", True),
        ("127.0.0.1", "192.168.1.5:80", False),
        ("127.0.0.1", "evil.example:80", False),
        ("127.0.0.1", "", False),
        ("::1", "[::1]", True),
        ("0.0.0.0", "192.168.1.5:80", True),
        ("0.0.0.0", "evil.example:80", False),
        ("192.168.1.5", "192.168.1.5:80", True),
        ("192.168.1.5", "192.168.1.6:80", False),
    ],
)
def test_the_names_of_a_server(listens: str, host: str, own: bool) -> None:
    assert Address(listens, 80).is_own(host) is own


def test_a_port_in_use_is_one_line(site: Site) -> None:
    with pytest.raises(InputError, match=f"--port {site.port} on 127.0.0.1: .* in use"):
        WebServer(web_matches(), {}, host="127.0.0.1", port=site.port)


def test_a_game_that_fails_ends_the_server_with_its_fault() -> None:
    answers = []

    def play() -> None:
        with serving(web_matches("broken_matches:DividesByZero")) as site:
            answers.extend(
                site.post("position", seed=0, match=1, moves=moves) for moves in ([], [0, 1, 3, 4])
            )
            site.wait()

    with pytest.raises(GameFault, match="division by zero"):
        play()
    assert [status for status, _ in answers] == [200, 500]
    assert "division by zero" in answers[1][1]["error"]
