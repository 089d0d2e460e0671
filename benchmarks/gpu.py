"""On a GPU: the chapter's graphs, Inception V3 and Xception beside hand-written Flax and PyTorch, in two precisions.

Run as ``python -m benchmarks.gpu --save benchmarks/results/gpu.json``. Each row is a process of its own: one framework,
one workload, one precision. Those of some workloads are built side by side, and make the steps that do not count one
process after another, as compilers choose algorithms by what they measure. Then all of them wait and take turns: one
process at a time is timed, step by step. A row has the median (with ``--repeats`` that of several processes, whose
programs may differ), the peak of the device's memory, and which share of the chip's peak the counted floating-point
operations come to: a forward pass as `graph.summary(cost=True)` counts it, three times. Frameworks that are not
installed are left out, and what fails or is not ready in time is named. The file has the machine and all versions; rows
that it has already of the same machine stay. ``--tiny`` runs a row of each on any device, to see that it works.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import importlib.util
import itertools
import json
import os
import platform
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.workloads import WORKLOADS, Workload

FRAMEWORKS = {"jaxgraphs": "jax", "linen": "flax", "torch": "torch", "torch_compiled": "torch"}
PRECISIONS = ("float32", "bfloat16")
# Floating-point operations a second without sparsity, by the vendor's data sheets: float32 on tensor cores (TF32,
# which JAX uses for float32 by default), and bfloat16.
PEAKS = {"A100": (156e12, 312e12), "H100": (494.7e12, 989.4e12), "H200": (494.7e12, 989.4e12), "L4": (60e12, 121e12)}
Step = Callable[[], float]


def ours(workload: Workload, precision: str) -> tuple[Step, Callable[[], int | None]]:
    """A step of jaxgraphs, and the peak of memory."""
    from benchmarks.peers.ours import build

    return build(workload, precision=precision).step, _peak_of_jax


def linen(workload: Workload, precision: str) -> tuple[Step, Callable[[], int | None]]:
    """A step of hand-written Linen and Optax."""
    import jax

    compiled, (state, x, y) = linen_program(workload, precision)

    def step() -> float:
        nonlocal state
        # Linen's LSTM carries float32, whatever it reads.
        with jax.numpy_dtype_promotion("standard"):
            state, value = compiled(state, x, y)
        return float(value)

    return step, _peak_of_jax


def linen_program(workload: Workload, precision: str) -> tuple[Any, tuple[Any, Any, Any]]:
    """(state, x, y) -> (state, loss), jitted, and the first of these: params float32, computed with in `precision`."""
    import jax
    import jax.numpy as jnp
    import optax

    from benchmarks.peers import linen as peer

    model, optimizer = peer.MODELS[workload.name](), optax.rmsprop(1e-3, decay=0.9, eps=1e-7)
    x, y = (jax.device_put(arrays) for arrays in workload.data())

    def lowered(tree: Any) -> Any:
        return jax.tree.map(lambda a: a.astype(precision) if jnp.issubdtype(a.dtype, jnp.floating) else a, tree)

    def loss(params: Any, stats: Any, x: Any, y: Any) -> Any:
        variables = {"params": lowered(params), "batch_stats": stats}
        outputs, new = model.apply(variables, lowered(x), train=True, mutable=["batch_stats"])
        terms = zip(workload.losses, outputs, y, strict=True)
        return sum(
            jnp.mean(peer._LOSSES[name](output.astype("float32"), target)) for name, output, target in terms
        ), new

    def train(state: Any, x: Any, y: Any) -> Any:
        params, stats, moments = state
        (value, new), gradients = jax.value_and_grad(loss, has_aux=True)(params, stats, x, y)
        changes, moments = optimizer.update(gradients, moments, params)
        return (optax.apply_updates(params, changes), new.get("batch_stats", {}), moments), value

    variables = jax.jit(lambda key: model.init(key, x, train=False))(jax.random.key(0))
    state = (variables["params"], variables.get("batch_stats", {}), optimizer.init(variables["params"]))
    return jax.jit(train, donate_argnums=0), (state, x, y)


def torch(workload: Workload, precision: str, *, is_compiled: bool = False) -> tuple[Step, Callable[[], int | None]]:
    """A step of PyTorch, under autocast where it is not float32, images channels-last."""
    import torch

    from benchmarks.peers import torch_models as peer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    model = peer.MODELS[workload.name]().to(device, memory_format=torch.channels_last).train()
    run: Any = torch.compile(model) if is_compiled else model
    optimizer = torch.optim.RMSprop(model.parameters(), 1e-3, alpha=0.9, eps=1e-7)
    x, y = ([tensor.to(device) for tensor in peer._tensors(arrays)] for arrays in workload.data())

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            outputs = run(x)
        terms = zip(workload.losses, outputs, y, strict=True)
        loss = sum(peer._LOSSES[name](output.float(), target) for name, output, target in terms)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step, lambda: torch.cuda.max_memory_allocated() if device == "cuda" else None


def _peak_of_jax() -> int | None:
    import jax

    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


BUILDERS: dict[str, Any] = {
    "jaxgraphs": ours,
    "linen": linen,
    "torch": torch,
    "torch_compiled": partial(torch, is_compiled=True),
}


def operations(workload: Workload) -> int:
    """Floating-point operations of a training step: three forward passes, one forward and two backward."""
    import jaxgraphs as jg
    from benchmarks.peers.ours import _MODELS

    graph = getattr(jg.models, _MODELS.get(workload.name, workload.name))()
    inputs = workload.data(1)[0]
    sizes = {name: array.shape[1:] for name, array in zip(graph.input_names, inputs, strict=True)}
    return 3 * (graph.summary(cost=True, batch_size=workload.batch, sizes=sizes).totals.flops or 0)


class Row(NamedTuple):
    """What is measured by one process."""

    framework: str
    workload: str
    precision: str


class Measured:
    """A row that is built, with all that was timed of it.

    Args:
        row: what it is.
        batch: examples in a step; the workload's own where None.
    """

    def __init__(self, row: Row, batch: int | None) -> None:
        self.row, self.batch, self.seconds = row, _sized(row.workload, batch).batch, []
        began = time.perf_counter()
        self.step, self.peak = BUILDERS[row.framework](_sized(row.workload, batch), row.precision)
        self.ready = time.perf_counter() - began

    def warm(self, steps: int) -> None:
        """Steps that do not count; the first compiles."""
        began = time.perf_counter()
        for _ in range(steps):
            self.step()
        self.ready += time.perf_counter() - began

    def time(self, steps: int) -> None:
        """Some steps, each by itself, after one that brings the device's clock up."""
        self.step()
        self.seconds += [_timed(self.step) for _ in range(steps)]

    def result(self) -> dict[str, Any]:
        """As the file has it."""
        return {
            **self.row._asdict(),
            "batch": self.batch,
            "seconds": statistics.median(self.seconds),
            "fastest": min(self.seconds),
            "slowest": max(self.seconds),
            "ready": self.ready,
            "memory": self.peak(),
        }


