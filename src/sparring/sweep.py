"""A sweep: trainings with settings drawn by optuna (tree-structured Parzen estimators, Bergstra et
al. 2011), each scored by its last evaluation, and pruned when it falls behind the median.

`NAME/` holds the runs of the trials, `sweep.log`, which any number of processes may share
(`JournalStorage`), and `best.toml`, the configuration of the best trial.
"""

from __future__ import annotations

import math
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO, Any, Final

from sparring.config.schema import TrainConfig
from sparring.config.sources import build_config, to_toml
from sparring.errors import InputError, NumericalError, OutOfMemory
from sparring.storage.atomic import write_file
from sparring.storage.locks import lock
from sparring.training import TrainResult, check_settings, train
from sparring.training.callbacks import EvaluationEvent

try:
    import optuna
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )
    from optuna.pruners import BasePruner
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import FrozenTrial, Trial, TrialState
except ModuleNotFoundError:
    raise InputError("sweep needs optuna: pip install 'sparring[sweep]'") from None

SPACE: Final = (
    "learning_rate=1e-4..1e-2:log",
    "n_steps=1..5",
    "batch_size=128,256,512",
    "exploration_final_eps=0.02..0.3",
)
SPACE_OF_TABLES: Final = (
    "learning_rate=0.005..0.1:log",
    "td_lambda=0.3..0.95",
    "exploration_final_eps=0.02..0.2",
)
WIDTH: Final = {
    "mlp": "policy_kwargs.net_arch=64x64,128x128,256x256",
    "patches": "policy_kwargs.net_arch=128x128,256x256,512x256",
    "resnet": "policy_kwargs.channels=16,32,64",
}
FORM: Final = "NAME=LOW..HIGH, NAME=LOW..HIGH:log or NAME=A,B,..."
_NOT_SEARCHED: Final = ("game", "name", "runs_dir", "seed", "n_episodes", "max_minutes")
_NETWORK: Final = "policy_kwargs."
_LOG: Final = "sweep.log"
_STARTUP_TRIALS: Final = 4  # before any is pruned
_STEPS: Final = 1_000_000  # of a whole run: optuna's steps are integers
_ERROR: Final = "error"  # attribute of a trial that failed
_INTERRUPTED: Final = "interrupted"  # attribute of trials that do not count

Space = Mapping[str, BaseDistribution]


@dataclass(frozen=True)
class TrialResult:
    """One trial: `score` is its last evaluation, None if it failed before; `state` says how it
    ended, `error` why it failed.
    """

    number: int
    state: str  # complete, pruned, failed
    score: float | None
    settings: Mapping[str, Any]
    error: str = ""


@dataclass(frozen=True)
class SweepResult:
    """All trials of a sweep so far, those of other processes too, best first."""

    path: Path
    trials: Sequence[TrialResult]
    signal: int  # that stopped it, 0 if none did


def space_of(texts: Sequence[str]) -> Space:
    """The distributions that `NAME=...` texts describe. Raises `InputError` for others, and for a
    setting that comes twice or by which trials cannot be compared.
    """
    space: dict[str, BaseDistribution] = {}
    for text in texts:
        name, _, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if name in space or name in _NOT_SEARCHED:
            expected = "each setting once" if name in space else "a setting of how it learns"
            raise InputError("--space", got=repr(text), expected=expected)
        try:
            space[name] = _distribution(values.strip())
        except ValueError:
            raise InputError("--space", got=repr(text), expected=FORM) from None
    return space


def _distribution(text: str) -> BaseDistribution:
    first, dots, rest = text.partition("..")
    if dots:
        low, log = _number(first), rest.endswith(":log")
        high = _number(rest.removesuffix(":log"))
        if not low < high or (log and low <= 0):
            raise ValueError
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=log)
        return FloatDistribution(low, high, log=log)
    choices = [_choice(part.strip()) for part in text.split(",")]
    if len(choices) < 2:
        raise ValueError
    return CategoricalDistribution(choices)


def _number(text: str) -> int | float:
    number = int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _choice(text: str) -> int | float | str:
    if not text:
        raise ValueError
    try:
        return _number(text)
    except ValueError:
        return text


