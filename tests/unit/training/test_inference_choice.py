"""The choice between a server and networks in the workers, and what a run says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from stopped_runs import NEVER, StopAfter, resume_until, train_until
from trial_runs import resolved_trial, trial

from sparring.config.schema import ResolvedConfig, TrainConfig
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import ConfigurationError
from sparring.training import train
from sparring.training.inference import (
    by_measurement,
    by_rule,
    check_server,
    multiplications,
    server_of,
    with_inference,
)

POLICY = PolicySpec("connect_four")


def on_gpu(**changes: object) -> ResolvedConfig:
    return resolved_trial(**{"device": "cuda", "num_workers": 8, **changes})


def test_without_a_gpu_the_networks_stay_in_the_workers() -> None:
    config, line = with_inference(resolved_trial(device="cpu"), POLICY, TrainConfig())
    assert config.inference == "workers"
    assert line == "networks play in the workers: the device is no GPU"


def test_what_was_asked_for_is_not_decided_again() -> None:
    asked = TrainConfig(inference="server")
    config, line = with_inference(resolved_trial(device="cpu", inference="server"), POLICY, asked)
    assert config.inference == "server"
    assert line == "networks play on a server on cpu (a batch a request)"


def test_on_a_gpu_a_large_network_has_a_server_and_a_small_one_has_none() -> None:
    large = PolicySpec("connect_four", NetworkSpec("resnet", {"channels": 64, "blocks": 5}))
    config, line = with_inference(on_gpu(num_envs_per_worker=256), large, TrainConfig())
    assert config.inference == "server"
    assert line == (
        "networks play on a server on cuda (batches are shared, no two runs are alike): "
        "15,578,976 multiplications a position, 1,024 positions at a time"
    )
    config, line = with_inference(on_gpu(num_envs_per_worker=256), POLICY, TrainConfig())
    assert config.inference == "workers"
    assert "the network is small, 88,832 multiplications a position" in line


def test_an_opponent_that_looks_ahead_needs_the_network_in_its_worker() -> None:
    ahead = {"opponents": {"self": 0.5, "agent:2": 0.5}}
    _, line = with_inference(on_gpu(**ahead), POLICY, TrainConfig())
    assert line == "networks play in the workers: opponent agent:2 searches there"
    with pytest.raises(ConfigurationError, match="inference=server with opponent agent:2"):
        check_server(resolved_trial(inference="server", **ahead))


def test_few_positions_at_a_time_have_none_whatever_the_network() -> None:
    assert by_rule(10**9, 8)[0] is False
    assert by_rule(10**9, 1_000)[0] is True


def test_a_gpu_that_is_slower_is_never_picked_where_that_is_measured() -> None:
    assert by_measurement(2_000.0, 1_999.0)[0] is False
    assert by_measurement(1_999.0, 2_000.0) == (
        True,
        "1,999 positions/s in the workers, 2,000 on the GPU, measured",
    )


def test_batches_are_shared_only_where_two_runs_are_not_alike_anyway() -> None:
    def joined(**changes: object) -> bool:
        server = server_of(resolved_trial(inference="server", **changes))
        assert server is not None
        return server.joined

    assert not joined(device="cpu")
    assert joined(device="cpu", mode="async")
    assert joined(device="cuda")
    assert not joined(device="cuda", deterministic=True)


def test_multiplications_are_counted_also_of_positions_after_moves() -> None:
    small = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [10]}))
    inputs = small.network_game.observation_size
    assert multiplications(small) == inputs * 10 + 10 * 9
    after = PolicySpec("ludo", NetworkSpec("mlp", {"net_arch": [10]}), afterstates=True)
    assert multiplications(after) == after.network_game.observation_size * 10 + 10


def test_workers_that_share_no_memory_with_a_server_are_refused_in_one_line() -> None:
    elsewhere = resolved_trial(inference="server", backend="ray")
    with pytest.raises(ConfigurationError, match=r"^inference=server with backend=ray: expected "):
        check_server(elsewhere)


def test_too_many_workers_for_a_server_are_one_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_server(resolved_trial(inference="server", num_workers=201))
    assert str(caught.value) == (
        "num_workers with inference=server: got 201, expected at most 200; "
        "use fewer workers with more envs each, or inference=workers"
    )


@pytest.mark.parametrize("mode", ["sync", "overlap"])
def test_a_run_with_a_server_equals_inline_and_one_that_was_resumed(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snapshots, scripted players, n-step returns and priorities included."""
    short = {"mode": mode, "inference": "server", "n_episodes": 120, "snapshot_interval": 24}
    runs = {
        backend: train(trial(tmp_path, name=backend, backend=backend, **short), console=False)
        for backend in ("processes", "inline")
    }
    assert runs["processes"].sha256 == runs["inline"].sha256
    options = {**short, "backend": "processes"}
    monkeypatch.setattr("sparring.training.Interrupts", StopAfter)
    assert train_until(20, tmp_path, "stopped", **options).interrupted
    resumed = resume_until(NEVER, tmp_path, "stopped")
    assert resumed.sha256 == runs["inline"].sha256