def _timed(step: Step) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def shared(row: dict[str, Any], flops: int, device: str) -> dict[str, Any]:
    """The row with the share of the chip's peak, where that is known."""
    peaks = next((peaks for name, peaks in PEAKS.items() if name in device), None)
    peak = None if peaks is None else peaks[PRECISIONS.index(row["precision"])]
    return row | {"flops": flops, "share_of_peak": None if peak is None else flops / row["seconds"] / peak}


def machine() -> dict[str, Any]:
    """The device, the machine and the versions of all that is measured."""
    import jax

    names = ("jax", "jaxlib", "flax", "optax", "numpy", "torch")
    found = [name for name in names if importlib.util.find_spec(name)]
    versions = {name: importlib.import_module(name).__version__ for name in found}
    device = jax.devices()[0]
    return {"device": device.device_kind, "platform": device.platform, "machine": platform.platform(), **versions}


def line(row: dict[str, Any]) -> str:
    """A row as text."""
    memory = "" if row["memory"] is None else f"{row['memory'] / 2**20:8.0f} MiB"
    share = "" if row["share_of_peak"] is None else f"{row['share_of_peak']:8.1%} of peak"
    head = f"{row['workload']:20}{row['precision']:10}{row['framework']:16}"
    return f"{head}{row['seconds'] * 1e3:10.2f} ms a step{memory}{share}"


class Worker:
    """A row in a process of its own, whose memory is nobody else's: it builds, and then does what it is told."""

    def __init__(self, row: Row, options: argparse.Namespace) -> None:
        self.row = row
        environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TORCHINDUCTOR_COMPILE_THREADS": "4"}
        batch = [] if options.batch is None else ["--batch", str(options.batch)]
        command = [sys.executable, "-m", "benchmarks.gpu", "--row", *row, *batch]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, env=environment, stdin=pipe, stdout=pipe, stderr=self.errors, text=True, bufsize=1
        )

    def answer(self, until: float) -> str | None:
        """The next line, or None where there is none by that time, or the process has ended."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))
        return (self.process.stdout.readline().strip() or None) if readable else None

    def ask(self, what: str, until: float | None = None) -> str | None:
        """What it answers, within a minute where no time is given."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(what + "\n")
        return self.answer(time.monotonic() + 60 if until is None else until)

    def end(self) -> str:
        """Ends it; the last line of its complaints."""
        self.process.kill()
        self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return lines[-1][:300] if lines else "not ready in time"


