"""How many kernels a training step is on a GPU, beside hand-written Flax; without a GPU, for XLA needs its data alone.

Run as ``JAX_SKIP_CUDA_CONSTRAINTS_CHECK=1 JAX_PLATFORMS=cpu python -m benchmarks.gpu_kernels`` where ``jax[cuda13]`` is
installed. What XLA would choose by measuring, such as algorithms of convolutions, is left at its default. Recurrent
graphs are left out: which of the passes rewrite them depends on the device that is there.
"""

from __future__ import annotations

import argparse
import re
from typing import Any

import jax
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

import jaxgraphs as jg
from benchmarks import gpu
from benchmarks.peers import ours
from benchmarks.workloads import WORKLOADS, Workload

# An NVIDIA H200 as XLA describes devices, by the vendor's data sheet.
H200 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
  shared_memory_per_block: 49152 shared_memory_per_core: 233472 shared_memory_per_block_optin: 232448
  core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 4800000000000 l2_cache_size: 62914560 device_memory_size: 150754820096
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  cuda_compute_capability { major: 9 minor: 0 feature_extension: ACCELERATED_FEATURES }
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 12 }
device_description_str: "NVIDIA H200"
"""
NAMES = ("social_posts", "inception_module", "residual_block", "inception_v3", "xception")
# What is no kernel.
_FREE = ("parameter", "get-tuple-element", "bitcast", "tuple", "constant")
_CALL = re.compile(r"\s+(?:ROOT )?%?\S+ = (?:\(.*?\)|\S+) ([a-z0-9\-]+)\(")


def kernels(program: str) -> int:
    """The calls of a compiled program's entry.

    >>> kernels("ENTRY %main () -> f32[2] {\\n  %p.1 = f32[2]{0} parameter(0)\\n  ROOT %a = f32[2]{0} fusion(%p.1)\\n}")
    1
    """
    found = map(_CALL.match, program[program.index("ENTRY") :].splitlines()[1:])
    return sum(match is not None and match[1] not in _FREE for match in found)


def ours_program(workload: Workload, precision: str) -> tuple[Any, Any]:
    """The step of a Trainer, and its arguments."""
    trainer = jg.Trainer(ours.graph_of(workload), "rmsprop", list(workload.losses), precision=precision)
    state = trainer.init(jax.random.key(0))
    return trainer._train_one, (state.replace(key=None), state.key, jax.device_put(workload.data()))


def main(argv: list[str] | None = None) -> None:
    """Compiles and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workloads", nargs="+", default=NAMES, choices=NAMES, help="which of them")
    names = parser.parse_args(argv).workloads
    topology = topologies.get_topology_desc(
        platform="cuda", topology_name="NVIDIA H200", target_config=H200, topology="1x1x1"
    )
    there = SingleDeviceSharding(topology.devices[0])
    for name in names:
        for precision in gpu.PRECISIONS:
            counts = {}
            for label, make in (("jaxgraphs", ours_program), ("linen", gpu.linen_program)):
                step, arguments = make(WORKLOADS[name], precision)
                placed = jax.tree.map(
                    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=there), arguments
                )
                with jax.numpy_dtype_promotion("standard"):
                    counts[label] = kernels(step.lower(*placed).compile().as_text())
            print(
                f"{name:20}{precision:10}" + "".join(f"{label:>12} {count}" for label, count in counts.items()),
                flush=True,
            )


if __name__ == "__main__":
    main()
