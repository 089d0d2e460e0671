"""EinsumDense in the forms that its equation may have."""

import keras

from jaxgraphs.layers import einsum
from tests.layers.case import Case


def case(name, shape, bias=True, **options):
    """EinsumDense with options."""
    weights = ["params/kernel", "params/bias"] if bias else ["params/kernel"]
    return Case(
        f"einsum_{name}",
        lambda: einsum.EinsumDense(**options),
        lambda: keras.layers.EinsumDense(**options),
        [shape],
        weights,
    )


CASES = [
    case("dense", (3, 4), equation="ab,bc->ac", output_shape=5, bias_axes="c", activation="relu"),
    case("sequence", (2, 3, 4), equation="abc,cd->abd", output_shape=(None, 5), bias_axes="d"),
    case("heads", (2, 3, 4), equation="abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de"),
    case("no_bias", (2, 3, 4), False, equation="abc,cd->abd", output_shape=(None, 5)),
    case("left", (2, 3, 4), equation="...x,xy->...y", output_shape=5, bias_axes="y"),
    case("right", (2, 3, 4), equation="ab...,bc->ac...", output_shape=5, bias_axes="c"),
    case("bias_in_the_middle", (2, 3, 4), equation="abc,cd->abd", output_shape=(3, 5), bias_axes="b"),
    case("flipped", (2, 3, 4), equation="abc,dc->abd", output_shape=(3, 5), bias_axes="bd"),
]
