from textwrap import dedent

import jax
import keras
import numpy as np
import pytest

from jaxgraphs.errors import GraphError, GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.core import Dense
from jaxgraphs.symbolic.node import Input
from jaxgraphs.training import metrics
from jaxgraphs.training.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau, Run
from jaxgraphs.training.callbacks.monitor import direction_of
from jaxgraphs.training.losses import MeanSquaredError
from jaxgraphs.training.metrics.named import CLASSES
from jaxgraphs.training.trainer import Trainer
from tests.oracle import keras_rules

OPTIONS = {
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
}
IN_KERAS = [cls for cls in CLASSES if hasattr(keras.metrics, cls.__name__)]


@pytest.mark.parametrize("cls", IN_KERAS, ids=lambda cls: cls.__name__)
def test_direction_of_every_metric(cls):  # oracle: Keras' metric
    options = OPTIONS.get(cls.__name__, {})
    with keras_rules():
        theirs = getattr(getattr(keras.metrics, cls.__name__)(**options), "_direction", None)
    assert direction_of(cls(**options)) == {"up": "max", "down": "min", None: None}[theirs]


def test_direction_of_functions():  # oracle: Keras' rule: losses fall, nothing is known of other functions
    assert direction_of(metrics.mean_of(MeanSquaredError())) == "min"
    assert direction_of(metrics.mean_of(lambda y_true, y_pred: y_pred)) is None


NAMES = [("y_accuracy", "max"), ("val_z_mae", "min"), ("val_z_loss", "min"), ("loss", "min")]


@pytest.mark.parametrize(("name", "direction"), NAMES)
def test_direction_by_name(name, direction):  # oracle: what accuracy and errors mean
    assert EarlyStopping(monitor=name).direction(Run(None, two_outputs(), None)) == direction


def test_direction_unknown():  # oracle: Keras' rule
    with pytest.raises(GraphValueError, match="cannot tell whether 'val_y_f' should rise or fall"):
        EarlyStopping(monitor="val_y_f").direction(Run(None, two_outputs(), None))


def two_outputs():
    x = Input((2,), name="x")
    graph = Graph(x, [Dense(1, name="y")(x), Dense(1, name="z")(x)])

    def f(y_true, y_pred):
        return y_pred

    return Trainer(graph, loss=["mse", "mse"], metrics={"y": ["accuracy", f], "z": ["mae"]})


def fit(callback, **options):
    x = Input((2,), name="x")
    trainer = Trainer(Graph(x, Dense(1, name="y")(x)), optimizer="sgd", loss="mse", metrics=["mae"])
    data = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)
    return trainer.fit(trainer.init(jax.random.key(0)), *data, verbose=0, callbacks=[callback], **options)


@pytest.mark.parametrize("make", [EarlyStopping, ReduceLROnPlateau])
def test_no_such_number(make):  # oracle: the message
    with pytest.raises(GraphValueError) as caught:
        fit(make(monitor="maee"))
    assert str(caught.value) == dedent(f"""\
        {make.__name__} watches 'maee', which is not among the logs.
          expected: 'mae'? Known: loss, mae""")


def test_no_validation_data():  # oracle: the message
    with pytest.raises(GraphValueError) as caught:
        fit(EarlyStopping())
    assert str(caught.value) == dedent("""\
        EarlyStopping watches 'val_loss', which is not among the logs.
          received: fit without validation data
          expected: loss, mae
          fix:      fit(..., validation_split=0.2), or monitor='loss'""")


def test_validation_numbers_at_batches(tmp_path):  # oracle: the fix that is offered
    callback = ModelCheckpoint(tmp_path / "a.safetensors", save_best_only=True, save_freq=1)
    with pytest.raises(GraphValueError, match="save_freq='epoch'"):
        fit(callback, validation_split=0.5)


def test_epochs_without_validation_are_left_out():  # oracle: patience counted by hand
    values = [{"loss": 1.0, **more} for more in ({"val_loss": 0.1}, {}, {"val_loss": 0.2}, {"val_loss": 0.3})]
    callback = EarlyStopping(patience=2)
    runs = [Run(None, None, None, epoch=epoch, logs=logs, validation=((), ())) for epoch, logs in enumerate(values)]
    assert [callback.on_epoch_end(run) is None for run in runs] == [True, True, True, False]


def test_several_numbers():  # oracle: the message
    with pytest.raises(GraphError, match="'f1' is several numbers"):
        EarlyStopping(monitor="f1", mode="max").on_epoch_end(Run(None, None, None, logs={"f1": np.ones(3)}))


def test_unknown_mode():  # oracle: the message
    with pytest.raises(GraphError, match="'auto', 'min' or 'max'"):
        EarlyStopping(mode="maximum")
