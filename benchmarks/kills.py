"""Runs that are killed at random moments, again and again, and must end as if nothing had happened.

    python -m benchmarks.kills --kills 200 --out docs/kills.json

A child process trains with `resume=`; SIGKILL ends it at a random moment: between two steps, in a step, in the midst
of writing a checkpoint. It is started again until it ends by itself. Then params, model state, optimizer state, history
and what the callbacks remember must equal, bit for bit, those of the same training without any checkpoint or kill.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxgraphs as jg
from jaxgraphs import layers
from jaxgraphs.training.checkpoint import Checkpoints

ROOT = Path(__file__).parent.parent


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One training: what `Trainer` and what `fit` are given; made anew each time."""

    trainer: Callable[[], jg.Trainer]
    fit: Callable[[], dict[str, Any]]


def _numbers(count: int, width: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(7)
    x = generator.normal(size=(count, width)).astype(np.float32)
    return x, (np.abs(x[:, 0] * 3) + generator.integers(0, 2, count)).astype(np.int32) % classes


def _dropout() -> jg.Trainer:
    x = jg.Input((6,), name="x")
    hidden = layers.Dropout(0.3)(layers.Dense(16, activation="relu")(x))
    graph = jg.Graph(x, layers.Dense(3, activation="softmax")(layers.GaussianNoise(0.1)(hidden)))
    return jg.Trainer(graph, "adam", "sparse_categorical_crossentropy", metrics=["accuracy"])


def _dropout_fit() -> dict[str, Any]:
    x, y = _numbers(50, 6, 3)
    stopping = jg.callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True)
    return {"x": x, "y": y, "epochs": 6, "batch_size": 8, "validation_split": 0.2, "callbacks": [stopping]}


