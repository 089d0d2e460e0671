"""The bar and its lines: what is told of an epoch, also of one that another process began."""

import dataclasses
import io
import re

from rich.console import Console

import jaxgraphs as jg
from jaxgraphs.training.callbacks import Run
from jaxgraphs.training.callbacks.progress import ProgressBar

x = jg.Input((2,), name="x")
RUN = Run(
    graph=jg.Graph(x, jg.layers.Dense(1)(x)), trainer=None, state=None, epoch=4, history={}, epochs=30, steps=3,
    validation=None, verbose=1,
)  # fmt: skip


def test_an_epoch_that_another_process_began():  # oracle: the time since this one took it up
    text = io.StringIO()
    bar = ProgressBar(Console(file=text, highlight=False))
    bar.on_train_begin(dataclasses.replace(RUN, resumed=True))
    bar.on_epoch_end(dataclasses.replace(RUN, logs={"loss": 0.5}))
    assert re.fullmatch(r"epoch 5/30 · 0\.\d s( · [\d.]+ s left)? · loss 0\.5\n", text.getvalue())
