"""Bad input gets one clear line on standard error and exit status 2, and nothing is written."""

from __future__ import annotations

import os
import random
import re
import sys
from pathlib import Path

import pytest

from sparring.cli import main
from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import GameFault
from sparring.games.faults import save_fault

CONFIG = "misspelt.toml"
AGENT = "tic_tac_toe.safetensors"
NOISE = "noise.safetensors"
CUT = "cut.safetensors"
FAULT = "faults/1.json"
PIPE = "pipe"
NOTHING = "(nothing)"
MODULES = {
    "leaves": b"import sys\nsys.exit(3)\n",
    "unfinished": b"class Game(:\n",
    "needs": b"import nowhere_at_all\n",
    "raises": b"raise RuntimeError('two\\nlines')\n",
    "encoded": b"x = '\xff'\n",
    "lacking": b"""
from sparring.games import GameSpec

class NoReset:
    spec = GameSpec(
        num_players=2, num_actions=2, observation_shape=(1,), observation_dtype="int8", max_plies=9
    )
    seat = 0
    def mask(self): return [True, True]
    def observe(self, seat): return [0]
    def step(self, action): return None, True

class NotMade(NoReset):
    def __init__(self): raise ValueError("no board")
""",
}


# A command line, and below it what the error has to contain: what, got, expected or remedy.
CASES = f"""
train conect_four
    unknown game | conect_four | backgammon, connect_four, ludo, othello, | or module | did you mean
train conect_four --preset quick
    game | 'conect_four' | backgammon, connect_four, ludo, othello, | did you mean 'connect_four'
train --preset quik
    unknown preset | 'quik' | did you mean 'quick'
train ludo --num-players 5
    num_players of ludo | got 5 | expected 2 or 3 or 4
train connect_four --num-players 3
    num_players | got 3 | expected 2 | leave it out
train ludo(4)
    the arguments of a game | 'ludo(4)' | name=value
train no_such_module:Game
    no such module | 'no_such_module' | current directory
train json:Game
    json has no such game | 'Game'
train wrong_modules.leaves:Game
    module wrong_modules.leaves cannot be imported | SystemExit: 3 (leaves.py, line 2) | correct it
train wrong_modules.unfinished:Game
    cannot be imported | SyntaxError | (unfinished.py, line 1)
train wrong_modules.needs:Game
    cannot be imported | No module named 'nowhere_at_all' (needs.py, line 1)
train wrong_modules.raises:Game
    cannot be imported | RuntimeError: two lines (raises.py, line 1)
train compiled:wrong_modules.raises
    cannot be imported | RuntimeError: two lines (raises.py, line 1)
train wrong_modules.encoded:Game
    cannot be imported | SyntaxError
train --policy-kwargs.network wrong_modules.raises:network
    cannot be imported | RuntimeError: two lines (raises.py, line 1)
train wrong_modules.lacking:NoReset
    NoReset is not a game | no method reset | reset, mask, observe, step | def reset(self, rng)
train wrong_modules.lacking:NotMade
    cannot be made | ValueError: no board (lacking.py, line
train wrong_modules.lacking:NoReset(size=__import__('os'))
    the arguments of a game | a value of size | no quotes inside
train wrong_modules.lacking:NoReset(size=)
    the arguments of a game | a value of size that is not empty
train builtins:dict
    builtins:dict has no GameSpec
train sparring:train_dqn
    sparring:train_dqn is not a game | a part of Sparring | see sparring games
evaluate {AGENT} --opponent sparring:train_dqn
    sparring:train_dqn is not a player | a part of Sparring
train sparring.games.tic_tac_toe:start
    is not a game | a part of Sparring
train compiled:json
    json is not a game | SPEC | play
train chess:
    invalid game name | 'chess:' | see sparring games
train connect_four --opponents self=1 ludo:greedy=1
    unknown opponent | ludo:greedy | random, one_ply
train --num-workers 0
    num_workers | got 0 | at least 1
train --batch-size 300 --buffer-size 200 --learning-starts 100
    batch_size | got 300 | at most 200 | raise buffer_size
train --learning-rate nan
    learning_rate | got nan | a finite number
train --learning-rate inf
    learning_rate | got inf | a finite number
train --learning-rate -0.001
    learning_rate | got -0.001 | more than 0
train --gamma nan
    gamma | got nan | a finite number
train --exploration-final-eps -0.1
    exploration_final_eps | got -0.1 | at least 0
train --n-episodes -5
    n_episodes | got -5 | at least 1
train --max-minutes 0
    max_minutes | got 0 | more than 0
train --max-minutes soon
    max_minutes | got 'soon' | a number
train --max-minutes 5 --n-episodes 10
    two lengths | got n_episodes 10 and max_minutes 5 | one of them
train --stop-at-score high
    stop_at_score | got 'high' | a number
train --evaluate-with score
    evaluate_with | got 'score' | module:function
train --evaluate-with no_such_module:score
    no such module | 'no_such_module' | current directory
train --n-episodes many
    n_episodes | got 'many' | a whole number
train --device cuda:99
    device | cuda:99
train --buffer-size 100000000000000
    not enough memory | got | GiB of replay | expected at most | lower buffer_size
train --max-snapshots 1000000000
    not enough memory | GiB for workers and snapshots | max_snapshots
train tic_tac_toe --num-envs-per-worker 1e9
    not enough memory | GiB for matches in progress | lower num_envs_per_worker
train tic_tac_toe --policy-kwargs.net-arch 65536 65536 65536 65536 65536 65536 65536 65536
    not enough memory | GiB of networks | choose a smaller network (policy_kwargs)
train tic_tac_toe --policy-kwargs.net-arch 64 1000000000
    policy_kwargs.net_arch[1] | got 1000000000 | at most 65536
train tic_tac_toe --policy-kwargs.atoms 1e12
    policy_kwargs.atoms | got 1000000000000 | at most 65536
train tic_tac_toe --eval-matches 1e12
    eval_matches | got 1000000000000 | at most 10000000
train tic_tac_toe --n-episodes 1e300
    n_episodes | got 1000 | at most 1000000000000000
train --devices cpu
    devices | got 'cpu' | cpu:2, cpu:3, ..., or several GPUs as in cuda:0,cuda:1
train --preset none --devices cuda:0,cuda:99
    device | got cuda: | on this machine
train --devices cpu:3 --batch-size 64
    batch_size cannot be shared out over the 3 devices | got 64 | a multiple of 3
train --devices cpu:2 --buffer-size 400001
    buffer_size cannot be shared out over the 2 devices | got 400001 | a multiple of 2
train --devices cpu:2 --learning-starts 1
    learning_starts | got 1 | at least 2
train --device gpu
    device | got 'gpu' | auto, cpu, cuda
train --num-worker 3
    unknown option | --num-worker | did you mean '--num-workers'
train --seed 1 --seed 2
    more than once | --seed
train --name ../elsewhere
    name | '../elsewhere' | letters, digits
train --opponents selv=1
    unknown opponent | selv | did you mean 'self'
train --opponents snapshot=1
    unknown opponent | snapshot | did you mean 'snapshots'
train --opponents self=0 random=0
    shares of opponents | a positive total
train --opponents self=-1
    opponents.self | got -1 | at least 0
train tic_tac_toe --opponents self=1 no_such_bots:Greedy=1
    no such module for the player no_such_bots:Greedy | 'no_such_bots' | current directory
train tic_tac_toe --opponents own_players:Lasst=1
    own_players has no such player | 'Lasst' | did you mean 'Last'
train tic_tac_toe --opponents own_players:Nothing=1
    own_players:Nothing cannot play | without act, act_batch and choose | act(observation, mask)
train tic_tac_toe --opponents own_players:Middle=1
    own_players:Middle cannot play tic_tac_toe | got choose(match) | not a plain Python class
train tic_tac_toe --opponents self=1 own_players:Silent=1
    own_players:Silent breaks the contract | (own_players.py, line | got NoneType None
train tic_tac_toe --opponents own_players:Favourite(cell=3)=1
    the arguments of own_players:Favourite | unexpected keyword
train tic_tac_toe --opponents own_players:Last=1 own_players:Last()=1
    opponents | each opponent once
train tic_tac_toe --opponents agent:nowhere=1
    no such agent | 'nowhere' | an agent file, a run in runs, or one of backgammon
train tic_tac_toe --opponents agent:21=1
    opponent agent | 'agent:21' | agent:1 to agent:20 | a run of that name is agent:runs/21
train ludo --num-players 3 --opponents self=1 agent:2=1
    agent:2 cannot search in ludo(num_players=3) | got 3 players
train plain_games:Toe --opponents self=1 agent:2=1
    lookahead in plain_games:Toe | got a game in Python, expected compiled rules
train tic_tac_toe --inference server --opponents self=1 agent:2=1
    inference=server with opponent agent:2 | leave inference out
evaluate {AGENT} --opponent agent:2
    opponent agent:2 | the agent in training | --lookahead 2 | agent:runs/2
train tic_tac_toe --opponents agent:=1
    opponent agent: | no agent | agent:RUN or agent:FILE
train tic_tac_toe --opponents agent:{NOISE}=1
    {NOISE} | damaged
train --opponents self=1 agent:{AGENT}=1
    {AGENT} | another game | 'tic_tac_toe' | connect_four
train tic_tac_toe --opponents agent:{AGENT}/snapshot:3=1
    no such snapshot | 'snapshot:3' | (none yet)
train --config {CONFIG}
    unknown setting in {CONFIG} | 'learning_rat' | did you mean 'learning_rate'
train --config absent.toml
    absent.toml | No such file
train --config {PIPE}
    {PIPE} cannot be read | a pipe that nothing writes to
replay {PIPE}
    {PIPE} is not a game fault file
train --name connect_four-1
    connect_four-1 | already | resume
evaluate {AGENT} --game connect_four
    {AGENT} | another game | tic_tac_toe | connect_four
evaluate {NOISE}
    {NOISE} | damaged
evaluate {CUT}
    {CUT} | damaged
evaluate {AGENT} --opponent rndom
    unknown opponent | rndom | did you mean 'random'
evaluate {AGENT} --opponent own_players:Raising
    player own_players:Raising raised LookupError in act (own_players.py, line | no idea
evaluate {AGENT} --opponent agent:connect_four-1
    no agent in runs/connect_four-1 yet
tournament {AGENT} --opponent own_players:Fractional
    own_players:Fractional | got float 4.0 | an int in every case
tournament {AGENT} --opponent agent:{CUT}
    {CUT} | damaged
play {AGENT} --opponent own_players:TooFar
    own_players:TooFar | got action 9 | one that the mask allows
play {AGENT} --opponent agent:nowhere
    no such agent | 'nowhere'
evaluate {AGENT} --matches 0
    matches | got 0 | at least 1
evaluate {AGENT} --opening-plies -1
    opening_plies | got -1 | at least 0
evaluate {AGENT} --opening-plies 1e12
    opening_plies | got 1000000000000 | at most 9
evaluate {AGENT} --matches 1e12
    matches | got 1000000000000 | at most 10,000,000
evaluate {AGENT} --matches 1e400
    --matches | got '1e400' | a whole number
tournament {AGENT} --matches 1e12
    matches | got 1000000000000 | at most 10,000,000
evaluate {AGENT} --seed -1
    --seed | got '-1' | a whole number from 0
evaluate {AGENT} --seed 1e30
    --seed | got '1e30' | a whole number from 0
export {AGENT}
    sparring export | got neither --onnx nor --hub | one of --onnx and --hub FOLDER
export {AGENT} --onnx --hub card
    got --onnx and --hub
export {AGENT} --onnx --push me/agent
    --push | --hub FOLDER as well
export {AGENT} --hub card --out graph.onnx
    --out | --onnx as well
export {AGENT} --hub card --output graph.onnx
    unknown option | did you mean '--out'
export {AGENT} --onnx --out {AGENT}
    --out | got {AGENT} | another file than the agent's
export {AGENT} --hub card --push me/agent/x
    --push | got 'me/agent/x' | me/agent
export {AGENT} --hub {CONFIG}
    {CONFIG} is already there | another folder
export {AGENT} --hub card --results {NOISE}
    {NOISE} is not what `sparring evaluate --json` prints
export {AGENT} --hub card --results absent.json
    absent.json cannot be read | No such file
export {AGENT} --hub card --results {FAULT}
    {FAULT} is not what `sparring evaluate --json` prints
export {AGENT} --hub card --results {FAULT} --matches 9
    --matches with --results | one of them
export {AGENT} --hub card --matches 0
    matches | got 0 | at least 1
export {NOISE} --hub card
    {NOISE} | damaged
export connect_four-2 --onnx
    no such agent | 'connect_four-2' | did you mean 'connect_four-1'
export
    missing argument AGENT
play {AGENT} --seed -1
    --seed | got '-1' | a whole number from 0
play {AGENT} --port 8000
    --port | --web as well
play {AGENT} --no-browser
    --no-browser | --web as well
play {AGENT} --web --port 70000
    --port | got '70000' | from 0 to 65535
play {AGENT} --seat 1e30
    seat | got
evaluate {AGENT} --matches x
    --matches | got 'x' | a whole number
evaluate {AGENT} --opponnent random
    unknown option | did you mean '--opponent'
evaluate connect_four-2
    no such agent | 'connect_four-2' | did you mean 'connect_four-1'
evaluate connect_four-1
    no agent | connect_four-1
evaluate
    missing argument AGENT (agent file, run name, or name of a built-in game)
resume connect_four-2
    no run | connect_four-2 | connect_four-1
resume connect_four-1 --batch-size 3
    resume cannot change --batch-size | sparring resume --help-all | sparring train
resume connect_four-1 --init-from {AGENT}
    resume cannot change --init-from | sparring resume --help-all | sparring train
resume connect_four-1 --lr 1
    unknown option
resume {AGENT}
    resume needs a run | {AGENT} | no optimizer state
resume
    missing argument RUN
plot connect_four-2
    no run | connect_four-2 | did you mean 'connect_four-1'
plot connect_four-1
    no metrics | metrics.jsonl | No such file | train first
plot connect_four-1 --ot x
    unknown option | --ot | did you mean '--out'
plot
    missing argument RUN
watch connect_four-2
    no run | connect_four-2 | did you mean 'connect_four-1'
watch connect_four-1
    config.toml cannot be read | No such file
watch
    missing argument RUN
replay absent.json
    absent.json cannot be read | No such file
replay {NOISE}
    {NOISE} is not a game fault file | not JSON | faults
replay {FAULT}
    {FAULT} | does not come with Sparring | got pig:Pig | sparring replay {FAULT} --game pig:Pig
replay {FAULT} --game pig:Pig
    no such module | 'pig'
replay {FAULT} --gaem pig:Pig
    unknown option | did you mean '--game'
replay
    missing argument FILE
check-game tictactoe
    unknown game | tictactoe | did you mean
trian connect_four
    unknown command | 'trian' | did you mean 'train'
{NOTHING}
    no command | train, doctor, resume, population, sweep, evaluate, tournament, distill, export,
"""


