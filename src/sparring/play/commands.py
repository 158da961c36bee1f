"""Commands that a person types during play, and their answers. A typing error never ends a match."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.policy import InferencePolicy
from sparring.errors import FileFormatError, InputError, nearest
from sparring.opponents.players import NetworkPlayer, Player
from sparring.opponents.pool import snapshot_player, stored_snapshots
from sparring.opponents.scripted import is_scripted, scripted_names, scripted_player, search_forms
from sparring.play import text
from sparring.play.match import Sitting
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

_LONGEST: Final = 100  # characters of a line that anyone would type
_FEW: Final = 40  # characters of a list of moves within a message
_OTHER_WORDS: Final = {"undo": "back", "?": "help", "exit": "quit", "q": "quit"}
_AFTER_THE_END: Final = {"": "new", "y": "new", "yes": "new", "n": "quit", "no": "quit"}
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Part:
    """Something to print: the board, plain lines, or what was wrong with the input."""

    kind: Literal["board", "lines", "wrong"]
    text: str


class Conversation:
    """Answers a person's lines, one after the other, until `left`."""

    def __init__(self, sitting: Sitting, choices: Choices, *, show_values: bool = False) -> None:
        self.left = False
        self._sitting = sitting
        self._choices = choices
        self._show_values = show_values
        self._commands: dict[str, Callable[[str], list[Part]]] = {
            "moves": self._moves, "values": self._values, "hint": self._hint, "board": self._board, "back": self._back,
            "swap": self._swap, "opponent": self._opponent, "new": self._new, "score": self._score, "help": self._help, "quit": self._quit,
        }  # fmt: skip

    @property
    def game(self) -> str:
        """See `text.game_label`."""
        return text.game_label(self._sitting)

    @property
    def prompt(self) -> str:
        """Prompt of the person."""
        if self._sitting.over:
            return "another match? (yes, no, or a command) "
        legal = self._sitting.legal
        return "your move: " if len(legal) > 1 else f"your move (Enter: {legal[0]}): "

    def begin(self) -> list[Part]:
        """The first words, and the first match."""
        sitting = self._sitting
        spec = sitting.game.spec
        said = [
            f"{spec.name} against {sitting.opponent.name}, seed {sitting.seed}; help lists what you can type."
        ]
        if spec.hidden_information:
            said.append(
                "This game has hidden information: you see what your seat sees until the match is over."
            )
        return [_lines(*said), *self._new("")]

    def answer(self, line: str) -> list[Part]:
        """Execute a line; one that is not understood changes nothing."""
        words = line.split()
        try:
            return self._do(" ".join(words))
        except (InputError, FileFormatError) as error:
            return [Part("wrong", str(error))]

    def farewell(self) -> list[Part]:
        """The last words."""
        return [_lines(*text.score(self._sitting))] if self._sitting.results else []

    def _do(self, line: str) -> list[Part]:
        sitting = self._sitting
        word, _, rest = line.partition(" ")
        word = word.casefold()
        if len(line) > _LONGEST:
            raise self._not_understood(line)
        if sitting.over:
            word = _AFTER_THE_END.get(word, word)
        elif not line:
            return self._show() if len(sitting.legal) > 1 else self._play(sitting.legal[0])
        word = _OTHER_WORDS.get(word, word)
        if word in self._commands:
            return self._commands[word](rest)
        if not sitting.over and (action := self._action(line)) is not None:
            return self._play(action)
        raise self._not_understood(line)

    def _action(self, line: str) -> int | None:
        """The legal action that is meant, by its number or by the game's words for it; None where
        the line is neither.
        """
        sitting = self._sitting
        if _NUMBER.fullmatch(line):
            if int(line) not in sitting.legal:
                raise InputError(
                    f"{line} is not a legal move here (legal: {self._expected_moves()})"
                )
            return int(line)
        words = {
            action: " ".join(text.in_words(sitting, action).split()) for action in sitting.legal
        }
        exactly = [action for action, said in words.items() if said == line]
        meant = exactly or [
            action for action, said in words.items() if said.casefold() == line.casefold()
        ]
        return meant[0] if len(meant) == 1 else None

    def _not_understood(self, line: str) -> InputError:
        got = repr(line if len(line) <= 30 else f"{line[:30]}...")
        moves = "yes, no" if self._sitting.over else f"a move ({self._expected_moves()})"
        near = nearest(line.partition(" ")[0].casefold(), self._commands)
        return InputError(
            "not understood",
            got=got,
            expected=f"{moves} or a command",
            remedy=near or "help lists the commands",
        )

    def _expected_moves(self) -> str:
        numbers = text.ranges(self._sitting.legal)
        return numbers if len(numbers) <= _FEW else "moves lists them all"

    def _play(self, action: int) -> list[Part]:
        before = len(self._sitting.plies)
        self._sitting.play(action)
        return self._told(before + 1)

    def _told(self, before: int) -> list[Part]:
        """Lines on what happened since there were `before` plies, and on the position now."""
        made = text.plies(
            self._sitting, self._sitting.plies[before:], with_values=self._show_values
        )
        return [*([_lines(*made)] if made else []), *self._show()]

    def _show(self) -> list[Part]:
        """The position, and what the person can do."""
        sitting = self._sitting
        board = Part("board", text.position(sitting))
        if sitting.over:
            return [board, _lines(*text.end(sitting))]
        return [
            board,
            _lines(
                *(
                    text.values(sitting)
                    if self._show_values
                    else text.moves(sitting, at_most=text.MANY)
                )
            ),
        ]

    def _new(self, rest: str) -> list[Part]:
        _no_more(rest, "new")
        self._sitting.begin()
        return [_lines(text.places(self._sitting)), *self._told(0)]

    def _moves(self, rest: str) -> list[Part]:
        _no_more(rest, "moves")
        self._needs_a_turn()
        return [_lines(*text.moves(self._sitting))]

    def _values(self, rest: str) -> list[Part]:
        if rest and rest not in ("on", "off"):
            raise InputError("values", got=repr(rest), expected="nothing, on or off")
        if rest:
            self._show_values = rest == "on"
        if rest == "off":
            return [_lines("Q-values are shown only on request.")]
        self._needs_a_turn()
        return [_lines(*text.values(self._sitting))]

    def _hint(self, rest: str) -> list[Part]:
        _no_more(rest, "hint")
        self._needs_a_turn()
        best = self._sitting.best()
        words = text.in_words(self._sitting, best)
        return [
            _lines(
                f"The agent would play {best}{f' ({words})' if words else ''}: {self._sitting.values()[best]:+.3f}"
            )
        ]

    def _board(self, rest: str) -> list[Part]:
        _no_more(rest, "board")
        return self._show()

    def _back(self, rest: str) -> list[Part]:
        self._sitting.take_back(_number(rest, "back", 1))
        again = " The same dice will come again." if self._sitting.game.spec.chance else ""
        return [_lines(f"Taken back.{again}"), *self._show()]

    def _swap(self, rest: str) -> list[Part]:
        sitting, before = self._sitting, len(self._sitting.plies)
        next_seat = (sitting.seat + 1) % sitting.game.spec.num_players
        over = sitting.over
        sitting.sit(_number(rest, "swap", next_seat))
        told = _lines(text.places(sitting))
        return [told] if over else [told, *self._told(before)]

    def _opponent(self, rest: str) -> list[Part]:
        if not rest:
            return [
                _lines(
                    f"You play against {self._sitting.opponent.name}. Available:",
                    *(f"  {name}" for name in self._choices.names()),
                )
            ]
        self._sitting.opponent = self._choices.player(rest)
        return [_lines(f"Your opponent is now {rest}.")]

    def _score(self, rest: str) -> list[Part]:
        _no_more(rest, "score")
        return [_lines(*text.score(self._sitting))]

    def _help(self, rest: str) -> list[Part]:
        _no_more(rest, "help")
        return [_lines(HELP)]

    def _quit(self, rest: str) -> list[Part]:
        _no_more(rest, "quit")
        self.left = True
        return []

    def _needs_a_turn(self) -> None:
        if self._sitting.over:
            raise InputError("the match is over", expected="new for another, or back")


