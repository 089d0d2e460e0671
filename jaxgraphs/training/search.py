"""A search for hyper-parameters that change shapes: Optuna proposes, pruning stops what is hopeless, trials resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxgraphs.errors import GraphTypeError, GraphValueError, did_you_mean
from jaxgraphs.training.callbacks.base import Action, Callback, Run, Stop
from jaxgraphs.training.interrupt import INTERRUPTED

_RUN = "jaxgraphs_run"


@dataclasses.dataclass
class Reporting(Callback):
    """Tells a trial of each epoch, and stops the training where the trial is to be pruned.

    Args:
        trial: Optuna's.
        monitor: a name in the logs.
        reported: what was told so far, by epoch.
    """

    trial: Any
    monitor: str
    reported: dict[int, float] = dataclasses.field(default_factory=dict)

    def on_epoch_end(self, run: Run) -> Action | None:
        """Reports the epoch's value; an epoch without validation has none."""
        if self.monitor not in run.logs and self._will_come(run):
            return None
        if self.monitor not in run.logs:
            raise GraphValueError(
                "A search watches a name that is not in the logs.",
                received=repr(self.monitor),
                expected=did_you_mean(self.monitor, list(run.logs)),
                fix="val_ names need validation_data or validation_split",
            )
        self._report(run.epoch, float(run.logs[self.monitor]))
        return Stop("pruned") if self.trial.should_prune() else None

    @property
    def last(self) -> float:
        """What was told last.

        Raises: GraphValueError when no epoch had a value.
        """
        if not self.reported:
            fix = "more epochs, or a smaller validation_freq"
            raise GraphValueError(f"No epoch of the search had a {self.monitor!r}.", fix=fix)
        return list(self.reported.values())[-1]

    def memory(self) -> dict[str, Any]:
        """What was told of the epochs so far."""
        return {"epochs": list(self.reported), "values": list(self.reported.values())}

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Tells the trial, which is another one now, of the epochs before the checkpoint."""
        for epoch, value in zip(memory["epochs"], memory["values"], strict=True):
            self._report(int(epoch), float(value))

    def _report(self, epoch: int, value: float) -> None:
        self.reported[epoch] = value
        self.trial.report(value, epoch)

    def _will_come(self, run: Run) -> bool:
        name = self.monitor.removeprefix("val_")
        return run.validation is not None and name != self.monitor and name in run.logs


def search(
    build: Callable[[Any], Any],
    x: Any,
    y: Any,
    *,
    trials: int = 20,
    monitor: str = "val_loss",
    mode: str = "min",
    directory: str | Path | None = None,
    sampler: Any = None,
    pruner: Any = None,
    seed: int = 0,
    **fit: Any,
) -> Any:
    """Searches with Optuna for the Trainer that does best.

    Each trial is drawn by the seed and by how many ended before it, so that a search that was cut off comes to the same
    trials as one that was not. Ctrl-C ends the search, and the trial under way goes on at the next call.

    Args:
        build: an Optuna trial -> a Trainer, for example
            ``lambda trial: jg.Trainer(graph_of(units=trial.suggest_int("units", 8, 64)), loss="mse")``.
        x, y: as for `Trainer.fit`.
        trials: how many there are to be in all, those of earlier calls with the same directory included.
        monitor: what to make small, or large with ``mode="max"``; the last epoch's value counts.
        directory: where the search and each trial's training are kept: called again, the search goes on, and a trial
            that was cut off goes on where its last checkpoint was.
        sampler, pruner: Optuna's; a seeded TPESampler and a MedianPruner where left out.
        seed: of the sampler and of every training.
        fit: as for `Trainer.fit`: epochs, batch_size, validation_data, validation_split, callbacks and so on.
    Returns: Optuna's study: ``study.best_params``, ``study.best_value``, ``study.trials``.
    Raises: GraphError when Optuna is not there, or an argument does not fit.
    """
    optuna = _optuna()
    if mode not in ("min", "max"):
        raise GraphValueError("`mode` of a search is 'min' or 'max'.", received=repr(mode))
    study = optuna.create_study(
        study_name="search",
        direction="minimize" if mode == "min" else "maximize",
        storage=_storage(optuna, directory),
        sampler=sampler,
        pruner=pruner or optuna.pruners.MedianPruner(),
        load_if_exists=True,
    )
    _take_up(optuna, study)

    def objective(trial: Any) -> float:
        trial.set_user_attr(_RUN, trial.user_attrs.get(_RUN, trial.number))
        return _train(optuna, build(trial), trial, x, y, monitor, directory, seed, fit)

    for number in range(_ended(optuna, study), trials):
        if sampler is None:
            study.sampler = optuna.samplers.TPESampler(seed=_seed(seed, number))
        study.optimize(objective, n_trials=1)
    return study


def _train(
    optuna: Any, trainer: Any, trial: Any, x: Any, y: Any, monitor: str, directory: Any, seed: int, fit: dict[str, Any]
) -> float:
    reporting = Reporting(trial, monitor)
    resume = {} if directory is None else {"resume": Path(directory) / f"trial-{trial.user_attrs[_RUN]}"}
    options = {"verbose": 0} | fit | resume | {"callbacks": [*fit.get("callbacks", ()), reporting]}
    _, history = trainer.fit(trainer.init(jax.random.key(seed)), x, y, **options)
    if history.stopped == INTERRUPTED:
        raise KeyboardInterrupt
    if history.stopped == "pruned":
        raise optuna.TrialPruned
    return reporting.last


def _ended(optuna: Any, study: Any) -> int:
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return len(study.get_trials(deepcopy=False, states=states))


def _seed(seed: int, number: int) -> int:
    """Of the sampler of one trial."""
    return int(np.random.SeedSequence([seed % 2**32, number]).generate_state(1)[0])


def _take_up(optuna: Any, study: Any) -> None:
    """Trials that were cut off are tried again, with the same parameters and from their checkpoints."""
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(trial.params, user_attrs={_RUN: trial.user_attrs.get(_RUN, trial.number)})


def _storage(optuna: Any, directory: str | Path | None) -> Any:
    if directory is None:
        return None
    Path(directory).mkdir(parents=True, exist_ok=True)
    journal = optuna.storages.journal
    return optuna.storages.JournalStorage(journal.JournalFileBackend(str(Path(directory) / "search.log")))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise GraphTypeError(
            "jg.search needs Optuna, which is not there.", fix="pip install 'jaxgraphs[search]'"
        ) from error
    return optuna
