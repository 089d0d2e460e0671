"""Keras as the judge of losses, metrics and optimizers, in float32 or float64."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

import keras

from tests.oracle import keras_rules

PROMOTIONS = "keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE"


@contextlib.contextmanager
def keras_in(dtype: str = "float32") -> Iterator[None]:
    """Keras' own rules with `dtype` as its float; on JAX it would round float64 to float32 in every mean."""
    kept = {"float64": "float64"} if dtype == "float64" else {}
    with keras_rules(), mock.patch.dict(PROMOTIONS, kept):
        keras.config.set_floatx(dtype)
        try:
            yield
        finally:
            keras.config.set_floatx("float32")
