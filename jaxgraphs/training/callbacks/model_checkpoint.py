"""The model in a file, each epoch or each so many batches, or only when it got better."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from safetensors.flax import save_file

from jaxgraphs.errors import GraphKeyError, GraphValueError
from jaxgraphs.graph.count import leaves_with_path
from jaxgraphs.io.archive import escape, save
from jaxgraphs.training.callbacks.base import Run
from jaxgraphs.training.callbacks.files import told, write_whole
from jaxgraphs.training.callbacks.monitor import Monitor
from jaxgraphs.training.processes import fetched, is_first, say


class ModelCheckpoint(Monitor):
    """Saves the graph and its variables as `jg.save` does; for a run that can go on, see `fit(resume=)`.

    Args:
        filepath: of the file, with fields to fill in: ``"{epoch:02d}-{val_loss:.2f}.safetensors"``; epochs and
            batches count from 1 there.
        monitor: what says which model is better.
        verbose: 1 prints what is done.
        save_best_only: whether only a model that is better than all before is saved.
        save_weights_only: whether the graph is left out: arrays under names such as ``"params/dense/kernel"``, for
            any reader of safetensors.
        mode: ``"min"``, ``"max"``, or ``"auto"``: by what `monitor` is.
        save_freq: ``"epoch"``, or how many batches lie between two files.
        initial_value_threshold: what the first model must be better than.
    Raises: GraphError when a field of the path is not among the logs, or the file cannot be written.

    >>> callback = ModelCheckpoint("best.safetensors", monitor="loss", save_best_only=True)
    """

    fields = ("best", "batches", "last_batch")

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        self.filepath, self.verbose = os.fspath(filepath), verbose
        self.save_best_only, self.save_weights_only, self.save_freq = save_best_only, save_weights_only, save_freq
        self.initial_value_threshold = initial_value_threshold
        _check(self.filepath, save_freq)
        super().__init__(monitor, mode)

    def forget(self) -> None:
        """Sets what is remembered as it is before the first run."""
        self.best: float | None = self.initial_value_threshold
        self.batches = 0
        self.last_batch: int | None = None

    def on_train_begin(self, run: Run) -> None:
        """Forgets nothing: a second run must not overwrite a better model of the first."""

    def on_batch_end(self, run: Run) -> None:
        """Saves where so many batches have passed."""
        if self.save_freq == "epoch" or run.batch is None:
            return
        is_new_epoch = self.last_batch is None or run.batch <= self.last_batch
        self.batches += run.batch + 1 if is_new_epoch else run.batch - (self.last_batch or 0)
        self.last_batch = run.batch
        if self.batches >= int(self.save_freq):
            self.batches = 0
            self._save(run)

    def on_epoch_end(self, run: Run) -> None:
        """Saves where each epoch is to be saved."""
        if self.save_freq == "epoch":
            self._save(run)

    def _save(self, run: Run) -> None:
        path = Path(_filled(self.filepath, run))
        if self.save_best_only and not self._is_best(run):
            return
        self._write(path, run)
        if self.verbose:
            say(f"Epoch {run.epoch + 1}: saved the model to {path}")

    def _write(self, path: Path, run: Run) -> None:
        variables = fetched(run.state.variables)
        if not is_first():
            return
        with told("The model cannot be saved.", path):
            if self.save_weights_only:
                write_whole(path, lambda beside: _save_weights(beside, variables))
            else:
                write_whole(path, lambda beside: save(beside, run.graph, variables))

    def _is_best(self, run: Run) -> bool:
        value = self.value(run)
        old = None if self.best is None else f"{self.best:.5f}"
        if value is None or not self.is_better(run, value, self.best):
            if self.verbose:
                say(f"Epoch {run.epoch + 1}: {self.monitor} did not improve from {old}")
            return False
        if self.verbose:
            say(f"Epoch {run.epoch + 1}: {self.monitor} improved from {old} to {value:.5f}")
        self.best = value
        return True


def _save_weights(path: Path, variables: Mapping[str, Any]) -> None:
    save_file({escape(place): jnp.asarray(array) for place, array in leaves_with_path(variables)}, path)


def _filled(filepath: str, run: Run) -> str:
    """The path with its fields filled in."""
    fields: Mapping[str, Any] = {name: _Late(value) for name, value in run.logs.items()}
    numbers = {"epoch": run.epoch + 1} | ({} if run.batch is None else {"batch": run.batch + 1})
    try:
        return filepath.format(**{**fields, **numbers})
    except (KeyError, IndexError, ValueError) as error:
        names = ", ".join([*numbers, *run.logs])
        raise GraphKeyError(
            "The path of ModelCheckpoint cannot be filled in.",
            received=f"{filepath!r}: {error}",
            expected=f"the fields {names}",
        ) from error


class _Late:
    """A number of the logs that is fetched from the device only where the path has a field for it."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __format__(self, spec: str) -> str:
        return format(float(self._value), spec)


def _check(filepath: str, save_freq: Any) -> None:
    is_number = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
    if save_freq != "epoch" and not is_number:
        raise GraphValueError('`save_freq` is "epoch" or a number of batches.', received=repr(save_freq))
    if not filepath.endswith(".safetensors"):
        raise GraphValueError(
            "ModelCheckpoint writes safetensors files.", received=repr(filepath), fix="a path that ends in .safetensors"
        )
