from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sparring.bench import naive
from sparring.bench.measure import Settings
from sparring.bench.sessions import Pace


def test_outside_a_checkout_the_part_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naive, "SCRIPT", tmp_path / "naive.py")
    said: list[str] = []
    assert naive.measure(Settings(note=said.append)) == {}
    assert "skipped" in said[0]


def test_both_are_measured_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "naive.py"
    script.write_text(
        "import sys\nassert sys.argv[1:] == ['--seconds', '1.0', '--json']\nprint('hello')\n"
        'print(\'{"plies_per_s": 100.0, "episodes_per_min": 60.0, "updates_per_s": 1.0}\')\n'
    )

    def fastest(
        settings: Settings, stack: ExitStack, name: str, options: dict[str, Any], threads: object
    ) -> Any:
        plies = 600 if options["mode"] == "async" else 500
        pace = Pace(
            seconds=2.0,
            plies=plies,
            episodes=10,
            updates=8,
            played=1.0,
            waited=0.0,
            workers=1,
            main_share=1.0,
        )
        return SimpleNamespace(config=SimpleNamespace(num_workers=2), slice=lambda seconds: pace)

    monkeypatch.setattr(naive, "SCRIPT", script)
    monkeypatch.setattr(naive, "fastest", fastest)
    monkeypatch.setattr(
        naive,
        "BarePieces",
        lambda options, seconds: SimpleNamespace(speeds=lambda: (1.0, {1: 1.0})),
    )
    cases = naive.measure(Settings(seconds=0.5, slices=2))
    assert {name: (one.rate, one.limit, one.ratio, one.runs) for name, one in cases.items()} == {
        "ludo_matches": (300.0, 60.0, 5.0, 2),
        "ludo_plies": (300.0, 100.0, 3.0, 2),
        "ludo_updates": (4.0, 1.0, 4.0, 2),
    }
    assert cases["ludo_plies"].also == {"mode": "async", "workers": 2}


def test_a_script_that_fails_spoils_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "naive.py"
    script.write_text("raise ValueError('no room')")
    pace = Pace(
        seconds=2.0,
        plies=500,
        episodes=10,
        updates=8,
        played=1.0,
        waited=0.0,
        workers=1,
        main_share=1.0,
    )
    session: Any = SimpleNamespace(
        config=SimpleNamespace(num_workers=2), slice=lambda seconds: pace
    )
    monkeypatch.setattr(naive, "SCRIPT", script)
    monkeypatch.setattr(naive, "fastest", lambda *_: session)
    monkeypatch.setattr(
        naive,
        "BarePieces",
        lambda options, seconds: SimpleNamespace(speeds=lambda: (1.0, {1: 1.0})),
    )
    said: list[str] = []
    assert naive.measure(Settings(note=said.append)) == {}
    assert said == ["naive: skipped: naive.py failed: ValueError: no room"]