def cases() -> list[tuple[str, list[str]]]:
    """Command lines of `CASES` with the words of their errors."""
    parts = [case.partition("\n") for case in re.split(r"\n(?! )", CASES.strip())]
    return [(command, [word.strip() for word in words.split("|")]) for command, _, words in parts]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with files that some command lines name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "wrong_modules").mkdir()
    for name, text in MODULES.items():
        (tmp_path / "wrong_modules" / f"{name}.py").write_bytes(text)
    os.mkfifo(tmp_path / PIPE)
    (tmp_path / CONFIG).write_text("batch_size = 32\nlearning_rat = 0.1\n")
    DQNAgent(PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [8]}))).save(
        tmp_path / AGENT
    )
    (tmp_path / NOISE).write_bytes(random.Random(0).randbytes(5000))
    (tmp_path / CUT).write_bytes((tmp_path / AGENT).read_bytes()[:-7])
    record = {
        "game": "pig:Pig",
        "key": 1,
        "actions": [0],
        "during": "step",
        "cause": "KeyError: 6",
        "traceback": "",
    }
    save_fault(Path("faults"), GameFault("game pig:Pig raised KeyError", record))
    (tmp_path / "runs" / "connect_four-1" / "checkpoints").mkdir(parents=True)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize(("command", "words"), cases())
def test_bad_input_is_one_line_with_exit_status_2_and_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, words: list[str]
) -> None:
    before = contents(folder)
    status = main([] if command == NOTHING else command.split())
    said = capsys.readouterr()
    assert status == 2, said.err
    assert said.out == ""
    assert said.err.startswith("sparring: ")
    assert said.err.count("\n") == 1
    assert said.err.endswith("\n")
    for word in words:
        assert word in said.err
    assert contents(folder) == before
