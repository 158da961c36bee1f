"""Files of game faults: written, read strictly, played again."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from plain_games import Dice, Toe

from sparring.errors import FileFormatError, GameError, GameFault
from sparring.games.faults import play_again, read_fault, save_fault
from sparring.games.python.game import LoopedGame

KEY = 2**64 - 5
RECORD = {
    "game": "m:Pig",
    "key": KEY,
    "actions": [0, 2, 1],
    "during": "step",
    "cause": "KeyError: 'x'",
    "traceback": "Traceback:\n\t1\n",
}


class Crash(Dice):
    def step(self, action):
        if sum(self.fields) > 9:
            raise ValueError("\x1b[31mno\x07 such field")
        return super().step(action)


def crashed():
    """The game and the fault of the first of many matches that goes wrong."""
    game = LoopedGame("m:Crash", Crash, 1)
    for key in range(100):
        game.reset(np.zeros(1, int), np.array([key], np.uint64))
        try:
            while not (game.terminated | game.truncated).all():
                game.step(np.zeros(1, int))
        except GameFault as fault:
            return fault
    raise AssertionError


def test_a_file_holds_the_record_and_the_message(tmp_path):
    path = save_fault(tmp_path / "faults", GameFault("what went wrong", RECORD))
    assert path == tmp_path / "faults" / "1.json"
    assert read_fault(path) == {**RECORD, "message": "what went wrong"}
    assert json.loads(path.read_text())["format"] == 1
    assert save_fault(path.parent, GameFault("again", RECORD)).name == "2.json"
    path.unlink()
    (path.parent / "notes.json").write_text("")
    assert save_fault(path.parent, GameFault("and again", RECORD)).name == "3.json"
    assert pickle.loads(pickle.dumps(GameFault("as workers send it", RECORD))).record == RECORD


def test_what_would_act_on_a_terminal_is_not_kept(tmp_path):
    fault = crashed()
    kept = read_fault(save_fault(tmp_path, fault))
    assert kept["cause"] == "ValueError: ?[31mno? such field"
    assert "\x1b" not in "".join(kept[name] for name in ("message", "traceback"))
    assert kept["actions"] == fault.record["actions"]


def test_long_texts_are_cut_and_can_be_read(tmp_path):
    long = {**RECORD, "cause": "c" * 20_000, "traceback": "t" * 200_000, "game": "g" * 300}
    kept = read_fault(save_fault(tmp_path, GameFault("m" * 20_000, long)))
    assert [len(kept[name]) for name in ("cause", "traceback", "game", "message")] == [
        10_000,
        100_000,
        300,
        10_000,
    ]


GOOD = {"format": 1, "message": "m", **RECORD}
DAMAGED = [
    ("", "not JSON"),
    ("[1", "not JSON"),
    ("[" * 100_000, "not JSON"),
    (b"\xff\xfe\x00", "not JSON"),
    ("[]", "not of format 1"),
    ({**GOOD, "format": 2}, "not of format 1"),
    ({**GOOD, "more": 1}, "other fields"),
    ({name: value for name, value in GOOD.items() if name != "key"}, "other fields"),
    ({**GOOD, "key": -1}, "not integers"),
    ({**GOOD, "key": 2**64}, "not integers"),
    ({**GOOD, "key": 1.0}, "not integers"),
    ({**GOOD, "key": True}, "not integers"),
    ({**GOOD, "actions": {"0": 1}}, "not integers"),
    ({**GOOD, "actions": [0, -1]}, "not integers"),
    ({**GOOD, "actions": [2**31]}, "not integers"),
    ({**GOOD, "actions": ["0"]}, "not integers"),
    ({**GOOD, "actions": [float("nan")]}, "not integers"),
    ({**GOOD, "game": None}, "game is not printable text"),
    ({**GOOD, "during": "x" * 101}, "during is not printable text"),
    ({**GOOD, "traceback": "\x1b[2J"}, "traceback is not printable text"),
    ({**GOOD, "message": ["m"]}, "message is not printable text"),
]


@pytest.mark.parametrize(
    ("content", "why"), DAMAGED, ids=[f"{number} {why}" for number, (_, why) in enumerate(DAMAGED)]
)
def test_damaged_files_are_refused(tmp_path, content, why):
    path = tmp_path / "1.json"
    data = json.dumps(content) if isinstance(content, dict) else content
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(
        FileFormatError,
        match=rf"1\.json is not a game fault file: .*{why}.*; give a file that a run wrote",
    ) as raised:
        read_fault(path)
    assert "\n" not in str(raised.value)


def test_files_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(FileFormatError, match=r"none\.json cannot be read: No such file"):
        read_fault(tmp_path / "none.json")
    with pytest.raises(FileFormatError, match="cannot be read: Is a directory"):
        read_fault(tmp_path)


def test_a_fault_comes_again_when_its_match_is_played_again(tmp_path):
    fault = crashed()
    record = read_fault(save_fault(tmp_path, fault))
    seen = []
    with pytest.raises(GameFault) as raised:
        seen.extend(play_again(LoopedGame("m:Crash", Crash, 1), record))
    assert str(raised.value) == str(fault)
    assert raised.value.record == fault.record
    seen = []
    for position in play_again(LoopedGame("m:Mended", Dice, 1), record):
        seen.append(position)
    assert [position.plies for position in seen] == list(range(len(record["actions"]) + 1))
    assert [position.action for position in seen] == ["roll"] * len(record["actions"]) + [None]
    assert seen[0].text == f"fields [0, 0, 0], seat {seen[0].seat} to move"
    assert seen[1].text != seen[0].text


def test_a_record_that_does_not_fit_the_game_is_refused():
    record = {**RECORD, "actions": [4, 4]}
    positions = play_again(LoopedGame("m:Toe", Toe, 1), record)
    assert [next(positions).action, next(positions).action] == ["4", "4"]
    with pytest.raises(
        GameError,
        match=(
            r"^the record does not fit m:Toe: illegal action .*; its rules have changed, "
            r"or the record is another"
        ),
    ):
        next(positions)
    with pytest.raises(GameError, match="does not fit m:Toe"):
        list(play_again(LoopedGame("m:Toe", Toe, 1), {**RECORD, "actions": [0, 3, 1, 4, 2, 8]}))
    with pytest.raises(GameError, match="does not fit m:Toe"):
        list(play_again(LoopedGame("m:Toe", Toe, 1), {**RECORD, "actions": [99]}))
