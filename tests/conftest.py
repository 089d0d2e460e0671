"""The whole run is strict: warnings are errors, dtypes and ranks never mix silently, and there are several devices."""

import importlib.util
import mmap
import os
from pathlib import Path

# Most of what the tests take is compiling programs that run once. Without its newer emitters, and with less
# optimisation, XLA takes three fifths of the time. A flag that it does not know would end the process.
QUICKLY = ("xla_cpu_use_fusion_emitters=false", "xla_backend_optimization_level=1")


def _known(flags):
    spec = importlib.util.find_spec("jaxlib")
    for path in Path(*spec.submodule_search_locations).glob("libjax_common.*"):
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as library:
            return [flag for flag in flags if library.find(flag.split("=")[0].encode()) >= 0]
    return []


if "XLA_FLAGS" not in os.environ:
    os.environ["XLA_FLAGS"] = " ".join(f"--{flag}" for flag in _known(QUICKLY))
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


def pytest_addoption(parser):
    parser.addoption("--random-graphs", type=int, default=0, metavar="N", help="compare N random graphs with Keras")
