"""The trainings that `benchmarks.kills` kills: small, and each with something that a careless resume would lose."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxgraphs as jg
from jaxgraphs import layers
from jaxgraphs.training.checkpoint import Checkpoints


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One training: what `Trainer` and what `fit` are given, made anew each time; callbacks may write to a folder."""

    trainer: Callable[[], jg.Trainer]
    fit: Callable[[Path], dict[str, Any]]


def _numbers(count: int, width: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(7)
    x = generator.normal(size=(count, width)).astype(np.float32)
    return x, (np.abs(x[:, 0] * 3) + generator.integers(0, 2, count)).astype(np.int32) % classes


def _noisy(**options: Any) -> jg.Trainer:
    x = jg.Input((6,), name="x")
    hidden = layers.Dropout(0.3)(layers.Dense(16, activation="relu")(x))
    graph = jg.Graph(x, layers.Dense(4, activation="softmax")(layers.GaussianNoise(0.1)(hidden)))
    return jg.Trainer(graph, "adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **options)


def _dropout_fit(folder: Path) -> dict[str, Any]:
    x, y = _numbers(50, 6, 3)
    stopping = jg.callbacks.EarlyStopping("val_loss", min_delta=0.03, patience=3, restore_best_weights=True)
    return {"x": x, "y": y, "epochs": 6, "batch_size": 8, "validation_split": 0.2, "callbacks": [stopping]}


def _statistics() -> jg.Trainer:
    x = jg.Input((6, 6, 1), name="image")
    hidden = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", use_bias=False)(x))
    hidden = layers.GlobalAveragePooling2D()(layers.Activation("relu")(hidden))
    graph = jg.Graph(x, layers.Dense(2, activation="softmax")(layers.Dropout(0.2)(hidden)))
    return jg.Trainer(graph, "nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])


def _statistics_fit(folder: Path) -> dict[str, Any]:
    x, y = _numbers(45, 36, 2)
    plateau = jg.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.05)
    return {"x": x.reshape(45, 6, 6, 1), "y": y, "epochs": 5, "batch_size": 8, "callbacks": [plateau]}


def _text() -> jg.Trainer:
    graph = jg.models.question_answering(30, 20, 5, embedding=6, units=5)
    return jg.Trainer(graph, "rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])


def _text_batches(epoch: int) -> Iterator[Any]:
    generator = np.random.default_rng(epoch)
    while True:
        words = {"text": generator.integers(1, 30, (8, 7)), "question": generator.integers(1, 20, (8, 4))}
        yield words, generator.integers(0, 5, 8)


def _text_fit(folder: Path) -> dict[str, Any]:
    rates = jg.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.8)
    return {"x": _text_batches, "epochs": 5, "steps_per_epoch": 5, "callbacks": [rates]}


def _outputs() -> jg.Trainer:
    x = jg.Input((5,), name="x")
    hidden = layers.Dropout(0.1)(layers.Dense(8, activation="tanh")(x))
    amount = layers.Dense(1, name="amount", kernel_regularizer="l2")(hidden)
    kind = layers.Dense(1, activation="sigmoid", name="kind")(hidden)
    losses = {"amount": "mse", "kind": "binary_crossentropy"}
    return jg.Trainer(
        jg.Graph(x, {"amount": amount, "kind": kind}), "ftrl", losses, {"kind": 2.0}, {"kind": ["auc"], "amount": "mae"}
    )


def _outputs_fit(folder: Path) -> dict[str, Any]:
    x, y = _numbers(40, 5, 2)
    targets = {"amount": x[:, :1], "kind": y[:, None]}
    both = [
        jg.callbacks.ReduceLROnPlateau("val_loss", patience=1, min_delta=0.5),
        jg.callbacks.EarlyStopping("val_kind_auc", mode="max", patience=2),
        jg.callbacks.CSVLogger(folder / "log.csv"),
        jg.callbacks.ModelCheckpoint(folder / "{epoch}.safetensors", save_best_only=True, save_weights_only=True),
    ]
    held_out = x[:9], {name: value[:9] for name, value in targets.items()}
    return {"x": x, "y": targets, "epochs": 6, "batch_size": 8, "validation_data": held_out, "callbacks": both}


def _mesh() -> jg.Trainer:
    return _noisy(mesh=jg.sharding.make_mesh(jax.devices()[:2]), sharding_rules=jg.sharding.fully_sharded())


def _grain_fit(folder: Path) -> dict[str, Any]:
    import grain

    x, y = _numbers(48, 6, 4)
    rows = grain.MapDataset.source(range(48)).shuffle(seed=3).map(lambda row: (x[row], y[row]))
    stopping = jg.callbacks.EarlyStopping("accuracy", patience=3)
    source = rows.repeat(None).batch(8).to_iter_dataset()
    return {"x": source, "epochs": 5, "steps_per_epoch": 5, "callbacks": [stopping]}


SCENARIOS = {
    "dropout": Scenario(_noisy, _dropout_fit),
    "statistics": Scenario(_statistics, _statistics_fit),
    "text": Scenario(_text, _text_fit),
    "outputs": Scenario(_outputs, _outputs_fit),
    "mesh": Scenario(_mesh, _dropout_fit),
    "grain": Scenario(_noisy, _grain_fit),
}


def train(name: str, folder: Path, *, is_saved: bool = True, callbacks: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Trains one scenario to its end; what came out, each part as a digest of its bits.

    Args:
        folder: callbacks write to "files" in it, checkpoints to "run", where they are wanted.
        callbacks: beside the scenario's own.
    """
    scenario, files = SCENARIOS[name], folder / "files"
    trainer, given = scenario.trainer(), scenario.fit(files)
    watching = given.pop("callbacks")
    resume = Checkpoints(folder / "run", every_steps=2, keep_last=2) if is_saved else None
    state, history = trainer.fit(
        trainer.init(jax.random.key(5)), **given, callbacks=[*watching, *callbacks], verbose=0, resume=resume
    )
    parts = {"params": state.params, "model_state": state.model_state, "opt_state": state.opt_state}
    parts |= {"key": jax.random.key_data(state.key), "step": state.step}
    parts |= {"callbacks": [one.memory() for one in watching]}
    digests = {part: digest(tree) for part, tree in parts.items()}
    written = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files.glob("*"))}
    return {**digests, "history": dataclasses.asdict(history), "files": written}


def digest(tree: Any) -> str:
    """SHA-256 of the paths, dtypes, shapes and bits of a tree's arrays."""
    total = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        total.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode() + array.tobytes())
    return total.hexdigest()
