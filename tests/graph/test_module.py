"""A graph inside Flax models: a submodule of a Linen model, and of an NNX model through Flax' bridge."""

import flax.linen as nn
import jax
import numpy as np
from flax import nnx

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.core import Dense, Dropout
from jaxgraphs.layers.norm import BatchNormalization
from jaxgraphs.symbolic.node import Input
from tests.oracle import assert_close, assert_trees_close

DATA = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


def graph():
    x = Input((4,), name="x")
    return Graph(x, Dropout(0.5)(BatchNormalization(name="norm")(Dense(3, name="dense")(x))), name="part")


PART = graph()


class Model(nn.Module):
    """A Linen model around the graph, called twice."""

    @nn.compact
    def __call__(self, x, train=False):
        part = PART.module()
        return nn.Dense(2)(part(x, train=train) + part(x * 2.0, train=train))


def test_the_module_is_the_graph():  # oracle: graph.init and graph.apply
    module, key = PART.module(), jax.random.key(0)
    variables = module.init(key, DATA)
    jax.tree.map(np.testing.assert_array_equal, variables, PART.init(key))
    np.testing.assert_array_equal(module.apply(variables, DATA), PART.apply(variables, DATA))
    rngs = {"dropout": jax.random.key(1)}
    ours = PART.apply(variables, DATA, train=True, rngs=rngs, mutable=["batch_stats"])
    theirs = module.apply(variables, DATA, train=True, rngs=rngs, mutable=["batch_stats"])
    assert_trees_close(theirs, ours, 1e-7)


def test_inside_a_linen_model():  # oracle: the graph and the dense layer by hand
    model = Model()
    variables = model.init(jax.random.key(0), DATA)
    assert set(variables["params"]) == {"GraphModule_0", "Dense_0"}
    part = {name: tree["GraphModule_0"] for name, tree in variables.items() if "GraphModule_0" in tree}
    head = variables["params"]["Dense_0"]
    hidden = PART.apply(part, DATA) + PART.apply(part, DATA * 2.0)
    assert_close(
        model.apply(variables, DATA), np.asarray(hidden) @ np.asarray(head["kernel"]) + np.asarray(head["bias"])
    )


def test_training_inside_a_linen_model():  # oracle: the running mean's closed form over both calls
    model = Model()
    variables = model.init(jax.random.key(0), DATA)
    _, updates = model.apply(variables, DATA, train=True, rngs={"dropout": jax.random.key(1)}, mutable=["batch_stats"])
    mean = DATA.mean(0) @ variables["params"]["GraphModule_0"]["dense"]["kernel"]
    expected = 0.99 * (0.01 * mean) + 0.01 * 2 * mean
    assert_close(updates["batch_stats"]["GraphModule_0"]["norm"]["mean"], expected)


def test_inside_an_nnx_model():  # oracle: the graph itself, and the closed form of a gradient

    class Outer(nnx.Module):
        def __init__(self, rngs):
            self.part = nnx.bridge.ToNNX(PART.module(), rngs=rngs).lazy_init(DATA)
            self.head = nnx.Linear(3, 2, rngs=rngs)

        def __call__(self, x):
            return self.head(self.part(x))

    model = Outer(nnx.Rngs(0))
    kernel, bias = (
        np.asarray(nnx.to_pure_dict(nnx.state(model.part, nnx.Param))["dense"][name]) for name in ("kernel", "bias")
    )
    hidden = (DATA @ kernel + bias) / np.sqrt(1.001)
    assert_close(model(DATA), hidden @ np.asarray(model.head.kernel[...]) + np.asarray(model.head.bias[...]))
    grads = nnx.grad(lambda m: m(DATA).sum())(model)
    found = nnx.to_pure_dict(nnx.state(grads, nnx.Param))["part"]["dense"]["bias"]
    assert_close(found, len(DATA) * np.asarray(model.head.kernel[...]).sum(1) / np.sqrt(1.001))