def default_space(config: TrainConfig) -> Sequence[str]:
    """The space for the network of `config`."""
    network = config.policy_kwargs.network
    space = [*(SPACE_OF_TABLES if network == "ntuples" else SPACE)]
    if config.learning_steps_per_batch == "adaptive":  # it has no effect otherwise
        space.append("samples_per_insert=0.5..8:log")
    if network in WIDTH:
        space.append(WIDTH[network])
    return space


def sweep(config: TrainConfig, space: Space, *, trials: int, name: str) -> SweepResult:
    """Train until the sweep has `trials` trials that ended, in this process and in others; each is
    printed.

    `config`: settings of all trials. Settings that are fine alone may exclude each other; such a
    trial fails. Raises `InputError` if the sweep of this name has another space or game, or a
    setting of the space cannot take its limits, and what `train` raises for `config`.
    """
    for _ in _corners(config, space):
        pass
    check_settings(config)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = Path(config.runs_dir) / name
    study = _study(path, name, config, space)
    signal = 0
    while not signal and len(_ended(study)) < trials:
        # another seed for each trial, or processes and resumed sweeps would draw the same
        study.sampler = optuna.samplers.TPESampler(seed=config.seed + len(study.trials))
        trial = study.ask(dict(space))
        signal = _run(study, trial, config, path)
        if not signal:
            print(listed(_result(study.trials[trial.number])), flush=True)
    ended = sorted(map(_result, _ended(study)), key=_rank)
    if ended and ended[0].score is not None:
        best = _with(config, ended[0].settings, name=None)
        write_file(path / "best.toml", to_toml(best).encode())
    return SweepResult(path, ended, signal)


def listed(trial: TrialResult) -> str:
    """A trial in lines of 80 columns."""
    score = "" if trial.score is None else f"{trial.score:.3f} "
    settings = trial.settings.items()
    shown = {key: f"{v:.3g}" if isinstance(v, float) else str(v) for key, v in settings}
    words = " ".join(f"{name}={value}" for name, value in shown.items())
    head = f"trial {trial.number}: {score}{trial.state}"
    return textwrap.fill(f"{head:27} {words} {trial.error}", 80, subsequent_indent=28 * " ")


def _corners(config: TrainConfig, space: Space) -> Iterator[TrainConfig]:
    """Configurations with the limits and the choices of each setting alone."""
    for name, values in space.items():
        if isinstance(values, CategoricalDistribution):
            tried: Sequence[Any] = values.choices
        else:
            assert isinstance(values, IntDistribution | FloatDistribution)
            tried = values.low, values.high
        for value in tried:
            yield _with(config, {name: value})


def _with(config: TrainConfig, settings: Mapping[str, Any], **more: Any) -> TrainConfig:
    """`config` with other settings, checked as those of a command line are."""
    values = config.model_dump()
    values["policy_kwargs"] = config.policy_kwargs.in_use()
    if config.max_minutes is not None:
        values.pop("n_episodes")
    for name, value in settings.items():
        value = [int(units) for units in value.split("x")] if _is_layers(value) else value
        if name.startswith(_NETWORK):
            values["policy_kwargs"][name.removeprefix(_NETWORK)] = value
        else:
            values[name] = value
    return build_config(overrides={**values, **more})


def _is_layers(value: Any) -> bool:
    """Return whether a choice stands for layers: `64x32`."""
    return isinstance(value, str) and re.fullmatch(r"\d+(x\d+)+", value) is not None


def _study(path: Path, name: str, config: TrainConfig, space: Space) -> optuna.Study:
    """The study in `path`, a new one if there is none."""
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()) and not (path / _LOG).exists():
        raise InputError(
            f"there is already a directory {path}, which is no sweep",
            remedy="choose another --name",
        )
    study = optuna.create_study(
        storage=_storage(path / _LOG),
        study_name=name,
        direction="maximize",
        pruner=_Pruner(),
        load_if_exists=True,
    )
    own = {"game": config.game, "space": {key: str(values) for key, values in space.items()}}
    before = study.user_attrs.get("own", own)
    if before != own:
        raise InputError(
            f"the sweep {path} has another game or space",
            expected=f"{before['game']} with {', '.join(before['space'])}",
            remedy="choose another --name",
        )
    study.set_user_attr("own", own)
    return study


