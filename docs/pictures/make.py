"""Make the pictures of the documents again, into this directory: console, plots, TensorBoard, page.

    python docs/pictures/make.py [--run RUN]

RUN is a run of Ludo; without it one of two and a half minutes is trained first. Needs
sparring[web], sparring[plot], Playwright, and Chromium: the system's, or that of
`playwright install chromium`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from sparring.monitor.screen import WIDTH, Screen, SerialConsole
from sparring.monitor.state import ConsoleState
from sparring.storage.reports import Reports

HERE: Final = Path(__file__).parent
SPARRING: Final = (sys.executable, "-m", "sparring")
LIMIT: Final = 150_000  # bytes of a picture
SHOWN: Final = 0.7  # share of the run at which the console is shown
DESKTOP: Final = {"viewport": {"width": 1100, "height": 740}}
PHONE: Final = {
    "viewport": {"width": 390, "height": 700},
    "has_touch": True,
    "is_mobile": True,
    "color_scheme": "dark",
}
JSON: Final = {"content-type": "application/json"}


def save(name: str, png: bytes) -> None:
    """Save a picture with as many colours as fit into the limit."""
    picture = Image.open(BytesIO(png)).convert("RGB")
    for colours in (256, 128, 64, 32, 16):
        data = BytesIO()
        picture.quantize(colours).save(data, "PNG", optimize=True)
        if len(data.getvalue()) < LIMIT:
            break
    (HERE / name).write_bytes(data.getvalue())
    print(f"{name}: {len(data.getvalue()):,} bytes, {picture.width} x {picture.height}")


def console(run: Path, browser: Browser) -> None:
    """The live panel of the run, as it was after a part of it."""
    _, reports = Reports(run / "metrics.jsonl").new()
    began, ended = reports[0]["wall_time"], reports[-1]["wall_time"]
    now = began
    state = ConsoleState(f"runs/{run.name}", None, lambda: now)
    for report in reports:
        now = report["wall_time"]
        share = (now - began) / (ended - began)
        if share > SHOWN:
            break
        state.advance(int(report.get("rollout/episodes", state.episodes)), share)
        state.update(report)
    shown = SerialConsole(record=True, width=WIDTH, file=StringIO())
    shown.print(Screen(state))
    page = browser.new_page(viewport={"width": 1000, "height": 560})
    page.set_content(shown.export_svg(title=f"sparring train {run.name.partition('-')[0]}"))
    save("console.png", page.locator("svg").first.screenshot())
    page.close()


def plots(run: Path) -> None:
    """The pictures of `sparring plot`, at half their size."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*SPARRING, "plot", str(run), "--out", folder], check=True)
        for path in sorted(Path(folder).glob("*.png")):
            picture, half = Image.open(path), BytesIO()
            picture.resize((picture.width // 2, picture.height // 2)).save(half, "PNG")
            save(f"plot-{path.name}", half.getvalue())


@contextmanager
def served(*words: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(words, text=True, **options) as process:
        try:
            yield process
        finally:
            process.terminate()


def tensorboard(run: Path, browser: Browser) -> None:
    """The scalars of the run as TensorBoard shows them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    words = ("-m", "tensorboard.main", "--logdir", str(run), "--port", port, "--host", "127.0.0.1")
    with served(sys.executable, *words, stderr=subprocess.DEVNULL):
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        address = f"http://127.0.0.1:{port}/?darkMode=false#timeseries"
        for _ in range(600):
            try:
                urlopen(address).close()
                break
            except OSError:
                time.sleep(0.1)
        page.goto(address)
        page.get_by_text("eval/score").first.wait_for()
        page.get_by_role("button", name="Settings").first.click()
        page.get_by_role("combobox", name="Filter tags (regex)").fill("score|win_rate")
        page.keyboard.press("Escape")
        page.wait_for_timeout(2_000)  # its curves are drawn after their names
        save("tensorboard.png", page.screenshot())
        page.close()


@contextmanager
def page_of(*words: str) -> Iterator[str]:
    """The address of a page of `sparring play`."""
    command = (*SPARRING, "play", *words, "--web", "--no-browser")
    with served(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.stdout.readline().strip()


def moves_of(address: str, players: Sequence[str], count: int) -> str:
    """Moves of a match between players of the page, in turn, to its end or to the first turn of
    seat 0 after so many.
    """
    moves: list[int] = []
    seat, over = 0, False
    while (len(moves) < count or seat != 0) and not over:
        player = players[len(moves) % len(players)]
        body = {"seed": "7", "match": 1, "moves": moves, "player": player}
        sent = Request(f"{address}api/reply", json.dumps(body).encode(), JSON)
        with urlopen(sent) as answer:
            told = json.load(answer)
        moves.append(told["action"])
        seat, over = told["seat"], told["over"]
    return ".".join(map(str, moves))


def picture_of_page(
    browser: Browser, name: str, address: str, position: str, settings: Mapping[str, Any]
) -> None:
    page = browser.new_page(reduced_motion="reduce", **settings)
    page.goto(f"{address}#seed=7&match=1&{position}")
    page.wait_for_selector("#expected:not(:empty)")
    if "hints" not in position:
        page.wait_for_selector("#strip button")
    page.wait_for_timeout(300)
    save(name, page.screenshot())
    page.close()


def pages(run: Path, browser: Browser) -> None:
    """A position with hints, a match in review, and a phone with the history of the run."""
    with page_of("connect_four") as address:
        position = f"players=you,agent&moves={moves_of(address, ['agent'], 14)}&hints="
        picture_of_page(browser, "page.png", address, position, DESKTOP)
    with page_of("connect_four", "--opponent", "one_ply") as address:
        position = f"players=you,one_ply&moves={moves_of(address, ['agent', 'one_ply'], 42)}"
        picture_of_page(browser, "page-review.png", address, position, DESKTOP)
    with page_of(str(run)) as address:
        position = f"players=you,agent&moves={moves_of(address, ['agent'], 60)}&hints="
        picture_of_page(browser, "page-phone.png", address, position, PHONE)


def trained(folder: Path) -> Path:
    words = [*SPARRING, "train", "ludo", "--max-minutes", "2.5"]
    subprocess.run(words, cwd=folder, check=True)
    return folder / "runs" / "ludo-1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as library:
        run = given.run or trained(Path(folder))
        browser = library.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        console(run, browser)
        pages(run, browser)
        tensorboard(run, browser)
        plots(run)


if __name__ == "__main__":
    main()
