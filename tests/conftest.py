"""The whole run is strict: warnings are errors, dtypes and ranks never mix silently, and there are several devices."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


def pytest_addoption(parser):
    parser.addoption("--random-graphs", type=int, default=0, metavar="N", help="compare N random graphs with Keras")
