from __future__ import annotations

import pytest

from sparring.bench import show
from sparring.bench.measure import Case, case

CASES = {
    "cores_two_to_one_bfloat16": case(
        [1.234e6, 1.3e6, 1.1e6], "states/s", limits=[1.5e6] * 3, floor=0.9
    ),
    "ludo_matches": case(
        [32_610.0],
        "matches/min",
        limits=20_000.0,
        floor=1.0,
        also={"mode": "async", "worker_wait": 0.257},
    ),
    "prioritized_1m_cost": case([20.8], "us", limits=40.0, floor=1.0, less_is_better=True),
}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (4.214, "4.21"), (42.14, "42.1"), (812.4, "812"), (9527.3, "9,527"),
     (61_100.0, "61.1 k"), (999_949.0, "1000 k"), (1.24e6, "1.24 M"), (1.73e8, "173 M"),
     (2.5e9, "2.50 G"), (None, "")],
)  # fmt: skip
def test_amounts(value: float | None, text: str) -> None:
    assert show.amount(value) == text


def test_a_table_fits_into_80_columns_and_shows_which_floors_were_not_reached(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show.print_part("workers", CASES)
    said = capsys.readouterr().out
    assert "…" not in said
    assert all(len(line) <= 80 for line in said.splitlines())
    words = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line.split()}
    assert words["cores_two_to_one_bfloat16"] == [
        "1.23",
        "M",
        "1.50",
        "M",
        "0.823",
        "<",
        "0.9",
        "±8%",
        "states/s",
    ]
    assert words["ludo_matches"] == ["32.6", "k", "20.0", "k", "1.63", "1", "±0%", "matches/min"]
    assert "ludo_matches: mode async, worker wait 25.7%" in said


def test_empty_columns_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    show.print_part("games", {"connect_four_256": case([5e6, 6e6], "plies/s")})
    assert capsys.readouterr().out.split()[:4] == ["games", "rate", "spread", "unit"]


def test_the_last_lines_name_the_floors_that_were_not_reached(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show.print_floors({"workers": CASES, "games": {"a": Case(1.0, "plies/s", (1.0, 1.0), 1)}}, 61.2)
    assert capsys.readouterr().out.splitlines() == [
        "2 of 3 floors (minimum ratios) reached; done in 61 s",
        "  not reached: workers cores_two_to_one_bfloat16 (0.823 of 0.9)",
    ]


def test_progress_is_shown_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with show.progress() as say:
        say("actor: mlp")
    assert capsys.readouterr() == ("", "actor: mlp\n")
