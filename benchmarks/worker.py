"""One framework in a process of its own, kept alive: reads a request a line, answers with JSON a line.

{"do": "build", "workload": "siamese_lstm"}  {"do": "step", "seconds": 1.0}  {"do": "predict", "batch": 64}  ...
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.workloads import WORKLOADS, Subject, Workload

# name: the module, what it is built with, and environment variables that JAX and Keras read when they are imported.
PEERS: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "jaxgraphs": ("ours", {}, {}),
    "jaxgraphs, set up": ("ours", {}, {}),
    "jaxgraphs, no passes": ("ours", {"passes": None}, {}),
    "Flax Linen": ("linen", {}, {}),
    "Keras on JAX": ("keras_models", {}, {"KERAS_BACKEND": "jax"}),
    "Keras on TensorFlow": ("keras_models", {}, {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}),
    "PyTorch": ("torch_models", {}, {}),
}


# Seconds of a step that says enough when it is made once.
LONG = 8.0


class Worker:
    """Answers requests about one peer.

    Args:
        peer: its name in PEERS.
        cache: a directory for compiled programs, for those that run on JAX.
    """

    def __init__(self, peer: str, cache: str) -> None:
        module, self.options, environment = PEERS[peer]
        os.environ.update(environment)
        self.module = importlib.import_module(f"benchmarks.peers.{module}")
        if "jax" in sys.modules:
            config = sys.modules["jax"].config
            config.update("jax_compilation_cache_dir", cache)
            config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        self.workload: Workload
        self.subject: Subject | None = None

    def versions(self) -> dict[str, str]:
        """Of what is measured."""
        return self.module.versions()

    def build(self, workload: str) -> dict[str, Any]:
        """Builds and makes the first step, the second time from the cache; seconds."""
        self.subject = None
        gc.collect()
        self.workload, options = WORKLOADS[workload], self.options
        _forget_peak()
        found = {"cold": _timed(lambda: self._first(options))}
        if self.subject is not None and self.subject.forget is not None:
            self.subject.forget()
            self.subject = None
            found["warm"] = _timed(lambda: self._first(options))
        return found

    def _first(self, options: dict[str, Any]) -> None:
        self.subject = self.module.build(self.workload, **options)
        self.subject.step()

    def step(self, seconds: float) -> list[float]:
        """Seconds of each of some steps, for about so long; one before them is not counted, unless it is long."""
        subject = self._ready()
        first = _timed(subject.step)
        times = [first] if first > LONG else []
        while sum(times) < seconds:
            times.append(_timed(subject.step))
        return times

    def fit(self, steps: int) -> float:
        """Seconds per step of a whole fit."""
        inputs, targets = self.workload.data(self.workload.batch * steps)
        return _timed(lambda: self._ready().fit(inputs, targets)) / steps

    def predict(self, batch: int, seconds: float) -> list[float]:
        """Seconds of predicting so many examples, again and again."""
        inputs, _ = self.workload.data(batch)
        subject, times = self._ready(), []
        subject.predict(inputs)
        while sum(times) < seconds:
            times.append(_timed(lambda: subject.predict(inputs)))
        return times

    def peak(self) -> float:
        """MiB of memory at the most since the workload was built."""
        lines = Path("/proc/self/status").read_text("ascii").split("\n")
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), float("nan"))

    def _ready(self) -> Subject:
        assert self.subject is not None, "build comes first"
        return self.subject


def _timed(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _forget_peak() -> None:
    """Lets the process' peak of memory be counted anew; else it is that of all workloads so far."""
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:
        return


def main(peer: str, cache: str) -> None:
    """Answers until the other side is gone."""
    if peer == "jaxgraphs, set up":
        # This may begin the process anew, with the streams that it has now.
        importlib.import_module("jaxgraphs").setup(allocator=True, host_devices=2)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What frameworks print must not stand between the answers.
    os.dup2(2, 1)
    try:
        worker = Worker(peer, cache)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=answers, flush=True)
        return
    print(json.dumps({"versions": worker.versions()}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": getattr(worker, request.pop("do"))(**request)}
        except Exception as error:  # a peer that fails must not end the others
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
