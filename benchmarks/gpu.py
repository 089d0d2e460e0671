"""On a GPU: the chapter's graphs, Inception V3 and Xception beside hand-written Flax and PyTorch, in two precisions.

Run as ``python -m benchmarks.gpu --save benchmarks/results/gpu.json``. Each row is a process of its own: one framework,
one workload, one precision. It makes some training steps that do not count, then times the others one by one, and says
the median, the peak of the device's memory, and which share of the chip's peak the counted floating-point operations
come to: a forward pass as `graph.summary(cost=True)` counts it, three times. Frameworks that are not installed are left
out. The file has the machine and all versions. ``--tiny`` runs a row of each on any device, to see that it works.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.util
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.workloads import WORKLOADS, Workload

FRAMEWORKS = {"jaxgraphs": "jax", "linen": "flax", "torch": "torch"}
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
    """A step of hand-written Linen and Optax: params float32, computed with in `precision`, losses float32."""
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
    compiled = jax.jit(train, donate_argnums=0)

    def step() -> float:
        nonlocal state
        # Linen's LSTM carries float32, whatever it reads.
        with jax.numpy_dtype_promotion("standard"):
            state, value = compiled(state, x, y)
        return float(value)

    return step, _peak_of_jax


def torch(workload: Workload, precision: str) -> tuple[Step, Callable[[], int | None]]:
    """A step of PyTorch, under autocast where it is not float32, images channels-last."""
    import torch

    from benchmarks.peers import torch_models as peer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    model = peer.MODELS[workload.name]().to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.RMSprop(model.parameters(), 1e-3, alpha=0.9, eps=1e-7)
    x, y = ([tensor.to(device) for tensor in peer._tensors(arrays)] for arrays in workload.data())

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            outputs = model(x)
        terms = zip(workload.losses, outputs, y, strict=True)
        loss = sum(peer._LOSSES[name](output.float(), target) for name, output, target in terms)
        loss.backward()
        optimizer.step()
        return float(loss)

    return step, lambda: torch.cuda.max_memory_allocated() if device == "cuda" else None


def _peak_of_jax() -> int | None:
    import jax

    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


BUILDERS = {"jaxgraphs": ours, "linen": linen, "torch": torch}


def operations(workload: Workload) -> int:
    """Floating-point operations of a training step: three forward passes, one forward and two backward."""
    import jaxgraphs as jg
    from benchmarks.peers.ours import _MODELS

    graph = getattr(jg.models, _MODELS.get(workload.name, workload.name))()
    inputs = workload.data(1)[0]
    sizes = {name: array.shape[1:] for name, array in zip(graph.input_names, inputs, strict=True)}
    return 3 * (graph.summary(cost=True, batch_size=workload.batch, sizes=sizes).totals.flops or 0)


def row(framework: str, workload: Workload, precision: str, steps: int, warm: int) -> dict[str, Any]:
    """One measurement."""
    step, peak = BUILDERS[framework](workload, precision)
    for _ in range(warm):
        step()
    seconds = [_timed(step) for _ in range(steps)]
    return {
        "framework": framework,
        "workload": workload.name,
        "precision": precision,
        "batch": workload.batch,
        "seconds": statistics.median(seconds),
        "fastest": min(seconds),
        "slowest": max(seconds),
        "memory": peak(),
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
    head = f"{row['workload']:20}{row['precision']:10}{row['framework']:10}"
    return f"{head}{row['seconds'] * 1e3:10.2f} ms a step{memory}{share}"


def apart(arguments: list[str]) -> dict[str, Any]:
    """One row, measured in a process of its own, whose memory is nobody else's."""
    environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    command = [sys.executable, "-m", "benchmarks.gpu", "--row", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Measures, prints, and writes the numbers where asked."""
    options = _options(argv)
    if options.row:
        framework, name, precision = options.row
        measured = row(framework, _sized(name, options.batch), precision, options.steps, options.warm)
        print(json.dumps(measured))
        return measured
    about, rows = machine(), []
    for name in options.workloads:
        flops = operations(_sized(name, options.batch))
        for precision, (framework, module) in itertools.product(PRECISIONS, FRAMEWORKS.items()):
            if importlib.util.find_spec(module) is not None:
                rows.append(shared(measure(options, framework, name, precision), flops, about["device"]))
                print(line(rows[-1]), flush=True)
    results = {"about": about, "rows": rows}
    if options.save:
        Path(options.save).write_text(json.dumps(results, indent=1) + "\n")
    return results


def measure(options: argparse.Namespace, framework: str, name: str, precision: str) -> dict[str, Any]:
    """One row, in a process of its own but where it is tiny."""
    if options.tiny:
        return row(framework, _sized(name, options.batch), precision, options.steps, options.warm)
    batch = [] if options.batch is None else ["--batch", str(options.batch)]
    return apart([framework, name, precision, "--steps", str(options.steps), "--warm", str(options.warm), *batch])


def _sized(name: str, batch: int | None) -> Workload:
    workload = WORKLOADS[name]
    return workload if batch is None else dataclasses.replace(workload, batch=batch)


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS), choices=WORKLOADS, help="which of them")
    parser.add_argument("--steps", type=int, default=50, help="how many steps are timed (50)")
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