def _storage(log: Path) -> JournalStorage:
    exclusive: Any = _LogLock(log)
    try:
        return JournalStorage(JournalFileBackend(str(log), exclusive))
    except (ValueError, KeyError):  # of its lines
        raise InputError(
            f"{log} is damaged", remedy="choose another --name; the runs beside it are not touched"
        ) from None


class _LogLock:
    """Lock of the log while a record is written; a kill ends it, unlike the locks of optuna.

    What a kill left of a record is dropped, or the next one would be appended to it.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        self._file = self._log.open("rb+")
        lock(self._file.fileno(), wait=True)
        self._file.truncate(self._file.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        assert self._file is not None
        self._file.close()


class _Pruner(BasePruner):
    """Prune a trial whose best score is below the median of what complete trials had reached at the
    same share of their runs: their evaluations need not come at the same times.
    """

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        now = max(trial.intermediate_values)
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        scores = [score for other in complete if (score := _score_at(other, now)) is not None]
        best = max(trial.intermediate_values.values())
        return len(scores) >= _STARTUP_TRIALS and best < median(scores)


def _score_at(trial: FrozenTrial, step: int) -> float | None:
    """Return the score of its last evaluation up to a step, None if there was none."""
    steps = [at for at in trial.intermediate_values if at <= step]
    return trial.intermediate_values[max(steps)] if steps else None


class _Reporter:
    """Tells optuna the score of each evaluation; ends a run that is pruned."""

    def __init__(self, trial: Trial) -> None:
        self.scores: list[float] = []
        self.pruned = False
        self._trial, self._step = trial, -1

    def on_evaluation(self, event: EvaluationEvent) -> bool:
        self.scores.append(event.score)
        step = round(_STEPS * event.progress)
        if step > self._step:  # rounds without matches, at the end, are no progress
            self._trial.report(event.score, step)
        self._step = step
        self.pruned = event.progress < 1.0 and self._trial.should_prune()
        return not self.pruned


def _run(study: optuna.Study, trial: Trial, config: TrainConfig, path: Path) -> int:
    """Train a trial and tell its end; return the signal that stopped it, or 0."""
    reporter = _Reporter(trial)
    place = {"runs_dir": str(path), "name": f"trial-{trial.number}"}
    result: TrainResult | None = None
    try:
        result = train(_with(config, trial.params, **place), callbacks=reporter, console=False)
    except (InputError, NumericalError, OutOfMemory) as error:  # of these settings
        trial.set_user_attr(_ERROR, str(error))
    except BaseException:
        _interrupted(study, trial)
        raise
    shutil.rmtree(path / place["name"] / "checkpoints", ignore_errors=True)  # the replay, mostly
    if result is not None and result.interrupted:
        _interrupted(study, trial)
        return result.signal
    if reporter.pruned:
        study.tell(trial, state=TrialState.PRUNED)
    elif reporter.scores and result is not None:
        study.tell(trial, reporter.scores[-1])
    else:
        study.tell(trial, state=TrialState.FAIL)
    return 0


def _interrupted(study: optuna.Study, trial: Trial) -> None:
    """Let a trial that was cut off not count."""
    trial.set_user_attr(_INTERRUPTED, True)
    study.tell(trial, state=TrialState.FAIL)


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished() and not trial.user_attrs.get(_INTERRUPTED)
    ]


def _result(trial: FrozenTrial) -> TrialResult:
    states = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}
    reports = list(trial.intermediate_values.values())
    score = trial.value if trial.value is not None else reports[-1] if reports else None
    state, error = states.get(trial.state, "failed"), trial.user_attrs.get(_ERROR, "")
    return TrialResult(trial.number, state, score, trial.params, error)


def _rank(trial: TrialResult) -> tuple[bool, float]:
    """Complete trials first, then by score."""
    return trial.state != "complete", -math.inf if trial.score is None else -trial.score
