"""Every architecture of keras.applications, ported with random weights and compared with Keras: name, params, error.

python benchmarks/keras_applications.py [NAME ...]
"""

from __future__ import annotations

import os
import sys
import time
import warnings

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import numpy as np

from jaxgraphs.graph.count import count
from jaxgraphs.io.keras.read import from_keras

SIZES = {
    **{"Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75, "NASNetLarge": 331, "NASNetMobile": 224},
    **dict.fromkeys(("ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge"), 64),
}
"""Height and width; 32 where nothing is said. NASNet's top fixes its size."""


def architectures() -> list[str]:
    """The names of the 40 builders."""
    import keras

    return sorted(name for name, thing in vars(keras.applications).items() if name[0].isupper() and callable(thing))


def build(name: str):
    """Keras' model with weights that are not its first ones, so that every array matters."""
    import keras

    size = SIZES.get(name, 32)
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), include_top=False, pooling="avg"
    )
    random = np.random.default_rng(0)
    for weight in model.weights:
        last = weight.path.rsplit("/", 1)[-1]
        # Scales below 1, or hundreds of layers make of each rounding an error that Keras itself shows between runs.
        if last in ("gamma", "moving_variance"):
            weight.assign(random.uniform(*((0.4, 0.8) if last == "gamma" else (0.8, 1.2)), weight.shape))
        elif last in ("bias", "beta", "moving_mean"):
            weight.assign(random.normal(0, 0.1, weight.shape))
    return model, random.uniform(0, 255, (2, size, size, 3)).astype(np.float32)


def compare(name: str) -> tuple[int, bool, float]:
    """The number of weights, whether Keras counts as many of each kind, and the largest relative error."""
    model, pictures = build(name)
    expected = np.asarray(model.predict(pictures, verbose=0))
    graph, variables = from_keras(model)
    outputs = np.asarray(jax.jit(graph.apply)(variables, pictures))
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)

    counted = count(graph)
    agrees = (counted.total, counted.trainable) == (model.count_params(), trainable)
    return counted.total, agrees, float(np.max(np.abs(outputs - expected)) / np.max(np.abs(expected)))


def main(names: list[str]) -> int:
    """Prints the table; 1 where one of them does not agree."""
    warnings.simplefilter("ignore")
    failures = 0
    print(f"{'name':<20}{'params':>12}{'counts':>8}{'error':>10}{'seconds':>9}")
    for name in names or architectures():
        start = time.perf_counter()
        try:
            params, agrees, error = compare(name)
        except Exception as problem:
            failures += 1
            print(f"{name:<20} {type(problem).__name__}: {problem}", flush=True)
            continue
        failures += not agrees or error > 1e-5
        counts, seconds = "same" if agrees else "differ", time.perf_counter() - start
        print(f"{name:<20}{params:>12,}{counts:>8}{error:>10.1e}{seconds:>9.1f}", flush=True)
    return min(failures, 1)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
