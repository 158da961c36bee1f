"""Commands typed during play, and their answers. A typing error never ends a match."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.networks import FACTORIES
from sparring.dqn.policy import InferencePolicy
from sparring.dqn.tree_search import NO_LOOKAHEAD, Lookahead
from sparring.errors import FileFormatError, InputError, nearest
from sparring.games import make
from sparring.opponents.lookahead import agent_player
from sparring.opponents.names import OTHER_FORMS
from sparring.opponents.players import Player
from sparring.opponents.pool import snapshot_player, stored_snapshots
from sparring.opponents.roster import players_of
from sparring.opponents.scripted import is_scripted, scripted_names, search_forms
from sparring.opponents.user_players import is_from_outside
from sparring.play import text
from sparring.play.match import PlaySession
from sparring.storage.run_directory import read_newest

HELP: Final = """\
A NUMBER          play that move; or type the game's own words for it;
                  Enter plays the move if there is only one
moves             your legal moves
values [on|off]   the agent's Q-values for your moves; on: at every turn
hint              the move that the agent would play
board             show the position again
back [N]          take back your last move, or your last N
swap [SEAT]       change seats
opponent [NAME]   change the opponent; without a name: list them
new               start a new match (the current one is discarded)
score             your results so far
help              this
quit              leave; so do Ctrl-D and Ctrl-C"""

_MAX_INPUT: Final = 100  # characters of a line
_MAX_LIST: Final = 40  # characters of a list of moves within a message
_SYNONYMS: Final = {"undo": "back", "?": "help", "exit": "quit", "q": "quit"}
_AFTER_THE_END: Final = {"": "new", "y": "new", "yes": "new", "n": "quit", "no": "quit"}
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Part:
    """A part of an answer: the board, plain lines, or an error."""

    kind: Literal["board", "lines", "wrong"]
    text: str


class Conversation:
    """Answers to a person's lines, one after the other, until `left`."""

    def __init__(
        self, session: PlaySession, choices: OpponentChoices, *, show_values: bool = False
    ) -> None:
        self.left = False
        self._session = session
        self._choices = choices
        self._show_values = show_values
        self._commands: dict[str, Callable[[str], list[Part]]] = {
            "moves": self._moves,
            "values": self._values,
            "hint": self._hint,
            "board": self._board,
            "back": self._back,
            "swap": self._swap,
            "opponent": self._opponent,
            "new": self._new,
            "score": self._score,
            "help": self._help,
            "quit": self._quit,
        }

    @property
    def game(self) -> str:
        """Canonical name of the game."""
        return self._session.game.spec.name

    @property
    def prompt(self) -> str:
        """The text before the person's input."""
        if self._session.over:
            return "another match? (yes, no, or a command) "
        legal = self._session.legal
        return "your move: " if len(legal) > 1 else f"your move (Enter: {legal[0]}): "

    def begin(self) -> list[Part]:
        """Begin the first match."""
        session = self._session
        spec = session.game.spec
        against = f" against {session.opponent.name}" if spec.num_players > 1 else ""
        lines = [f"{spec.name}{against}, seed {session.seed}; type help for the commands."]
        if spec.hidden_information:
            lines.append(
                "This game has hidden information: "
                "you see only your seat's view until the match is over."
            )
        return [_lines(*lines), *self._new("")]

    def answer(self, line: str) -> list[Part]:
        """Execute a line; an invalid one changes nothing."""
        words = line.split()
        try:
            return self._do(" ".join(words))
        except (InputError, FileFormatError) as error:
            return [Part("wrong", str(error))]

    def farewell(self) -> list[Part]:
        """The results, on leaving."""
        return [_lines(*text.score(self._session))] if self._session.results else []

    def _do(self, line: str) -> list[Part]:
        session = self._session
        word, _, rest = line.partition(" ")
        word = word.casefold()
        if len(line) > _MAX_INPUT:
            raise self._not_understood(line)
        if session.over:
            word = _AFTER_THE_END.get(word, word)
        elif not line:
            return self._show() if len(session.legal) > 1 else self._play(session.legal[0])
        word = _SYNONYMS.get(word, word)
        if word in self._commands:
            return self._commands[word](rest)
        if not session.over and (action := self._action(line)) is not None:
            return self._play(action)
        raise self._not_understood(line)

    def _action(self, line: str) -> int | None:
        """The legal action that the line names by its number or its text in the game; None if it
        does neither.
        """
        session = self._session
        if _NUMBER.fullmatch(line):
            if int(line) not in session.legal:
                raise InputError(f"{line} is not a legal move here ({self._legal_moves()})")
            return int(line)
        texts = {a: " ".join(text.in_words(session, a).split()) for a in session.legal}
        exact = [action for action, name in texts.items() if name == line]
        folded = [action for action, name in texts.items() if name.casefold() == line.casefold()]
        matching = exact or folded
        return matching[0] if len(matching) == 1 else None

    def _not_understood(self, line: str) -> InputError:
        got = repr(line if len(line) <= 30 else f"{line[:30]}...")
        moves = "yes, no" if self._session.over else f"a move ({self._legal_moves()})"
        near = nearest(line.partition(" ")[0].casefold(), self._commands)
        return InputError(
            "not understood",
            got=got,
            expected=f"{moves} or a command",
            remedy=near or "type help for the commands",
        )

    def _legal_moves(self) -> str:
        numbers = text.ranges(self._session.legal)
        return f"legal: {numbers}" if len(numbers) <= _MAX_LIST else "type moves for the list"

    def _play(self, action: int) -> list[Part]:
        before = len(self._session.plies)
        self._session.play(action)
        return self._changes(before + 1)

    def _changes(self, before: int) -> list[Part]:
        """The plies from number `before` on, and the position now."""
        made = text.plies(
            self._session, self._session.plies[before:], with_values=self._show_values
        )
        return [*([_lines(*made)] if made else []), *self._show()]

    def _show(self) -> list[Part]:
        """The position, and the legal moves or the result."""
        session = self._session
        if session.over:
            lines = text.end(session)
        elif self._show_values:
            lines = text.values(session)
        else:
            lines = text.moves(session, limit=text.MANY)
        return [Part("board", text.position(session)), _lines(*lines)]

    def _new(self, rest: str) -> list[Part]:
        _no_more(rest, "new")
        self._session.begin()
        return [_lines(text.places(self._session)), *self._changes(0)]

    def _moves(self, rest: str) -> list[Part]:
        _no_more(rest, "moves")
        self._needs_a_turn()
        return [_lines(*text.moves(self._session))]

    def _values(self, rest: str) -> list[Part]:
        if rest and rest not in ("on", "off"):
            raise InputError("values", got=repr(rest), expected="nothing, on or off")
        if rest:
            self._show_values = rest == "on"
        if rest == "off":
            return [_lines("Q-values are shown only on request.")]
        self._needs_a_turn()
        return [_lines(*text.values(self._session))]

    def _hint(self, rest: str) -> list[Part]:
        _no_more(rest, "hint")
        self._needs_a_turn()
        best = self._session.best()
        words = text.in_words(self._session, best)
        move = f"{best} ({words})" if words else str(best)
        return [_lines(f"The agent would play {move}: {self._session.values()[best]:+.3f}")]

    def _board(self, rest: str) -> list[Part]:
        _no_more(rest, "board")
        return self._show()

    def _back(self, rest: str) -> list[Part]:
        self._session.take_back(_number(rest, "back", 1))
        again = " The same dice will come again." if self._session.game.spec.chance else ""
        return [_lines(f"Taken back.{again}"), *self._show()]

    def _swap(self, rest: str) -> list[Part]:
        session, before = self._session, len(self._session.plies)
        next_seat = (session.seat + 1) % session.game.spec.num_players
        over = session.over
        session.change_seat(_number(rest, "swap", next_seat))
        seats = _lines(text.places(session))
        return [seats] if over else [seats, *self._changes(before)]

    def _opponent(self, rest: str) -> list[Part]:
        if self._session.game.spec.num_players == 1:
            raise InputError("this game has one player: there is no opponent")
        if not rest:
            return [
                _lines(
                    f"You play against {self._session.opponent.name}. Available:",
                    *(f"  {name}" for name in self._choices.names()),
                )
            ]
        self._session.opponent = self._choices.player(rest)
        return [_lines(f"Your opponent is now {rest}.")]

    def _score(self, rest: str) -> list[Part]:
        _no_more(rest, "score")
        return [_lines(*text.score(self._session))]

    def _help(self, rest: str) -> list[Part]:
        _no_more(rest, "help")
        return [_lines(HELP)]

    def _quit(self, rest: str) -> list[Part]:
        _no_more(rest, "quit")
        self.left = True
        return []

    def _needs_a_turn(self) -> None:
        if self._session.over:
            raise InputError("the match is over; type new for another, or back")


