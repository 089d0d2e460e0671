"""Every architecture of keras.applications, ported with random weights and compared with Keras: name, params, error.

    python -m benchmarks.keras_applications [NAME ...] [--save]

With `--save` each result is written into results/keras_applications.json as it comes, beside those of other runs.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import numpy as np

from jaxgraphs.graph.count import count
from jaxgraphs.io.keras.read import from_keras

RESULTS = Path(__file__).parent / "results" / "keras_applications.json"
SIZES = {
    **{"Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75, "NASNetLarge": 331, "NASNetMobile": 224},
    **dict.fromkeys(("ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge"), 64),
}
"""Height and width; 32 where nothing is said. NASNet's top fixes its size."""


def architectures() -> list[str]:
    """The names of the 40 builders."""
    import keras

    return sorted(name for name, thing in vars(keras.applications).items() if name[0].isupper() and callable(thing))


def build(name: str, top: bool = True) -> tuple[Any, np.ndarray]:
    """Keras' model with weights that are not its first ones, so that every array matters; and pictures for it."""
    import keras

    size = SIZES.get(name, 32)
    keras.utils.set_random_seed(0)
    ending = {"classes": 10, "classifier_activation": None} if top else {"include_top": False, "pooling": "avg"}
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), **ending)
    random = np.random.default_rng(0)
    for weight in model.weights:
        last = weight.path.rsplit("/", 1)[-1]
        # Scales below 1, or hundreds of layers make of each rounding an error that Keras itself shows between runs.
        if last in ("gamma", "moving_variance"):
            weight.assign(random.uniform(*((0.4, 0.8) if last == "gamma" else (0.8, 1.2)), weight.shape))
        elif last in ("bias", "beta", "moving_mean"):
            weight.assign(random.normal(0, 0.1, weight.shape))
    return model, random.uniform(0, 255, (2, size, size, 3)).astype(np.float32)


def compare(name: str) -> dict[str, Any]:
    """The number of weights, whether Keras counts as many of each kind, and the largest relative error."""
    model, pictures = build(name)
    expected = np.asarray(model.predict(pictures, verbose=0))
    graph, variables = from_keras(model)
    outputs = np.asarray(jax.jit(graph.apply)(variables, pictures))
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)

    counted = count(graph)
    agrees = (counted.total, counted.trainable) == (model.count_params(), trainable)
    error = float(np.max(np.abs(outputs - expected)) / np.max(np.abs(expected)))
    return {"size": pictures.shape[1], "params": counted.total, "counts_agree": agrees, "relative_error": error}


def save(name: str, result: dict[str, Any]) -> None:
    """Puts one result beside the others in the file."""
    import keras

    RESULTS.parent.mkdir(exist_ok=True)
    known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    versions = {"jax": jax.__version__, "keras": keras.__version__, "device": jax.devices()[0].platform}
    merged = {**known, name: {**result, **versions}}
    RESULTS.write_text(json.dumps(dict(sorted(merged.items())), indent=1) + "\n", "utf-8")


def main(names: list[str], saves: bool) -> int:
    """Prints the table; 1 where one of them does not agree."""
    warnings.simplefilter("ignore")
    failures = 0
    print(f"{'name':<20}{'size':>5}{'params':>12}{'counts':>8}{'error':>10}{'seconds':>9}")
    for name in names or architectures():
        start = time.perf_counter()
        try:
            result = compare(name)
        except Exception as problem:
            failures += 1
            print(f"{name:<20} {type(problem).__name__}: {problem}", flush=True)
            continue
        if saves:
            save(name, result)
        error, counts = result["relative_error"], "same" if result["counts_agree"] else "differ"
        failures += not result["counts_agree"] or not error <= 1e-5
        seconds = time.perf_counter() - start
        print(
            f"{name:<20}{result['size']:>5}{result['params']:>12,}{counts:>8}{error:>10.1e}{seconds:>9.1f}", flush=True
        )
    return min(failures, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    raise SystemExit(main(given.names, given.save))
