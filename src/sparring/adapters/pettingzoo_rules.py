"""Shared by the matches of one PettingZoo game: environments, how to read them, and the spec."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring import user_code
from sparring.adapters import (
    check_size,
    imported,
    misfit,
    refuse_window,
    registered_target,
    rendered,
    take_flag,
    take_max_plies,
)
from sparring.adapters.pettingzoo_copies import duplicates_well
from sparring.adapters.pettingzoo_parallel import ParallelRules
from sparring.adapters.seat_planes import Comparison, Views
from sparring.errors import ConfigurationError, nearest
from sparring.games.names import GameName
from sparring.games.spec import GameSpec
from sparring.games.user_games import OF_ADAPTERS

pettingzoo: Final = imported("pettingzoo", "pettingzoo")
_wrappers: Final = imported("pettingzoo.utils.wrappers", "pettingzoo")
_RegistryError: Final = imported(
    "pettingzoo.env_registry.exceptions", "pettingzoo"
).PettingZooRegistryError
_Discrete: Final = imported("gymnasium.spaces", "pettingzoo").Discrete

_MAX_PLIES: Final = 1000  # of a match, unless the name says otherwise
_PROBES: Final = 8  # random matches in which the observations of the seats are compared
_MAX_PROBE_PLIES: Final = 12
_IDLE_WRAPPERS: Final = (
    _wrappers.OrderEnforcingWrapper,
    _wrappers.AssertOutOfBoundsWrapper,
    _wrappers.TerminateIllegalWrapper,
)


@dataclass(frozen=True)
class _Facts:
    """Facts that PettingZoo does not declare."""

    chance: bool = False
    hidden_information: bool = False
    zero_sum: bool = True
    max_plies: int = _MAX_PLIES
    returns: tuple[float, float] | None = None


_BOARD: Final = _Facts(returns=(-1.0, 1.0))
_CARDS: Final = _Facts(chance=True, hidden_information=True)
_UNKNOWN: Final = _Facts(chance=True, hidden_information=True, zero_sum=False)
_KNOWN: Final = {
    "classic/chess": _BOARD,
    "classic/connect_four": _Facts(returns=(-1.0, 1.0), max_plies=42),
    "classic/go": _BOARD,
    "classic/leduc_holdem": _CARDS,
    "classic/texas_holdem": _CARDS,
    "classic/texas_holdem_no_limit": _CARDS,
    "classic/tictactoe": _Facts(returns=(-1.0, 1.0), max_plies=9),
}


class PettingZooRules:
    """Shared by all matches of one game: its `agents` in the order of their seats, and its spec."""

    def __init__(self, name: GameName) -> None:
        self._creator, facts = _creator_and_facts(name)
        self._name, self._arguments = name, dict(name.arguments)
        chance = take_flag(name, self._arguments, "chance", facts.chance)
        hidden_information = take_flag(
            name, self._arguments, "hidden_information", facts.hidden_information
        )
        zero_sum = take_flag(name, self._arguments, "zero_sum", facts.zero_sum)
        max_plies = take_max_plies(name, self._arguments, facts.max_plies)
        env = self.new_env()
        num_actions = _num_actions(name, env)
        refuse_window(name, getattr(env, "render_mode", None))
        self.agents: list[Any] = list(env.possible_agents)
        self.first_actions = [0] * len(self.agents)
        self.seats = {agent: seat for seat, agent in enumerate(self.agents)}
        self.claim = _claim_of_the_board(env)
        env.reset(seed=0)
        self._mask_within = _mask_within(name, env)
        shape, self._dtype = self._shape_and_dtype(env)
        check_size(name, num_actions, shape, self._dtype)
        compared = self._compared(env)
        # Those of `classic/` show the observer's own pieces first; others must name the seat.
        says_whose = (
            compared.differ() if name.target.startswith("classic/") else compared.name_the_seat()
        )
        self._views = Views(shape, self._dtype, len(self.agents), append=not says_whose)
        self.duplicates = duplicates_well(env, self.look)
        self.spec = GameSpec(
            num_players=len(self.agents),
            num_actions=num_actions,
            observation_shape=self._views.shape,
            observation_dtype=self._dtype.name,
            max_plies=max_plies,
            chance=chance,
            hidden_information=hidden_information,
            zero_sum=zero_sum,
            returns=facts.returns,
        )

    def new_env(self) -> Any:
        """A new environment without the outermost wrappers that only check actions."""
        env = _made(self._name, self._creator, self._arguments)
        while type(env) in _IDLE_WRAPPERS:
            env = env.env
        return env

    def look(self, env: Any) -> tuple[int, NDArray[Any], NDArray[np.bool_]]:
        """(seat to move, its observation in the environment's form, its legal actions [A])."""
        agent = env.agent_selection
        seat = self.seats[agent]
        return seat, *self.read(env.observe(agent), env.infos[agent], seat)

    def read(
        self, seen: Any, info: Mapping[str, Any], seat: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """(What `seat` sees, for `observation`; its legal actions [A])."""
        mask = (seen if self._mask_within else info)["action_mask"]
        return _array(seen), np.asarray(mask) != 0

    def seen_by(self, env: Any, seat: int) -> NDArray[Any]:
        """Observation of a seat in the environment's form."""
        return _array(env.observe(self.agents[seat]))

    def observation(self, seen: NDArray[Any], seat: int) -> NDArray[Any]:
        """[*observation_shape] of an observation `seen` by that seat, in an array that the next
        call for it overwrites.
        """
        np.copyto(
            self._views.own[seat],
            seen.transpose(2, 0, 1) if seen.ndim == 3 else seen,
            casting="same_kind",
        )
        return self._views.full[seat]

    def text(self, env: Any) -> str:
        """Seat to move, then the environment's own text, or else the mover's observation.

        A board of few planes is drawn with the numbers of the planes that are set.
        """
        seat, seen, _ = self.look(env)
        head = f"{self.agents[seat]} to move"
        if "ansi" in env.metadata.get("render_modes", ()):
            return f"{head}\n{rendered(env.unwrapped)}"
        if seen.ndim != 3 or seen.shape[2] > 9 or np.any((seen != 0).sum(axis=2) > 1):
            return f"{head}\n{seen}"
        numbers = ((seen != 0) * np.arange(1, seen.shape[2] + 1)).sum(axis=2)
        return "\n".join(
            [head, *("".join(".123456789"[number] for number in row) for row in numbers)]
        )

    def _shape_and_dtype(self, env: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape, planes first, and dtype of all seats' observations."""
        arrays = [self.seen_by(env, seat) for seat in range(len(self.agents))]
        shape, dtype = arrays[0].shape, arrays[0].dtype
        if (
            any(array.shape != shape or array.dtype != dtype for array in arrays)
            or not shape
            or dtype.kind not in "biuf"
        ):
            got = " and ".join(dict.fromkeys(f"{array.dtype} {array.shape}" for array in arrays))
            raise misfit(
                self._name,
                f"observations of {got}",
                "arrays of numbers, of one shape and type for all agents",
            )
        planes_first = (shape[2], shape[0], shape[1]) if len(shape) == 3 else shape
        return planes_first, np.dtype(np.float32) if dtype.kind == "f" else dtype

    def _compared(self, env: Any) -> Comparison:
        """Comparison of all agents' observations in random matches with fixed seeds."""
        rng, comparison = np.random.Generator(np.random.PCG64(0)), Comparison()
        for seed in range(_PROBES):
            env.reset(seed=seed)
            for _ in range(_MAX_PROBE_PLIES):
                comparison.add(
                    np.stack([self.seen_by(env, seat).ravel() for seat in range(len(self.agents))])
                )
                env.step(int(rng.choice(np.flatnonzero(self.look(env)[2]))))
                if any(env.terminations.values()) or any(env.truncations.values()):
                    break
        return comparison


def parallel_rules(name: GameName) -> ParallelRules | None:
    """Return the rules of a game in which agents act at the same time, None for other games."""
    creator, _ = _creator_and_facts(name)
    if name.scheme == "pettingzoo":
        target = registered_target(name)
        try:
            pettingzoo.spec("parallel", target)
        except _RegistryError:
            return None
        creator = partial(pettingzoo.make, "parallel", target)
    else:
        own = {key: value for key, value in name.arguments.items() if key not in OF_ADAPTERS}
        made = creator if isinstance(creator, type) else type(_made(name, creator, own))
        if not issubclass(made, pettingzoo.ParallelEnv):
            return None
    return ParallelRules(name, dict(name.arguments), partial(_made_by, name, creator))


def _made_by(name: GameName, creator: Callable[..., Any], **arguments: Any) -> Any:
    return _made(name, creator, arguments)


def _made(name: GameName, creator: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """A new environment; `ConfigurationError` with PettingZoo's error if it cannot be made."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of PettingZoo's own code
            return creator(**arguments)
    except Exception as error:
        got = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ConfigurationError(f"PettingZoo cannot make {name}", got=got) from None


def _creator_and_facts(name: GameName) -> tuple[Callable[..., Any], _Facts]:
    """Function that makes an environment, and the facts that are known of it. Raises
    `ConfigurationError` if there is none of that name.
    """
    if name.scheme != "pettingzoo":
        return user_code.import_named(f"{name.scheme}:{name.target}", what="game"), _UNKNOWN
    target = registered_target(name)
    try:
        found = _spec(target)
    except _RegistryError:
        known = [*pettingzoo.aec_registry, *pettingzoo.parallel_registry]
        remedy = nearest(target, known) or (
            "pettingzoo.pprint_registry() lists them; name an environment of your own "
            "my_module:MyEnv, or pettingzoo:my_module:my_env-v0 if my_module registers it"
        )
        raise ConfigurationError(
            "PettingZoo has no such game", got=repr(target), remedy=remedy
        ) from None
    facts = _KNOWN.get(f"{found.namespace}/{found.name}", _UNKNOWN)
    return partial(pettingzoo.make, "aec", target), facts


def _spec(target: str) -> Any:
    """PettingZoo's entry of either kind."""
    try:
        return pettingzoo.spec("aec", target)
    except _RegistryError:
        return pettingzoo.spec("parallel", target)


def _num_actions(name: GameName, env: Any) -> int:
    """Number of actions of each agent. Refuses other action spaces, and agents that move at the
    same time but are asked one by one.
    """
    if env.metadata.get("is_parallelizable", False):
        raise misfit(
            name,
            "agents that move at the same time",
            "one agent to move at a time",
            "offer it as a ParallelEnv",
        )
    spaces = [env.action_space(agent) for agent in env.possible_agents]
    if not all(
        isinstance(space, _Discrete) and space.start == 0 and space.n == spaces[0].n
        for space in spaces
    ):
        got = " and ".join(dict.fromkeys(map(str, spaces)))
        raise misfit(name, f"actions in {got}", "Discrete(n), the same for all agents")
    return int(spaces[0].n)


def _mask_within(name: GameName, env: Any) -> bool:
    """Return whether masks come with the observations (True) or with the infos (False)."""
    agent = env.agent_selection
    seen = env.observe(agent)
    if isinstance(seen, dict) and "action_mask" in seen:
        return True
    if "action_mask" not in env.infos[agent]:
        raise misfit(name, "no action_mask", "the legal actions, in the observation or in infos")
    return False


def _array(seen: Any) -> NDArray[Any]:
    """The observation without the mask beside it."""
    return np.asarray(seen["observation"] if isinstance(seen, dict) else seen)


def _claim_of_the_board(env: Any) -> Callable[[], None]:
    """Function to call before each move. In Go it restores the size of the board, which PettingZoo
    keeps in a module and any other game of Go overwrites.
    """
    inner = env.unwrapped
    if not hasattr(inner, "_overwrite_go_global_variables"):
        return lambda: None
    board, size = sys.modules["pettingzoo.classic.go.go_base"], inner._N

    def claim() -> None:
        if board.N != size:  # noqa: SIM300
            inner._overwrite_go_global_variables(size)

    return claim
