"""The workloads in jaxgraphs."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

import jaxgraphs as jg
from benchmarks.workloads import Arrays, Subject, Workload

_MODELS: dict[str, str] = {"inception_v3": "InceptionV3", "xception": "Xception"}


def graph_of(workload: Workload) -> jg.Graph:
    """The graph of the catalogue."""
    return getattr(jg.models, _MODELS.get(workload.name, workload.name))()


def build(workload: Workload, **options: Any) -> Subject:
    """The graph of the catalogue, trained by a Trainer; `options` are more arguments of it."""
    graph = graph_of(workload)
    trainer = jg.Trainer(graph, "rmsprop", list(workload.losses), **options)
    state = trainer.init(jax.random.key(0))
    x, y = (jax.device_put(arrays) for arrays in workload.data())

    def step() -> float:
        nonlocal state
        state, logs = trainer.train_step(state, (x, y))
        return float(logs["loss"])

    def fit(inputs: Arrays, targets: Arrays) -> None:
        nonlocal state
        state, _ = trainer.fit(state, inputs, targets, batch_size=workload.batch, verbose=0)

    def predict(inputs: Arrays) -> Any:
        return trainer.predict(state, inputs, batch_size=len(inputs[0]))

    return Subject(step, fit, predict, jax.clear_caches)


def versions() -> dict[str, str]:
    """What is measured."""
    return {"jaxgraphs": jg.__version__, "jax": jax.__version__, "numpy": np.__version__}