def _statistics() -> jg.Trainer:
    x = jg.Input((6, 6, 1), name="image")
    hidden = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", use_bias=False)(x))
    hidden = layers.GlobalAveragePooling2D()(layers.Activation("relu")(hidden))
    graph = jg.Graph(x, layers.Dense(2, activation="softmax")(layers.Dropout(0.2)(hidden)))
    return jg.Trainer(graph, "nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])


def _statistics_fit() -> dict[str, Any]:
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


def _text_fit() -> dict[str, Any]:
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


def _outputs_fit() -> dict[str, Any]:
    x, y = _numbers(40, 5, 2)
    targets = {"amount": x[:, :1], "kind": y[:, None]}
    both = [
        jg.callbacks.ReduceLROnPlateau("val_loss", patience=1, min_delta=0.5),
        jg.callbacks.EarlyStopping("val_kind_auc", mode="max", patience=2),
    ]
    held_out = x[:9], {name: value[:9] for name, value in targets.items()}
    return {"x": x, "y": targets, "epochs": 6, "batch_size": 8, "validation_data": held_out, "callbacks": both}


SCENARIOS = {
    "dropout": Scenario(_dropout, _dropout_fit),
    "statistics": Scenario(_statistics, _statistics_fit),
    "text": Scenario(_text, _text_fit),
    "outputs": Scenario(_outputs, _outputs_fit),
}


def train(name: str, directory: str | None, callbacks: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Trains one scenario to its end; what came out, each part as a digest of its bits."""
    scenario = SCENARIOS[name]
    trainer, given = scenario.trainer(), scenario.fit()
    watching = given.pop("callbacks")
    resume = None if directory is None else Checkpoints(directory, every_steps=2, keep_last=2)
    state, history = trainer.fit(
        trainer.init(jax.random.key(5)), **given, callbacks=[*watching, *callbacks], verbose=0, resume=resume
    )
    parts = {"params": state.params, "model_state": state.model_state, "opt_state": state.opt_state}
    parts |= {"key": jax.random.key_data(state.key), "step": state.step}
    parts |= {"callbacks": [one.memory() for one in watching]}
    return {part: _digest(tree) for part, tree in parts.items()} | {"history": dataclasses.asdict(history)}


def _digest(tree: Any) -> str:
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


class Dies(jg.callbacks.Callback):
    """Kills its own process at the event of a number: a step's beginning or end, or a call that commits files."""

    def __init__(self, at: int) -> None:
        self.left = at
        for name in ("fsync", "rename"):
            setattr(os, name, self._counted(getattr(os, name)))

    def on_batch_begin(self, run: Any) -> None:
        """One event."""
        self._count()

    def on_batch_end(self, run: Any) -> None:
        """One event."""
        self._count()

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._count()
            return function(*args, **kwargs)

        return counted


def run_child(name: str, directory: Path, *, die_at: int = 0, die_after: float = 0.0) -> dict[str, Any] | None:
    """Starts the training once more; its result, or None where it was killed.

    Args:
        die_at: the event at which it kills itself; `die_after`: the seconds after its first step at which it is killed.
    """
    command = [sys.executable, "-m", "benchmarks.kills", "--child", name, str(directory), str(die_at)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    if die_after and child.stdout.readline() == "training\n":
        time.sleep(die_after)
        child.kill()
    lines = child.communicate()[0].splitlines()
    if child.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"the child of {name} failed with status {child.returncode}")
    return json.loads(lines[-1]) if child.returncode == 0 else None


class _Tells(jg.callbacks.Callback):
    """Says when training begins."""

    def on_batch_begin(self, run: Any) -> None:
        if not getattr(self, "has_told", False):
            print("training", flush=True)
        self.has_told = True


def _child(name: str, directory: str, die_at: str) -> None:
    jax.config.update("jax_compilation_cache_dir", str(Path(tempfile.gettempdir()) / "jaxgraphs-kills"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    print(json.dumps(train(name, directory, (_Tells(), *((Dies(int(die_at)),) if int(die_at) else ())))))


def survive(name: str, kills: int, generator: random.Random, expected: dict[str, Any], report: Any) -> dict[str, Any]:
    """One run that is killed up to `kills` times; how it went.

    Half of the kills come at a random time, half at a random event, of which many lie within a save.
    """
    made = in_saves = 0
    with tempfile.TemporaryDirectory() as place:
        directory, result = Path(place) / "run", None
        while result is None:
            is_event = generator.random() < 0.5
            at, after = (generator.randrange(1, 60), 0.0) if is_event else (0, generator.uniform(0.01, 1.5))
            result = (
                run_child(name, directory, die_at=at, die_after=after) if made < kills else run_child(name, directory)
            )
            if result is None:
                made += 1
                in_saves += any(directory.glob(".unfinished-*"))
                report(made)
    differing = [part for part in expected if result[part] != expected[part]]
    return {"scenario": name, "kills": made, "in_saves": in_saves, "differing": differing}


def main() -> None:
    """The command."""
    if sys.argv[1:2] == ["--child"]:
        _child(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--per-run", type=int, default=10, help="kills of one run before it may end")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where the result is written, as JSON")
    given = parser.parse_args()
    generator, runs = random.Random(given.seed), []
    expected = {name: json.loads(json.dumps(train(name, None))) for name in SCENARIOS}
    while (made := sum(run["kills"] for run in runs)) < given.kills:
        name = list(SCENARIOS)[len(runs) % len(SCENARIOS)]
        show = partial(_show, name, made, given.kills)
        runs.append(survive(name, min(given.per_run, given.kills - made), generator, expected[name], show))
        print(f"\n{name}: {', '.join(runs[-1]['differing']) or 'nothing'} differs", flush=True)
    total = _total(runs)
    print("\n| kills | within a save | runs | runs that differ |\n|---|---|---|---|")
    print(f"| {' | '.join(map(str, total.values()))} |")
    if given.out:
        result = {"total": total, "runs": runs, "jax": jax.__version__}
        given.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    sys.exit(1 if total["differing"] else 0)


def _show(name: str, before: int, wanted: int, kills: int) -> None:
    print(f"\r{before + kills} of {wanted} kills, {name}   ", end="", flush=True)


def _total(runs: list[dict[str, Any]]) -> dict[str, int]:
    sums = {name: sum(run[name] for run in runs) for name in ("kills", "in_saves")}
    return {**sums, "runs": len(runs), "differing": sum(bool(run["differing"]) for run in runs)}


if __name__ == "__main__":
    main()
