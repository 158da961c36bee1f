"""benchmarks/peers/ without the peers: how a driver is talked to, how Sparring is, and what the
table says.
"""

import importlib
import os
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from child_processes import wait_until

from sparring.config.sources import build_config

PEERS = Path(__file__).parents[3] / "benchmarks" / "peers"


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(PEERS)
    return importlib.import_module


def test_a_driver_counts_plies_and_optimizer_steps_of_its_turn(module, tmp_path):
    sides = module("sides")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    driver = tmp_path / "driver.py"
    driver.write_text(
        textwrap.dedent(f"""
        import sys, time
        sys.path[:0] = [{str(PEERS)!r}, *{sys.path!r}]
        import torch
        from turns import serve

        class Fake:
            plies, plies_per_update = 0, None
            optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])

            def play_match(self):
                for _ in range(8):
                    self.plies += 1
                    if self.plies_per_update and self.plies % self.plies_per_update == 0:
                        self.optimizer.step()
                time.sleep(0.001)

        side = Fake()
        side.optimizer.step()  # before the first turn: counts for none
        serve(side, {{"fake": "1.2"}})
        """)
    )
    with sides.Peer("fake", tmp_path, str(driver)) as peer:
        assert peer.versions["fake"] == "1.2"
        figures = peer.turn(sides.Case("some", 4, None), "1 thread", 0.2)
        assert 100 < figures.plies_per_s < 8_000
        assert figures.updates_per_s == pytest.approx(figures.plies_per_s / 4, rel=0.01)
        assert peer.turn(sides.Case("none", None, None), "2 threads", 0.1).updates_per_s == 0.0


def test_every_way_of_sparring_is_a_configuration_with_the_same_work(module, tmp_path):
    sparring_side = module("sparring_side")
    for way in sparring_side.WAYS.values():
        for plies_per_update in (64, 1024, None):
            path = tmp_path / "config.toml"
            path.write_text(sparring_side._config(plies_per_update, way, "float32"))
            config = build_config(config_file=path)
            earned = (
                config.samples_per_insert / config.batch_size
            )  # updates for a ply, when the buffer is full
            assert earned == pytest.approx(1 / plies_per_update if plies_per_update else 0.0)
            assert (config.mode, config.num_workers, config.opponents) == (
                way.mode,
                way.workers,
                {"self": 1.0},
            )


@pytest.mark.full
def test_a_run_works_in_its_turns_only_and_ends_with_the_comparison(module, tmp_path, monkeypatch):
    sides, sparring_side = module("sides"), module("sparring_side")
    monkeypatch.setattr(sparring_side, "REPLAY", 2_000)
    monkeypatch.setattr(sparring_side, "ENVS", 32)
    monkeypatch.setattr(sparring_side, "WARM_UP", 0.2)
    case, way = sides.Case("some", 64, None), "overlap, 1 worker"
    with sparring_side.Sparring(tmp_path, "auto") as side:
        figures = side.turn(case, way, 1.0)
        run = side._runs[case, way]
        group = run._process.pid
        before = run._reports()[-1]["plies"]
        wait_until(lambda: states(group) == {psutil.STATUS_STOPPED})
        assert figures.plies_per_s / figures.updates_per_s == pytest.approx(64, rel=0.25)
        assert side.turn(case, way, 1.0).plies_per_s > 0
        assert before < run._reports()[-1]["plies"]
    wait_until(lambda: states(group) <= {psutil.STATUS_ZOMBIE})


def states(group):
    """Of all processes of a process group; dead ones may wait for the system to clear them away."""
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group:
                found.add(process.status())
    return found


class _Side:
    """Plays as many plies a second as it is told, by way; the first turn of each way is slow."""

    def __init__(self, sides, name, rates):
        self._sides, self.name, self._rates, self.versions = sides, name, rates, {}
        self.kept, self._slow = [], set(rates)

    def ways(self, case):
        return tuple(self._rates)

    def turn(self, case, way, seconds):
        rate = self._rates[way] * (0.01 if way in self._slow else 1.0)
        self._slow.discard(way)
        return self._sides.Figures(rate, rate / case.plies_per_update)

    def keep(self, case, way):
        self.kept.append(way)


def test_each_side_works_in_its_fastest_way_and_the_faster_peer_is_the_measure(module):
    sides, compare = module("sides"), module("compare")
    ours = _Side(sides, "sparring", {"a": 100.0, "b": 600.0})
    peers = [
        _Side(sides, "one", {"1 thread": 50.0, "2 threads": 20.0}),
        _Side(sides, "two", {"1 thread": 10.0, "2 threads": 200.0}),
    ]
    settings = compare.Settings(Path(), Path(), turns=3)
    table = compare.compared([ours, *peers], sides.Case("some", 10, floor=2.0), settings)
    assert table["ratio"] == 3.0
    assert table["floor"] == 2.0
    assert {name: side["way"] for name, side in table["sides"].items()} == {
        "sparring": "b",
        "one": "1 thread",
        "two": "2 threads",
    }
    assert table["sides"]["two"] == {
        "plies_per_s": 200.0,
        "updates_per_s": 20.0,
        "spread": [200.0, 200.0],
        "way": "2 threads",
    }
    assert ours.kept == ["b"]
