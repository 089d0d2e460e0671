"""The whole run is strict: warnings are errors, dtypes and ranks never mix silently, and there are several devices."""

import os
import subprocess
import sys

# Most of what the tests take is compiling programs that run once. Without its newer emitters, and with less
# optimisation, XLA takes three fifths of the time.
QUICKLY = ("--xla_cpu_use_fusion_emitters=false", "--xla_backend_optimization_level=1")


def _is_known(flag):
    """Whether XLA knows it: a flag that it does not know ends the process, so another one is asked."""
    environment = {**os.environ, "XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu"}
    return not subprocess.run(
        [sys.executable, "-c", "import jax; jax.devices()"], env=environment, capture_output=True
    ).returncode


# Once: the processes that run the tests have it from this one.
if "XLA_FLAGS" not in os.environ:
    os.environ["XLA_FLAGS"] = " ".join(filter(_is_known, QUICKLY))
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")

import jax  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


def pytest_addoption(parser):
    parser.addoption("--random-graphs", type=int, default=0, metavar="N", help="compare N random graphs with Keras")
