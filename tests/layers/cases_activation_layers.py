"""ReLU, LeakyReLU, PReLU, ELU and Softmax, with arguments."""

import keras

from jaxgraphs.layers import activation_layers as ours
from tests.layers.case import Case

theirs = keras.layers

CASES = [
    *[
        Case(f"relu_{index}", lambda o=o: ours.ReLU(**o), lambda o=o: theirs.ReLU(**o), [(3, 5)])
        for index, o in enumerate(
            [
                {},
                {"max_value": 1.0},
                {"max_value": 6},
                {"negative_slope": 0.1},
                {"threshold": 0.5},
                {"max_value": 1.0, "negative_slope": 0.2, "threshold": 0.3},
                {"max_value": 0.7, "negative_slope": 0.2},
            ]
        )
    ],
    Case("leaky_relu", lambda: ours.LeakyReLU(), lambda: theirs.LeakyReLU(), [(3, 5)]),
    Case("leaky_relu_slope", lambda: ours.LeakyReLU(0.1), lambda: theirs.LeakyReLU(0.1), [(3, 5)]),
    Case("prelu", lambda: ours.PReLU(), lambda: theirs.PReLU(), [(2, 3, 4)], ["params/alpha"]),
    Case(
        "prelu_shared",
        lambda: ours.PReLU(shared_axes=[1, 2]),
        lambda: theirs.PReLU(shared_axes=[1, 2]),
        [(2, 3, 4, 5)],
        ["params/alpha"],
    ),
    Case(
        "prelu_one_axis",
        lambda: ours.PReLU(shared_axes=1),
        lambda: theirs.PReLU(shared_axes=1),
        [(2, 3, 4)],
        ["params/alpha"],
    ),
    Case("elu", lambda: ours.ELU(), lambda: theirs.ELU(), [(3, 5)]),
    Case("elu_alpha", lambda: ours.ELU(0.5), lambda: theirs.ELU(0.5), [(3, 5)]),
    Case("softmax", lambda: ours.Softmax(), lambda: theirs.Softmax(), [(3, 5)]),
    Case("softmax_axis", lambda: ours.Softmax(axis=1), lambda: theirs.Softmax(axis=1), [(3, 5, 2)]),
    Case("softmax_axes", lambda: ours.Softmax(axis=[1, 2]), lambda: theirs.Softmax(axis=[1, 2]), [(3, 5, 2)]),
    Case("softmax_mask", lambda: ours.Softmax(), lambda: theirs.Softmax(), [(3, 5)], mask=(3, 5)),
]
