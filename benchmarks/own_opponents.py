"""The game, opponent and network of `examples/own_ludo.py`: how fast, and how strong.

    python benchmarks/own_opponents.py rates     # some minutes
    python benchmarks/own_opponents.py strength  # the whole training, then 10,000 matches

`rates` are matches per minute of processor time, of a run against the heuristic and of a plain loop
that does the same work as Sparring's predecessor did: one match after the other, the network asked
for one position at a time. Both work in one process and on one thread, with the same network, one
update of 64 transitions a match, and take turns. They are measured at epsilon 1 and 0.05, with
values of actions as the predecessor had them, and with values of positions after moves.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import tyro
from naive import BATCH, Array, Learner
from numpy.typing import NDArray

from sparring.bench.measure import Side, case, turns
from sparring.bench.sessions import open_session
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.evaluation import evaluate
from sparring.opponents.players import NetworkPlayer

EXAMPLES: Final = Path(__file__).parents[1] / "examples"
GAME: Final = "own_ludo:SmallLudo"
HEURISTIC: Final = "own_ludo:Heuristic"
NETWORK: Final = {"net_arch": [64, 64]}
SLICES: Final = 5


class PlainLoop:
    """One match at a time against the heuristic, one position at a time, an update after each."""

    def __init__(self, epsilon: float, *, after: bool) -> None:
        import own_ludo

        self.learner = Learner(PolicySpec(GAME, NetworkSpec("mlp", NETWORK), afterstates=after))
        self.epsilon, self.after = epsilon, after
        self.rng = np.random.default_rng(0)
        self.heuristic, self.played = own_ludo.Heuristic(), own_ludo.SmallLudo()

    def match(self) -> None:
        match, seat, last = self.played, int(self.rng.integers(2)), None
        match.reset(self.rng)
        rewards, over = None, False
        while not over:
            if match.seat != seat:
                rewards, over = match.step(self.heuristic.choose(match))
                continue
            shown, index, action, best, mask = self.decide(match)
            if last is not None:
                self.learner.replay.append((*last, 0.0, best, mask, 1.0))
            last = shown, index
            rewards, over = match.step(action)
        if last is not None and rewards is not None:
            self.learner.replay.append((*last, float(rewards[seat]), best, mask, 0.0))
        if len(self.learner.replay) >= BATCH:
            self.learner.update()

    def decide(self, match: Any) -> tuple[Array, int, int, Array, NDArray[np.bool_]]:
        """What is learned of the decision (what is shown, and which output of the network), the
        action, and what the decision before bootstraps from (what is shown, and a mask).
        """
        mask = np.array(match.mask())
        explored = int(self.rng.choice(np.flatnonzero(mask)))
        explores = self.rng.random() < self.epsilon
        if not self.after:
            shown = np.asarray(match.observe(match.seat), np.float32)
            action = explored if explores else int(np.where(mask, self.q(shown), -np.inf).argmax())
            return shown, action, action, shown, mask
        legal = np.flatnonzero(mask).tolist()
        shown = np.stack([match.after(action) for action in legal]).astype(np.float32)
        best = int(self.q(shown).argmax())
        chosen = legal.index(explored) if explores else best
        return shown[chosen], 0, legal[chosen], shown[best], np.ones(1, np.bool_)

    def q(self, shown: Array) -> Array:
        with torch.inference_mode():
            batch = torch.from_numpy(shown).reshape(-1, shown.shape[-1])
            q: Array = self.learner.policy(batch).numpy()
            return q


def sparring_side(session: Any, seconds: float) -> float:
    """Matches per processor minute of a run whose workers are in this process."""
    pace = session.slice(seconds)
    return float(pace.episodes_per_min / pace.main_share)


def plain_side(loop: PlainLoop, seconds: float) -> float:
    matches, begun = 0, time.process_time()
    while (spent := time.process_time() - begun) < seconds:
        loop.match()
        matches += 1
    return 60.0 * matches / spent


def rates(seconds: float = 3.0) -> None:
    """Matches per processor minute of both, in slices of so many seconds."""
    torch.set_num_threads(1)
    print(f"{'':28}{'Sparring':>10}{'plain loop':>12}{'ratio':>8}   matches per processor minute")
    for after in (False, True):
        for epsilon in (1.0, 0.05):
            with open_session(settings(epsilon, after=after)) as session:
                loop = PlainLoop(epsilon, after=after)
                sides: dict[str, Side] = {
                    "ours": lambda: sparring_side(session, seconds),
                    "plain": lambda: plain_side(loop, seconds),  # noqa: B023
                }
                for side in sides.values():
                    side()
                found = turns(sides, SLICES)
            done = case(found["ours"], "", limits=found["plain"])
            values = "positions after moves" if after else "actions"
            name = f"{values}, {epsilon:g}"
            print(f"{name:28}{done.rate:10,.0f}{done.limit:12,.0f}{done.ratio:8.1f}", flush=True)


def settings(epsilon: float, *, after: bool) -> dict[str, Any]:
    return {
        "game": GAME,
        "opponents": {HEURISTIC: 1.0},
        "policy_kwargs": NETWORK,
        "afterstates": "on" if after else "off",
        "bootstrap": "own_turn",
        "exploration_initial_eps": epsilon,
        "exploration_final_eps": epsilon,
        "actor_precision": "float32",
        "learner_precision": "float32",
        "double_q": True,
        "batch_size": BATCH,
        "episodes_per_batch": 64,
        "mode": "sync",
        "backend": "inline",
        "num_workers": 1,
        "learner_threads": 1,
    }


def strength(matches: int = 10_000) -> None:
    """Train as the example does, and play so many matches against its heuristic."""
    import own_ludo

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        begun = time.perf_counter()
        agent = own_ludo.main()
        minutes = (time.perf_counter() - begun) / 60
        os.chdir(EXAMPLES)
    player = NetworkPlayer("agent", agent.policy())
    result = evaluate(player, GAME, [HEURISTIC], matches=matches, seed=1)["opponents"][HEURISTIC]
    print(f"{minutes:.1f} minutes, {result['score']:.3f}, 95 % interval {result['interval95']}")


if __name__ == "__main__":
    sys.path.insert(0, str(EXAMPLES))
    tyro.extras.subcommand_cli_from_dict({"rates": rates, "strength": strength})
