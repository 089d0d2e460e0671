"""A search for hyper-parameters that change shapes: Optuna proposes, pruning stops what is hopeless, trials resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from jaxgraphs.errors import GraphTypeError, GraphValueError, did_you_mean
from jaxgraphs.training.callbacks.base import Action, Callback, Run, Stop

_RUN = "jaxgraphs_run"


@dataclasses.dataclass
class Reporting(Callback):
    """Tells a trial of each epoch, and stops the training where the trial is to be pruned.

    Args:
        trial: Optuna's.
        monitor: a name in the logs.
    """

    trial: Any
    monitor: str
    value: float | None = None

    def on_epoch_end(self, run: Run) -> Action | None:
        """Reports the epoch's value."""
        if self.monitor not in run.logs:
            raise GraphValueError(
                "A search watches a name that is not in the logs.",
                received=repr(self.monitor),
                expected=did_you_mean(self.monitor, list(run.logs)),
                fix="val_ names need validation_data or validation_split",
            )
        self.value = float(run.logs[self.monitor])
        self.trial.report(self.value, run.epoch)
        return Stop("pruned") if self.trial.should_prune() else None


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
        sampler=sampler or optuna.samplers.TPESampler(seed=seed),
        pruner=pruner or optuna.pruners.MedianPruner(),
        load_if_exists=True,
    )
    _take_up(optuna, study)

    def objective(trial: Any) -> float:
        trial.set_user_attr(_RUN, trial.user_attrs.get(_RUN, trial.number))
        return _train(optuna, build(trial), trial, x, y, monitor, directory, seed, fit)

    ended = sum(
        trial.state in (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED) for trial in study.trials
    )
    study.optimize(objective, n_trials=max(trials - ended, 0))
    return study


def _train(
    optuna: Any, trainer: Any, trial: Any, x: Any, y: Any, monitor: str, directory: Any, seed: int, fit: dict[str, Any]
) -> float:
    reporting = Reporting(trial, monitor)
    resume = {} if directory is None else {"resume": Path(directory) / f"trial-{trial.user_attrs[_RUN]}"}
    options = {"verbose": 0} | fit | resume | {"callbacks": [*fit.get("callbacks", ()), reporting]}
    _, history = trainer.fit(trainer.init(jax.random.key(seed)), x, y, **options)
    if history.stopped == "pruned":
        raise optuna.TrialPruned
    return history.history[monitor][-1]


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
