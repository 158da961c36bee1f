"""Commands about agents: `evaluate`, `tournament`, `play`, `plot`.

torch and the games are imported only after the command line was checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from sparring.cli.options import (
    Argument,
    Form,
    Option,
    auto_number,
    choice,
    parse_all,
    seed_number,
    switch,
    whole_number,
)
from sparring.cli.streams import print_json, progress_on_stderr
from sparring.cli.train_options import JSON
from sparring.errors import InputError
from sparring.opponents.names import MAX_LOOKAHEAD

if TYPE_CHECKING:
    from sparring.dqn.tree_search import Lookahead
    from sparring.opponents.found import FoundAgent

AGENT: Final = Argument("agent", "AGENT", "Agent file, run name, or name of a built-in game.")
RUNS_DIR: Final = Option(
    "runs_dir", "Directory that holds all runs.", "DIR", default="runs", absent="runs"
)
LOADING: Final = {
    "finding the agent": [
        RUNS_DIR,
        Option("game", "The agent's game; naming module:Class allows importing it.", "NAME"),
        Option("network", "The agent's network, if it is your own: module:factory.", "NAME"),
    ]
}
TURN: Final = "turn"


def plies_or_turn(text: str) -> int | str:
    """Reader of a number of plies, or "turn"."""
    try:
        return text if text == TURN else whole_number(text)
    except ValueError:
        raise ValueError(f"a number of plies, or {TURN}") from None


_LOOKAHEAD: Final = {
    "searching ahead": [
        Option(
            "lookahead",
            "Plies that agents search ahead, with their networks' values at the leaves; turn: the "
            "own plies up to the next throw.",
            "INT|turn",
            plies_or_turn,
            default="0; 20 with --lookahead-nodes",
        ),
        Option(
            "lookahead_nodes",
            "Positions that the search of a move may look at: it goes one ply deeper as long as "
            "they last.",
            "INT",
            whole_number,
            default="no limit",
        ),
    ]
}
SEED: Final = Option(
    "seed", "Random seed: same seed, same matches.", "INT", seed_number, default="0", absent=0
)
_WHOLE: Final = "INT"


def _port(text: str) -> int:
    value = whole_number(text)
    if not 0 <= value < 2**16:
        raise ValueError("a whole number from 0 to 65535")
    return value


EVALUATE: Final = Form(
    "Evaluate an agent: greedy matches from varied openings, solved positions, or every line of "
    "play.",
    [AGENT],
    {
        "options": [
            Option(
                "opponent",
                "random, one_ply, minimax:4 (4 plies), mcts:100 (100 playouts per move), "
                "ludo:greedy or ludo:racer; module:Class, a player of your own; agent:RUN, "
                "agent:RUN/snapshot:N or agent:FILE; may be repeated. Default: the game's standard "
                "opponents; with --positions random, one_ply and minimax:2, :4, :6, :8.",
                "NAME",
                takes="repeated",
                absent=(),
            ),
            Option(
                "matches",
                "Matches against each opponent.",
                _WHOLE,
                whole_number,
                default="1000",
            ),
            Option(
                "opening_plies",
                "Random plies at the start of a match; auto: 4, fewer in short games.",
                "INT|auto",
                auto_number,
                default="auto",
            ),
            SEED,
            JSON,
        ],
        "instead of matches": [
            Option(
                "positions",
                "File of solved Connect Four positions: shares of moves that keep the win or draw. "
                "Matches are then played only with --matches.",
                "FILE",
            ),
            Option(
                "rows",
                "Rows of that file to use: all, odd or even; the first row is odd.",
                "NAME",
                choice("all", "odd", "even"),
                default="all",
                absent="all",
            ),
            switch("exhaustive", "Try every line of play against the agent; for small games."),
        ],
        **_LOOKAHEAD,
        **LOADING,
    },
)


@contextmanager
def faults_kept(found: FoundAgent) -> Iterator[None]:
    """Keep the match in which a game or a player fails, in the agent's run if it is of one."""
    from sparring.storage.run_directory import fault_folder
    from sparring.training import faults_saved

    with faults_saved(fault_folder(found.path)):
        yield


def _ahead(given: Any) -> Lookahead:
    from sparring.dqn.tree_search import Lookahead

    plies, nodes = given.lookahead, given.lookahead_nodes
    if plies == TURN:
        if nodes is not None:
            raise InputError(
                "--lookahead-nodes", got=nodes, expected="nothing beside --lookahead turn"
            )
        return Lookahead(turn=True)
    return Lookahead((MAX_LOOKAHEAD if nodes else 0) if plies is None else plies, nodes)