def _lines(*lines: str) -> Part:
    return Part("lines", "\n".join(lines))


def _no_more(rest: str, word: str) -> None:
    if rest:
        raise InputError(f"{word} takes no argument", got=repr(rest))


def _number(rest: str, word: str, default: int) -> int:
    if rest and not _NUMBER.fullmatch(rest):
        raise InputError(word, got=repr(rest), expected="nothing or a whole number")
    return int(rest) if rest else default


AGENT: Final = "agent"
_SNAPSHOT: Final = "snapshot:"


class OpponentChoices:
    """Opponents by name. `policy` is the agent's; `run` is the directory of its run, which may
    still be training; the agent looks ahead so far; `runs_dir` has the runs of other agents.
    """

    def __init__(
        self,
        policy: InferencePolicy,
        run: Path | None,
        *,
        lookahead: Lookahead = NO_LOOKAHEAD,
        runs_dir: str = "runs",
    ) -> None:
        self._policy = policy
        self._agent = agent_player(AGENT, policy, lookahead=lookahead)
        self._run = run
        self._runs_dir = runs_dir

    def names(self) -> list[str]:
        """All names, with the snapshots in the newest checkpoint of the run. Raises
        `FileFormatError` if that is damaged.
        """
        return [
            AGENT,
            *self._snapshots(),
            *scripted_names(self._policy.spec.game),
            *search_forms(self._policy.spec.game),
            *OTHER_FORMS,
        ]

    def history(self) -> list[str]:
        """Names of the agent at its ages: the snapshots, the oldest first, then the agent. Raises
        `FileFormatError` if the newest checkpoint is damaged.
        """
        return [*self._snapshots(), AGENT]

    def player(self, name: str) -> Player:
        """The player of that name; raises `InputError` for an unknown name, `FileFormatError` for
        weights of another network.
        """
        if name == AGENT:
            return self._agent
        if name.startswith(_SNAPSHOT):
            snapshots = self._snapshots()
            if name in snapshots:
                return snapshot_player(name, snapshots[name], self._policy.spec, self._run)
        elif is_scripted(name, self._policy.spec.game) or is_from_outside(name):
            [player] = self._made(name).values()
            return player
        names = self.names()
        remedy = nearest(name, names)
        if self._run is None and name.startswith(_SNAPSHOT):
            remedy = "only agents in a run directory have snapshots"
        raise InputError(
            "unknown opponent", got=repr(name), expected=f"one of {', '.join(names)}", remedy=remedy
        )

    def snapshots(self) -> list[Player]:
        """All snapshots in the newest checkpoint of the run, the oldest first. Raises
        `FileFormatError` if that is damaged.
        """
        return [
            snapshot_player(name, vector, self._policy.spec, self._run)
            for name, vector in self._snapshots().items()
        ]

    def _made(self, name: str) -> dict[str, Player]:
        spec = self._policy.spec
        factory = spec.network.factory
        return players_of(
            [name],
            spec.game_spec,
            partial(make, spec.game),
            runs_dir=self._runs_dir,
            network=None if factory in FACTORIES else factory,
        )

    def _snapshots(self) -> dict[str, NDArray[np.float32]]:
        pool = None if self._run is None else read_newest(self._run, "opponents")
        return stored_snapshots(pool)