def measure(rows: Sequence[Row], options: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Rows built at one time and timed in turns; and why others were not."""
    workers = [Worker(row, options) for row in rows for _ in range(options.repeats)]
    until = time.monotonic() + options.patience
    built = [worker for worker in workers if worker.answer(until) == "built"]
    with ThreadPoolExecutor(options.compile_at_once) as pool:
        answers = list(pool.map(lambda worker: worker.ask(f"warm {options.warm}", until), built))
    ready = [worker for worker, answer in zip(built, answers, strict=True) if answer == "done"]
    failed = {"/".join(worker.row): worker.end() for worker in workers if worker not in ready}
    for _ in range(options.turns):
        for worker in ready:
            worker.ask(f"time {options.steps // options.turns}")
    found = [json.loads(answer) for worker in ready if (answer := worker.ask("result"))]
    for worker in ready:
        worker.end()
    return joined(found), failed


def joined(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row of each that several processes measured: the median of their medians."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in found:
        groups.setdefault(_name(row), []).append(row)
    chosen = {"seconds": statistics.median, "fastest": min, "slowest": max, "ready": max}
    return [
        rows[0]
        | {key: choose([row[key] for row in rows]) for key, choose in chosen.items()}
        | {"processes": [row["seconds"] for row in rows]}
        for rows in groups.values()
    ]


def serve(row: Row, batch: int | None) -> None:
    """What a row's process does: builds, says so, and does what it is told on its standard input."""
    measured = Measured(row, batch)
    print("built", flush=True)
    for line in sys.stdin:
        what, *numbers = line.split()
        told = {"warm": measured.warm, "time": measured.time}.get(what)
        if told is not None:
            told(*map(int, numbers))
        print(json.dumps(measured.result()) if told is None else "done", flush=True)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Measures, prints, and writes the numbers where asked."""
    options = _options(argv)
    if options.row:
        serve(Row(*options.row), options.batch)
        return {}
    about, rows, failed = machine(), [], {}
    installed = [name for name in options.frameworks if importlib.util.find_spec(FRAMEWORKS[name])]
    wanted = [Row(*each) for each in itertools.product(installed, options.workloads, PRECISIONS)]
    wanted.sort(key=lambda row: options.workloads.index(row.workload))
    # Counted while compilers run.
    pool = ThreadPoolExecutor(1)
    flops = {name: pool.submit(operations, _sized(name, options.batch)) for name in options.workloads}
    for start in range(0, len(wanted), options.at_once):
        found, missing = _measured(wanted[start : start + options.at_once], options)
        failed |= missing
        rows += [shared(row, flops[row["workload"]].result(), about["device"]) for row in found]
        print(
            "\n".join([*map(line, rows[-len(found) :]), *(f"{name}: {why}" for name, why in missing.items())]),
            flush=True,
        )
        if options.save:
            _save(Path(options.save), about, rows)
    return {"about": about, "rows": rows, "failed": failed}


def _measured(rows: Sequence[Row], options: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, str]]:
    if not options.tiny:
        return measure(rows, options)
    built = [Measured(row, options.batch) for row in rows]
    for each in built:
        each.warm(options.warm)
        each.time(options.steps)
    return joined([each.result() for each in built]), {}


def _save(path: Path, about: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Writes the rows, behind those of the same machine that the file has and that were not measured again."""
    old = json.loads(path.read_text()) if path.exists() else {}
    made = [_name(row) for row in rows]
    kept = [row for row in old.get("rows", []) if _name(row) not in made] if old.get("about") == about else []
    path.write_text(json.dumps({"about": about, "rows": [*kept, *rows]}, indent=1) + "\n")


def _name(row: dict[str, Any]) -> tuple[str, ...]:
    return row["framework"], row["workload"], row["precision"]


def _sized(name: str, batch: int | None) -> Workload:
    workload = WORKLOADS[name]
    return workload if batch is None else dataclasses.replace(workload, batch=batch)


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS), choices=WORKLOADS, help="which of them")
    parser.add_argument("--frameworks", nargs="+", default=list(FRAMEWORKS), choices=FRAMEWORKS, help="which of them")
    parser.add_argument("--steps", type=int, default=50, help="how many steps are timed (50)")
    parser.add_argument("--turns", type=int, default=2, help="in how many turns (2)")
    parser.add_argument("--repeats", type=int, default=1, help="in how many processes a row is measured (1)")
    parser.add_argument("--at-once", type=int, default=8, help="how many rows are built side by side (8)")
    parser.add_argument("--compile-at-once", type=int, default=1, help="how many of them compile at one time (1)")
    parser.add_argument("--patience", type=float, default=600, help="seconds after which a row is not waited for (600)")
    parser.add_argument("--warm", type=int, default=5, help="how many are made before (5)")
    parser.add_argument("--batch", type=int, help="examples in a step; each workload's own where left out")
    parser.add_argument("--save", metavar="FILE", help="write the numbers as JSON")
    parser.add_argument("--tiny", action="store_true", help="one small row of each framework, here")
    parser.add_argument("--row", nargs=3, metavar=("FRAMEWORK", "WORKLOAD", "PRECISION"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.tiny:
        options.workloads, options.steps, options.warm, options.batch = ["siamese_lstm"], 1, 1, 2
    return options


if __name__ == "__main__":
    main()
