import csv
import os

import keras
import pytest

from jaxgraphs.errors import GraphError
from jaxgraphs.training.callbacks import CSVLogger, Run
from tests.training.callbacks.sequences import as_arrays

EPOCHS = [
    {"loss": 0.5, "mae": 1.0, "list": [1, 2]},
    {"loss": float("nan"), "mae": 2.0},
    {"loss": 0.1, "val_loss": 0.2, "text": "a,b"},
]


def drive(logger, epochs=EPOCHS, first=0):
    logger.on_train_begin(Run(None, None, None, resumed=first > 0))
    for epoch, logs in enumerate(epochs, start=first):
        logger.on_epoch_end(Run(None, None, None, epoch=epoch, logs=logs))
    logger.on_train_end(Run(None, None, None))
    return logger


def drive_keras(logger, epochs=EPOCHS):
    logger.on_train_begin()
    for epoch, logs in enumerate(epochs):
        logger.on_epoch_end(epoch, logs)
    logger.on_train_end()


@pytest.mark.parametrize("options", [{}, {"separator": ";"}, {"append": True}])
@pytest.mark.parametrize("epochs", [EPOCHS, EPOCHS[2:] + EPOCHS], ids=["without validation", "with validation"])
def test_the_same_file(tmp_path, options, epochs):  # oracle: Keras' file, byte for byte, in a first run and a second
    for _ in range(2):
        drive_keras(keras.callbacks.CSVLogger(tmp_path / "keras.csv", **options), epochs)
        drive(CSVLogger(tmp_path / "ours.csv", **options), epochs)
        assert (tmp_path / "ours.csv").read_bytes() == (tmp_path / "keras.csv").read_bytes()


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize("split", range(3))
def test_restart_cuts_off_what_came_after_the_checkpoint(tmp_path, split, append):  # oracle: the file without a restart
    drive(CSVLogger(tmp_path / "whole.csv"))
    first = CSVLogger(tmp_path / "log.csv", append=append)
    memories = []

    class Saving(CSVLogger):
        def on_epoch_end(self, run):
            super().on_epoch_end(run)
            memories.append(as_arrays(self.memory()))

    drive(Saving(first.path, append=append))
    again = CSVLogger(first.path, append=append)
    again.remember(memories[split])
    drive(again, EPOCHS[split + 1 :], first=split + 1)
    assert first.path.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_restart_in_the_first_epoch(tmp_path):  # oracle: the file without a restart
    for name in ("whole", "log"):
        (tmp_path / f"{name}.csv").write_text("epoch,loss,mae\n7,0.5,0.5\n")
    drive(CSVLogger(tmp_path / "whole.csv", append=True))
    first = CSVLogger(tmp_path / "log.csv", append=True)
    first.on_train_begin(Run(None, None, None))
    memory = as_arrays(first.memory())
    first.on_epoch_end(Run(None, None, None, logs=EPOCHS[0]))
    again = CSVLogger(first.path, append=True)
    again.remember(memory)
    again.on_train_begin(Run(None, None, None, resumed=True))
    for epoch, logs in enumerate(EPOCHS):
        again.on_epoch_end(Run(None, None, None, epoch=epoch, logs=logs))
    assert first.path.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_no_partial_rows(tmp_path):  # oracle: a reader between any two epochs
    logger = CSVLogger(tmp_path / "deep" / "log.csv")
    logger.on_train_begin(Run(None, None, None))
    for epoch in range(3):
        logger.on_epoch_end(Run(None, None, None, epoch=epoch, logs={"loss": epoch / 2}))
        rows = list(csv.DictReader(logger.path.read_text("utf-8").splitlines()))
        assert [(row["epoch"], row["loss"], row["val_loss"]) for row in rows] == [
            (str(number), str(number / 2), "NA") for number in range(epoch + 1)
        ]


def test_a_place_that_cannot_be_written(tmp_path):  # oracle: the kind of error, and the path in it
    os.mkdir(tmp_path / "log.csv")
    with pytest.raises(GraphError, match=r"cannot be written(.|\n)*log\.csv"):
        drive(CSVLogger(tmp_path / "log.csv"))
