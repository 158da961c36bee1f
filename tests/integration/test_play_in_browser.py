"""The page in headless Chromium against the real server: by mouse, by keys, by touch.

The agent is one whose moves are known: of the free cells of tic-tac-toe it values the last one
most. Skips where Playwright or a browser is absent: `pip install playwright`, and then
`playwright install chromium` or the system's package.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="sparring[web] is not installed")
pytest.importorskip("uvicorn", reason="sparring[web] is not installed")
pytest.importorskip("playwright", reason="playwright is not installed")

from playwright import sync_api as playwright
from web_tables import LEVELS, Site, last_cell, serving, web_matches

pytestmark = pytest.mark.slow

HANG = 300.0  # seconds; a busy machine takes its time
DESKTOP = {"viewport": {"width": 1280, "height": 860}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "color_scheme": "dark",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    with playwright.sync_playwright() as library:
        try:
            opened = library.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium: {str(error).splitlines()[0]}")
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving(web_matches(policy=last_cell())) as running:
        yield running


class Tab:
    """A page, with what a person does and sees."""

    def __init__(self, browser: Any, address: str, **settings: Any) -> None:
        self.context = browser.new_context(reduced_motion="reduce", **{**DESKTOP, **settings})
        self.context.set_default_timeout(1000 * HANG)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)

    def reads(self, status: str) -> None:
        """Wait until the status line reads so."""
        self.page.wait_for_selector(f"#status:text-is('{status}')")

    def shows(self, cells: str, status: str) -> None:
        """Wait until these marks are on the board of tic-tac-toe, and the status reads so."""
        marks = {"X": ":has(.piece.seat-0)", "O": ":has(.piece.seat-1)", ".": ":not(:has(.piece))"}
        board = " + ".join(f".cell{marks[mark]}" for mark in cells)
        self.page.wait_for_selector(f"main:has(#status:text-is('{status}')) .board {board}")

    def play(self, cell: int, status: str = "Your turn, X") -> None:
        self.reads(status)
        self.page.locator(".cell").nth(cell).click()

    def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + HANG
        while not holds():
            assert time.monotonic() < end, self.page.url
            self.page.wait_for_timeout(20)

    def close(self) -> None:
        self.context.close()
        assert self.errors == []


@pytest.fixture
def tabs(browser: Any) -> Iterator[Callable[..., Tab]]:
    opened = list[Tab]()

    def open_tab(address: str, **settings: Any) -> Tab:
        opened.append(Tab(browser, address, **settings))
        return opened[-1]

    yield open_tab
    for tab in opened:
        tab.close()


@pytest.mark.parametrize(("levels", "sliders"), [(LEVELS, 1), ({"agent": "agent"}, 0)])
def test_an_agent_without_a_history_has_no_slider(
    tabs: Callable[..., Tab], levels: dict[str, str], sliders: int
) -> None:
    with serving(web_matches(policy=last_cell(), levels=levels)) as running:
        tab = tabs(running.url)
        tab.reads("Your turn, X")
        assert tab.page.locator("#players input").count() == sliders
        assert tab.page.locator("#players label").count() == sliders


def test_a_match_by_mouse_its_review_and_another_end_of_it(
    tabs: Callable[..., Tab], site: Site
) -> None:
    tab = tabs(site.url)
    for cell in (0, 1, 2):
        tab.play(cell)
    tab.shows("XXX....OO", "You win")
    assert tab.page.locator(".cell.won").count() == 3
    assert tab.page.inner_text("#expected") == "The match paid +1.00 for X"
    tab.page.wait_for_selector("#strip button")
    assert tab.page.locator("#strip button").count() == 5
    assert tab.page.locator("#strip button.worst").count() == 3
    worst = tab.page.locator("#worst button").first
    assert worst.inner_text() == "1. X, cell 1 (−0.80)"  # it could have had cell 9
    worst.click()
    tab.shows(".........", "Move 1 of 5")
    assert tab.page.locator(".cell.best .value").inner_text() == "+0.80"
    tab.page.click("#forth")
    tab.page.click("#forth")
    tab.shows("X.......O", "Move 3 of 5")
    tab.page.click("#here")
    tab.shows("X.......O", "Your turn, X")


def test_a_match_by_keys_that_the_agent_wins(tabs: Callable[..., Tab], site: Site) -> None:
    tab = tabs(site.url)
    press = tab.page.keyboard.press
    tab.shows(".........", "Your turn, X")
    assert tab.page.locator("#undo").is_disabled()
    press("u")
    tab.reads("There is nothing to take back")
    press("h")
    tab.page.wait_for_selector(".cell:nth-child(9) .value")
    assert tab.page.locator(".cell .value").count() == 9
    press("h")
    tab.page.wait_for_selector(".cell .value", state="detached")
    press("1")
    tab.shows("X.......O", "Your turn, X")
    press("2")
    tab.shows("XX.....OO", "Your turn, X")
    press("4")
    tab.shows("XX.X..OOO", "O wins")
    press("u")
    tab.shows("XX.....OO", "Your turn, X")
    press("s")  # now O is the person's, and X takes the last cell
    tab.shows("XX....XOO", "Your turn, O")
    press("n")
    tab.shows("........X", "Your turn, O")
    press("u")
    tab.reads("There is nothing to take back")


def test_a_draw_by_touch_on_a_phone(tabs: Callable[..., Tab], site: Site) -> None:
    tab = tabs(site.url, **PHONE)
    for cell in (2, 7, 3, 4, 0):
        tab.reads("Your turn, X")
        tab.page.locator(".cell").nth(cell).tap()
    tab.shows("XOXXXOOXO", "Draw")
    assert tab.page.evaluate("() => document.documentElement.scrollWidth") == 390
    assert tab.page.locator("#board").bounding_box()["width"] > 340


def test_a_reload_goes_on_with_keys_too_early_ignored_and_two_tabs_play_two_matches(
    tabs: Callable[..., Tab], site: Site
) -> None:
    first, second = tabs(site.url), tabs(site.url)
    first.play(0)
    second.play(4)
    first.shows("X.......O", "Your turn, X")

    def press_before_the_answer(route: Any) -> None:
        first.page.keyboard.press("u")
        first.page.keyboard.press("5")
        route.continue_()

    first.page.route("**/position", press_before_the_answer, times=1)
    first.page.reload()
    first.shows("X.......O", "Your turn, X")
    second.shows("....X...O", "Your turn, X")


def test_agents_play_each_other_and_pause(tabs: Callable[..., Tab], site: Site) -> None:
    tab = tabs(site.url)
    tab.reads("Your turn, X")
    tab.page.click("#who-0")
    tab.page.wait_for_selector("#pause:visible")
    tab.page.keyboard.press("Space")
    tab.page.wait_for_selector("#pause:has-text('Go on')")
    tab.page.locator("#level-1").press("End")
    tab.until(lambda: "players=agent%2Crandom" in tab.page.url)
    tab.page.keyboard.press("Space")  # the slider still has the focus
    tab.page.wait_for_selector("#strip button")
    assert tab.page.inner_text("#status") in ("X wins", "O wins", "Draw")


def test_a_server_that_stops_is_named_and_the_match_stays(tabs: Callable[..., Tab]) -> None:
    with serving(web_matches(policy=last_cell())) as site:
        tab = tabs(site.url)
        tab.play(0)
        tab.shows("X.......O", "Your turn, X")
    tab.page.locator(".cell").nth(1).click()
    tab.page.wait_for_selector("#trouble:visible")
    assert "does not answer" in tab.page.inner_text("#trouble")
    assert "moves=0.8.1" in tab.page.url


def test_a_pawn_moves_by_clicks_on_its_cell_and_on_the_next(tabs: Callable[..., Tab]) -> None:
    with serving(web_matches("hexapawn:Hexapawn"), players=[None, None]) as site:
        tab = tabs(site.url)
        cells = tab.page.locator(".cell")
        cells.nth(7).click()
        assert tab.page.locator(".cell.target").count() == 1
        cells.nth(8).click()  # another pawn instead
        tab.page.wait_for_selector(".cell.chosen:nth-child(9)")
        cells.nth(5).click()
        tab.until(lambda: tab.page.url.endswith("moves=26"))
        tab.page.wait_for_selector(".cell.last:nth-child(6) ~ .cell.last:nth-child(9)")
        cells.nth(1).click()
        cells.nth(5).click()  # takes
        tab.until(lambda: tab.page.url.endswith("moves=26.32"))


@pytest.mark.parametrize(
    ("game", "choice"),
    [
        ("connect_four", ".cell:enabled"),
        ("othello", ".cell:enabled"),
        ("ludo(num_players=4)", ".token.legal"),
        ("backgammon", ".source:enabled"),
        ("plain_games:DrawnToe", ".plain .cell:enabled"),
        ("broken_matches:Lists", "#moves button"),
    ],
)
def test_every_kind_of_board_is_played(game: str, choice: str, tabs: Callable[..., Tab]) -> None:
    seats = 4 if game.startswith("ludo") else 2
    with serving(web_matches(game), players=[None] * seats) as site:
        tab = tabs(site.url)
        for dots in range(2):
            tab.page.locator(choice).first.click()
            tab.until(lambda dots=dots: tab.page.url.partition("moves=")[2].count(".") == dots)  # type: ignore[misc]
            tab.page.wait_for_selector("#undo:enabled")
        assert ":" not in tab.page.inner_text("#title")
