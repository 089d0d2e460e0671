"""The TensorBoard callback: what a run is doing, written where TensorBoard reads it."""

from __future__ import annotations

import os
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxgraphs.errors import GraphValueError
from jaxgraphs.graph.count import leaves_with_path
from jaxgraphs.training import optimizers
from jaxgraphs.training.callbacks.base import Callback, Run
from jaxgraphs.training.callbacks.probe import activations, some_batch, weights_in_order
from jaxgraphs.training.callbacks.tensorboard import values
from jaxgraphs.training.callbacks.tensorboard.embeddings import Embeddings
from jaxgraphs.training.callbacks.tensorboard.events import Events
from jaxgraphs.training.callbacks.tensorboard.gradients import make_gradients
from jaxgraphs.training.callbacks.tensorboard.graph_def import graph_def
from jaxgraphs.training.callbacks.tensorboard.profile import Trace, batches_of
from jaxgraphs.training.callbacks.tensorboard.weight_images import picture
from jaxgraphs.training.processes import fetched, is_first

TRAIN, VALIDATION, ROOT = "train", "validation", "."


class TensorBoard(Callback):
    """Writes a run's numbers, weights, graph and embeddings for ``tensorboard --logdir LOG_DIR``; needs no TensorFlow.

    Losses and metrics, each output's too, are ``epoch_...`` over epochs and ``batch_...`` over steps, in one run for
    training and one for validation. A run that goes on from a checkpoint shows no step twice.

    Args:
        log_dir: the directory.
        histogram_freq: epochs between two histograms of weights, state, activations and gradients; 0 is never. The
            gradients and activations are those of the epoch's last batch, else of the first validation examples.
        write_graph: whether the graph is written, nested graphs as scopes.
        write_images: whether weights are also written as pictures, with the histograms.
        write_steps_per_second: whether the speed of each epoch is written.
        update_freq: ``"epoch"``, ``"batch"``, or how many steps lie between two numbers of batches. They are written
            once the device has them; no step waits.
        profile_batch: the batch, or the first and the last one, counted from 1, of which a trace is taken; 0 for none.
        embeddings_freq: epochs between two versions of the embeddings in the projector; 0 is never.
        embeddings_metadata: labels of the rows: a list of texts or the path of a file, for all Embeddings; or a mapping
            from an Embedding's name to such, or to a mapping of columns.
        embeddings_sprites: pictures of the rows, (rows, height, width) with channels or without; or a mapping likewise.
        hparams: hyper-parameters by name: numbers, texts, booleans.
    Raises: GraphError when tensorboardX is not installed, the directory cannot be written to, or labels do not fit.

    >>> callback = TensorBoard("logs", histogram_freq=1, update_freq=100, hparams={"units": 32})
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int | str | Sequence[int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
        *,
        embeddings_sprites: Any = None,
        hparams: Mapping[str, Any] | None = None,
    ) -> None:
        self.log_dir, self.histogram_freq, self.embeddings_freq = Path(log_dir), histogram_freq, embeddings_freq
        self.write_graph, self.write_images = write_graph, write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = _every(update_freq)
        self._embeddings = Embeddings(embeddings_metadata, embeddings_sprites)
        self.hparams = None if hparams is None else dict(hparams)
        self._trace = Trace(self.log_dir / TRAIN, *batches_of(profile_batch))
        self._events: Events | None = None
        self._memory: Mapping[str, Any] = {}
        self._waiting: deque[tuple[int, Mapping[str, Any]]] = deque()
        self._step = self._first_step = self._epoch_step = 0
        self._epoch_began: float | None = None
        self._last: Any = None
        self._compiled: dict[str, Any] = {}

    def image(self, name: str, pictures: Any, step: int, *, where: str = TRAIN) -> None:
        """Writes pictures during a run, such as a batch's first inputs; other callbacks may call it.

        Args:
            name: of the pictures.
            pictures: (count, height, width), with 1, 3 or 4 channels or without; bytes, or numbers from 0 to 1.
            step: the epoch or the step that they belong to.
            where: ``"train"`` or ``"validation"``.
        """
        for number, pixels in enumerate(np.asarray(pictures)):
            self._opened().summary(where, step, values.image(f"{name}/{number}", pixels))

    def on_train_begin(self, run: Run) -> None:
        """Opens the log, or goes on with it, and writes what does not change: the graph and the hyper-parameters."""
        self._waiting.clear()
        self._compiled.clear()
        if not is_first():
            # All processes gather what is spread over them; the first one's files are the log.
            self._aside = tempfile.TemporaryDirectory()
            self.log_dir = Path(self._aside.name)
        if self.embeddings_freq:
            self._embeddings.check(run)
        self._step = self._epoch_step = int(run.state.step)
        memory = self._memory if run.resumed else {}
        self._first_step = int(memory.get("first_step", self._step))
        self._events = Events(self.log_dir, memory.get("run"))
        if memory:
            self._events.cut_to(memory["sizes"])
            return
        if self.hparams is not None:
            self._events.summary(ROOT, 0, *values.hyperparameters(self.hparams, _shown(run)))
        if self.write_graph:
            self._events.event(TRAIN, graph_def=graph_def(run.graph).SerializeToString())
        self._events.flush()

    def on_epoch_begin(self, run: Run) -> None:
        """Takes the time."""
        self._epoch_began, self._epoch_step = time.perf_counter(), self._step

    def on_batch_begin(self, run: Run) -> None:
        """Begins a trace where one is due."""
        self._trace.begin(self._step - self._first_step + 1)

    def on_batch_end(self, run: Run) -> None:
        """Writes the numbers of batches that have arrived."""
        self._step += 1
        self._last = run.data
        self._trace.end(self._step - self._first_step, run.logs)
        if self.update_freq and self._step % self.update_freq == 0:
            self._waiting.append((self._step, run.logs))
        while self._waiting and all(value.is_ready() for value in jax.tree.leaves(self._waiting[0][1])):
            self._write_batch()

    def on_epoch_end(self, run: Run) -> None:
        """Writes the epoch's numbers, and what is due of histograms and embeddings."""
        self._write_waiting()
        train = {name: value for name, value in run.logs.items() if not name.startswith("val_")}
        train |= self._rates(run)
        validation = {name[4:]: value for name, value in run.logs.items() if name.startswith("val_")}
        self._write_epoch(TRAIN, run.epoch, train)
        self._write_epoch(VALIDATION, run.epoch, validation)
        by_step = [values.scalar(f"evaluation_{name}_vs_iterations", each) for name, each in validation.items()]
        if by_step:
            self._opened().summary(VALIDATION, self._step, *by_step)
        if self.hparams is not None:
            self._opened().summary(
                ROOT, run.epoch, *(values.scalar(f"hparam/{name}", run.logs[name]) for name in run.logs)
            )
        if self.histogram_freq and run.epoch % self.histogram_freq == 0:
            self._write_histograms(run)
        if self.embeddings_freq and run.epoch % self.embeddings_freq == 0:
            self._embeddings.write(run, self.log_dir / TRAIN)
        self._opened().flush()

    def on_train_end(self, run: Run) -> None:
        """Closes the log."""
        self._trace.stop()
        self._write_waiting()
        if self.hparams is not None:
            self._opened().summary(ROOT, 0, values.session_end(time.time()))
        self._opened().close()
        self._last, self._memory = None, {}

    def memory(self) -> dict[str, Any]:
        """Which files are the run's, and how long each is."""
        if self._events is None:
            return {}
        self._write_waiting()
        return {"run": self._events.run, "first_step": self._first_step, "sizes": self._events.sizes()}

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Takes back what `memory` gave; the files are cut when training begins."""
        self._memory = memory

    def _opened(self) -> Events:
        if self._events is None:
            raise GraphValueError("TensorBoard writes while a run goes on.", fix="fit(..., callbacks=[callback])")
        return self._events

    def _write_waiting(self) -> None:
        while self._waiting:
            self._write_batch()

    def _write_batch(self) -> None:
        step, logs = self._waiting.popleft()
        numbers = jax.device_get(dict(logs))
        self._opened().summary(TRAIN, step, *(values.scalar(f"batch_{name}", each) for name, each in numbers.items()))

    def _write_epoch(self, where: str, epoch: int, logs: Mapping[str, Any]) -> None:
        if logs:
            self._opened().summary(where, epoch, *(values.scalar(f"epoch_{name}", each) for name, each in logs.items()))

    def _rates(self, run: Run) -> dict[str, float]:
        """The learning rate, and the speed where it is wanted and the whole epoch was seen."""
        rate = optimizers.learning_rate(run.state.opt_state)
        found = {} if rate is None else {"learning_rate": float(rate)}
        if self.write_steps_per_second and self._epoch_began is not None:
            seconds = time.perf_counter() - self._epoch_began
            found["steps_per_second"] = (self._step - self._epoch_step) / seconds
        return found

    def _write_histograms(self, run: Run) -> None:
        for name, array in self._arrays(run):
            if (value := values.histogram(name, array)) is not None:
                self._opened().summary(TRAIN, run.epoch, value)
        if self.write_images:
            for name, weight in _weights(run):
                if (pixels := picture(weight)) is not None:
                    self._opened().summary(TRAIN, run.epoch, values.image(f"{name}/image", pixels))

    def _arrays(self, run: Run) -> Iterator[tuple[str, Any]]:
        """What histograms are made of: weights and state, and, where there is a batch, activations and gradients."""
        yield from ((f"{name}/histogram", array) for name, array in _weights(run))
        batch = self._last if self._last is not None else some_batch(run)
        if batch is None:
            return
        outputs = self._jit("activations", activations_of(run.graph))(run.state.variables, batch)
        for name, tree in fetched(outputs).items():
            yield from (
                (f"{name}/{_numbered('output', index)}", leaf) for index, leaf in enumerate(jax.tree.leaves(tree))
            )
        if any(target is not None for target in batch.targets.values):
            gradients = self._jit("gradients", make_gradients(run.trainer.objective))(run.state, batch)
            arrays = leaves_with_path(fetched(gradients))
            yield from (("/".join((*path, "gradient")), array) for path, array in arrays if array is not None)

    def _jit(self, name: str, function: Any) -> Any:
        """Compiled in the first epoch in which it is needed, for the run."""
        return self._compiled.setdefault(name, jax.jit(function))


def activations_of(graph: Any) -> Any:
    """(variables, batch) -> what each call gives, by place."""
    return lambda variables, batch: activations(graph, variables, batch)


def _weights(run: Run) -> Iterator[tuple[str, Any]]:
    return iter(fetched(list(weights_in_order(run.graph, run.state.variables))))


def _numbered(name: str, index: int) -> str:
    return f"{name}_{index}" if index else name


def _shown(run: Run) -> list[str]:
    """The scalars to show beside hyper-parameters: in the run that has these, for TensorBoard looks nowhere else."""
    names = run.trainer.objective.log_names
    return [f"hparam/{name}" for name in (*names, *(f"val_{name}" for name in names if run.validation is not None))]


def _every(update_freq: str | int) -> int:
    """Steps between two numbers of batches; 0 for none."""
    known = {"epoch": 0, "batch": 1}
    if isinstance(update_freq, str) and update_freq in known:
        return known[update_freq]
    if isinstance(update_freq, int) and not isinstance(update_freq, bool) and update_freq > 0:
        return update_freq
    raise GraphValueError(
        "`update_freq` says when numbers are written.",
        received=repr(update_freq),
        expected="'epoch', 'batch', or a number of steps",
    )