def evaluate(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring evaluate`."""
    given = parse_all(EVALUATE, argv, prog=prog)
    if given.positions is None and given.rows != "all":
        raise InputError("--rows", got=given.rows, expected="--positions FILE as well")
    from sparring.opponents.found import find_agent

    found = find_agent(given.agent, given.runs_dir, game=given.game, network=given.network)
    from sparring.cli import evaluate as evaluation
    from sparring.cli import report

    with faults_kept(found):
        figures: dict[str, Any] = {"agent": str(found.path)}
        if given.exhaustive:
            figures["exhaustive"] = evaluation.search_losses(found, lookahead=_ahead(given))
        if given.positions is not None:
            figures["positions"] = evaluation.evaluate_positions(
                found,
                Path(given.positions),
                given.opponent,
                rows=given.rows,
                seed=given.seed,
                lookahead=_ahead(given),
                runs_dir=given.runs_dir,
            )
        plays = (
            not given.exhaustive or bool(given.opponent)
            if given.positions is None
            else given.matches is not None
        )
        if plays:
            figures |= evaluation.evaluate_matches(
                found,
                given.opponent,
                matches=1000 if given.matches is None else given.matches,
                seed=given.seed,
                opening_plies=given.opening_plies,
                lookahead=_ahead(given),
                runs_dir=given.runs_dir,
            )
    if given.json:
        print_json(figures)
    else:
        report.print_evaluation(figures)
    return 0


TOURNAMENT: Final = Form(
    "Round robin of agents and scripted players: ratings in Elo, from the same openings.",
    [Argument("agents", "AGENT", "Agent files or run names.", many=True)],
    {
        "options": [
            Option(
                "opponent",
                "one_ply, minimax:4, mcts:100, module:Class, agent:RUN, ...; may be repeated; "
                "random always takes part. "
                "Default: the game's standard opponents.",
                "NAME",
                takes="repeated",
                absent=(),
            ),
            switch("snapshots", "Add the snapshots in the latest checkpoint of each run."),
            Option(
                "matches",
                "Matches per pair.",
                _WHOLE,
                whole_number,
                default="200",
                absent=200,
            ),
            SEED,
            Option("picture", "Draw the payoff matrix; needs sparring[plot].", "FILE.png"),
            JSON,
        ],
        **_LOOKAHEAD,
        **LOADING,
    },
)


def tournament(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring tournament`."""
    given = parse_all(TOURNAMENT, argv, prog=prog)
    from sparring.cli import report
    from sparring.opponents.found import find_agent

    found = [
        find_agent(agent, given.runs_dir, game=given.game, network=given.network)
        for agent in given.agents
    ]
    from sparring.cli.tournament import compete

    with progress_on_stderr(given.json), faults_kept(found[0]):  # games may print
        figures = compete(
            found,
            given.opponent,
            snapshots=given.snapshots,
            matches=given.matches,
            seed=given.seed,
            picture=None if given.picture is None else Path(given.picture),
            lookahead=_ahead(given),
            runs_dir=given.runs_dir,
        )
    if given.json:
        print_json(figures)
    else:
        report.print_tournament(figures)
    return 0


_LOOPBACK: Final = "127.0.0.1"
PLAY: Final = Form(
    "Play against an agent in the terminal, or in the browser.",
    [AGENT],
    {
        "options": [
            Option(
                "opponent",
                "Player of the other seats: agent, snapshot:N of its run, a scripted player, "
                "module:Class (your own), agent:RUN (another agent).",
                "NAME",
                default="agent",
                absent="agent",
            ),
            Option(
                "seat",
                "Seat you play; the opponent plays the others.",
                _WHOLE,
                whole_number,
                default="0",
                absent=0,
            ),
            switch("values", "Show the agent's Q-values for your moves at every turn."),
            Option(
                "seed",
                "Random seed: same seed and moves, same dice.",
                _WHOLE,
                seed_number,
                default="random",
            ),
        ],
        "in the browser": [
            switch("web", "Play in the browser; needs sparring[web]."),
            Option("port", "Port of the page.", _WHOLE, _port, default="a free one", absent=0),
            Option(
                "host",
                "Address to listen on; 0.0.0.0: other devices in the network can play, too.",
                "ADDRESS",
                default=_LOOPBACK,
                absent=_LOOPBACK,
            ),
            Option(
                "browser",
                "Open the page in the browser.",
                takes="nothing",
                absent=True,
                negatable=True,
            ),
        ],
        **_LOOKAHEAD,
        **LOADING,
    },
)


def play(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring play`."""
    given = parse_all(PLAY, argv, prog=prog)
    if not given.web:
        _refuse_options_of_the_page(given)
    from sparring.opponents.found import find_agent

    found = find_agent(given.agent, given.runs_dir, game=given.game, network=given.network)
    from sparring.cli import play as playing

    settings = {
        "opponent": given.opponent,
        "seat": given.seat,
        "seed": given.seed,
        "show_values": given.values,
        "lookahead": _ahead(given),
        "runs_dir": given.runs_dir,
    }
    with faults_kept(found):
        if given.web:
            playing.play_in_browser(
                found, host=given.host, port=given.port, open_browser=given.browser, **settings
            )
        else:
            playing.play(found, **settings)
    return 0


def _refuse_options_of_the_page(given: SimpleNamespace) -> None:
    for option in PLAY.groups["in the browser"]:
        value = getattr(given, option.name)
        if value != option.absent:
            flag = option.flag if value else option.negative_flag
            raise InputError(flag, expected="--web as well")


PLOT: Final = Form(
    "Plot a run: learning curves, win rates, and a payoff matrix with ratings.",
    [Argument("run", "RUN", "Run name or run directory; it may still be training.")],
    {
        "options": [
            Option("out", "Directory for the PNG files; default: plots/ in the run.", "DIR"),
            RUNS_DIR,
            JSON,
        ]
    },
)


def plot(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring plot`."""
    given = parse_all(PLOT, argv, prog=prog)
    from sparring.storage.run_directory import find_run

    run = find_run(given.runs_dir, given.run)
    with progress_on_stderr(given.json):
        from sparring.cli import plot as plotting

        figures = plotting.plot(run, Path(given.out) if given.out else run / "plots")
    if given.json:
        print_json(figures)
    return 0
