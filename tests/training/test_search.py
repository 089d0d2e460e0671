"""A search against Optuna's own record, and taken up again after it was cut off."""

import jax
import pytest

import jaxgraphs as jg
from jaxgraphs import layers
from jaxgraphs.training.search import search
from tests.training.runs import rows, trainer_of

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.WARNING)
X, Y = rows(20)
FIT = {"epochs": 2, "batch_size": 10, "validation_data": (X[:8], Y[:8])}


def build(trial):
    x = jg.Input((6,), name="x")
    hidden = layers.Dense(trial.suggest_int("units", 2, 4), activation="tanh")(x)
    graph = jg.Graph(x, layers.Dense(3, activation="softmax", name="label")(hidden))
    return trainer_of(graph, jg.optimizers.adam(trial.suggest_float("rate", 1e-3, 1e-1, log=True)))


def test_a_trial_is_a_training():  # oracle: Trainer.fit with the trial's numbers
    study = search(build, X, Y, trials=2, seed=3, **FIT)
    trial = study.trials[0]
    trainer = build(optuna.trial.FixedTrial(trial.params))
    _, history = trainer.fit(trainer.init(jax.random.key(3)), X, Y, verbose=0, **FIT)
    assert trial.value == pytest.approx(history.history["val_loss"][-1], rel=1e-6)
    assert list(trial.intermediate_values) == [0, 1]
    assert study.best_value == min(trial.value for trial in study.trials)


class Cut(jg.callbacks.Callback):
    """Ends the process' work in an epoch, as a failure of the machine would."""

    def on_epoch_begin(self, run):
        if run.epoch == 1:
            raise SystemExit(1)


def test_a_search_goes_on(tmp_path):  # oracle: the params of the trial that was cut off, and its first epoch kept
    with pytest.raises(SystemExit):
        search(build, X, Y, trials=1, directory=tmp_path, callbacks=[Cut()], **FIT)
    study = search(build, X, Y, trials=1, directory=tmp_path, **FIT)
    first, second = study.trials
    assert first.params == second.params
    assert second.state == optuna.trial.TrialState.COMPLETE
    assert list(second.intermediate_values) == [1]


class Always(optuna.pruners.BasePruner):
    """Prunes each trial at once."""

    def prune(self, study, trial):
        return True


def test_pruning_ends_a_trial():  # oracle: one epoch of two
    study = search(build, X, Y, trials=1, pruner=Always(), **FIT)
    assert study.trials[0].state == optuna.trial.TrialState.PRUNED
    assert list(study.trials[0].intermediate_values) == [0]


def test_an_unknown_name_to_watch():  # oracle: the message
    with pytest.raises(jg.GraphError, match="A search watches a name that is not in the logs"):
        search(build, X, Y, trials=1, monitor="val_los", **FIT)