def _lines(*lines: str) -> Part:
    return Part("lines", "\n".join(lines))


def _no_more(rest: str, word: str) -> None:
    if rest:
        raise InputError(f"{word} takes no argument", got=repr(rest), expected=word)


def _number(rest: str, word: str, default: int) -> int:
    if rest and not _NUMBER.fullmatch(rest):
        raise InputError(word, got=repr(rest), expected="nothing or a whole number")
    return int(rest) if rest else default


AGENT: Final = "agent"
_SNAPSHOT: Final = "snapshot:"


class Choices:
    """Players by name. `policy` is the agent's; `run` is the directory of the run that it comes
    from, which may be training.
    """

    def __init__(self, policy: InferencePolicy, run: Path | None) -> None:
        self._policy = policy
        self._run = run

    def names(self) -> list[str]:
        """Everyone there is now: snapshots are looked up in the newest checkpoint of the run.
        Raises `FileFormatError` if it is damaged.
        """
        return [
            AGENT,
            *self._snapshots(),
            *scripted_names(self._policy.spec.game),
            *search_forms(self._policy.spec.game),
        ]

    def player(self, name: str) -> Player:
        """The player of that name; raises `InputError` with the names that there are, or if the
        weights are of another network.
        """
        if name == AGENT:
            return NetworkPlayer(AGENT, self._policy)
        if name.startswith(_SNAPSHOT):
            snapshots = self._snapshots()
            if name in snapshots:
                return snapshot_player(name, snapshots[name], self._policy.spec, self._run)
        elif is_scripted(name, self._policy.spec.game):
            return scripted_player(name, self._policy.spec.game)
        names = self.names()
        remedy = nearest(name, names)
        if self._run is None and name.startswith(_SNAPSHOT):
            remedy = "snapshots are kept by runs, and this agent is not in the directory of one"
        raise InputError(
            "unknown opponent", got=repr(name), expected=f"one of {', '.join(names)}", remedy=remedy
        )

    def snapshots(self) -> list[Player]:
        """All snapshots in the newest checkpoint of the run, the oldest first; raises
        `FileFormatError` as `player` does.
        """
        return [
            snapshot_player(name, vector, self._policy.spec, self._run)
            for name, vector in self._snapshots().items()
        ]

    def _snapshots(self) -> dict[str, NDArray[np.float32]]:
        pool = None if self._run is None else read_newest(self._run, "opponents")
        return stored_snapshots(pool)
