"""A search against Optuna's own record, and taken up again after it was cut off."""

import signal

import jax
import pytest

import jaxgraphs as jg
from jaxgraphs import layers
from jaxgraphs.training.search import search
from tests.training.runs import rows, trainer_of
from tests.training.several import environment, started

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


def test_a_search_goes_on(tmp_path):  # oracle: the params and the first epoch of the trial that was cut off
    with pytest.raises(SystemExit):
        search(build, X, Y, trials=1, directory=tmp_path, callbacks=[Cut()], **FIT)
    study = search(build, X, Y, trials=1, directory=tmp_path, **FIT)
    first, second = study.trials
    assert first.params == second.params
    assert second.state == optuna.trial.TrialState.COMPLETE
    assert list(second.intermediate_values) == [0, 1]
    assert second.intermediate_values[0] == first.intermediate_values[0]


def told(study):
    """What trials that ended were, did and told."""
    ended = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return [(trial.params, trial.state, trial.intermediate_values) for trial in study.get_trials(states=ended)]


PRUNED = {"epochs": 4, "batch_size": 10, "validation_data": (X[:8], Y[:8]), "seed": 4}
KILLED = """\
import os, sys
from tests.training.test_search import PRUNED, X, Y, build, jg, optuna
def dies(run):
    if (run.epoch, len(os.listdir(sys.argv[1]))) == (2, 6): os.kill(os.getpid(), 9)
ends = [jg.callbacks.LambdaCallback(on_epoch_begin=dies)]
pruner = optuna.pruners.MedianPruner(n_startup_trials=1)
jg.search(build, X, Y, trials=6, directory=sys.argv[1], pruner=pruner, callbacks=ends, **PRUNED)
"""
"""A search that kills its process in the third epoch of the fifth trial: the journal and five folders are there."""


@pytest.mark.slow
def test_a_killed_search_comes_to_the_same_trials(tmp_path):  # oracle: the search that nothing ended
    ((code, text),) = started([["-c", KILLED, str(tmp_path)]], [environment(1)])
    assert code == -9, text
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1)
    resumed = search(
        build, X, Y, trials=6, directory=tmp_path, pruner=pruner, callbacks=[jg.callbacks.Callback()], **PRUNED
    )
    whole = search(build, X, Y, trials=6, pruner=pruner, **PRUNED)
    assert len(resumed.trials) == 7
    assert told(resumed) == told(whole)
    assert [trial.state.name for trial in whole.trials] == ["COMPLETE", *["PRUNED"] * 3, *["COMPLETE"] * 2]
    assert len({trial.params["rate"] for trial in whole.trials}) == 6


def test_ctrl_c_ends_a_search_and_not_a_trial(tmp_path):  # oracle: KeyboardInterrupt, and the trial at the next call
    press = jg.callbacks.LambdaCallback(on_batch_end=lambda run: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        search(build, X, Y, trials=2, directory=tmp_path, callbacks=[press], **FIT)
    study = search(build, X, Y, trials=1, directory=tmp_path, callbacks=[jg.callbacks.Callback()], **FIT)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE"]
    assert study.trials[0].params == study.trials[1].params


def test_epochs_without_validation_tell_nothing():  # oracle: every second epoch; and the message
    study = search(build, X, Y, trials=1, validation_freq=2, **FIT | {"epochs": 5})
    assert list(study.trials[0].intermediate_values) == [1, 3]
    assert study.trials[0].value == study.trials[0].intermediate_values[3]
    with pytest.raises(jg.GraphError, match="No epoch of the search had a 'val_loss'"):
        search(build, X, Y, trials=1, validation_freq=3, **FIT)


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
