"""A layer that is used by itself and within a TimeDistributed or an RNN: one set of weights, at one place."""

import jax
import numpy as np
import pytest

from jaxgraphs.errors import ShapeMismatchError
from jaxgraphs.graph.count import trainable_mask
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.rewrite import freeze
from jaxgraphs.layers.cells import LSTMCell
from jaxgraphs.layers.core import Dense, Embedding
from jaxgraphs.layers.norm import BatchNormalization
from jaxgraphs.layers.recurrent import RNN
from jaxgraphs.layers.wrappers import TimeDistributed
from jaxgraphs.symbolic.node import Input
from jaxgraphs.training.trainer import Trainer


def two_readers(order=("steps", "last")):
    """A dense layer on every step, and the same layer on a vector; `order` says which is called first."""
    x, y = Input((5, 4), name="x"), Input((4,), name="y")
    dense = Dense(4, name="dense")
    calls = {"steps": lambda: TimeDistributed(dense, name="steps")(x), "last": lambda: dense(y)}
    made = {name: calls[name]() for name in order}
    return Graph([x, y], [made["steps"], made["last"]])


def values():
    random = np.random.default_rng(0)
    return [random.normal(size=(2, 5, 4)).astype(np.float32), random.normal(size=(2, 4)).astype(np.float32)]


@pytest.mark.parametrize("order", [("steps", "last"), ("last", "steps")])
def test_one_set_of_weights(order):  # oracle: the products by hand
    graph = two_readers(order)
    variables = graph.init(jax.random.key(0))
    assert list(variables["params"]) == ["dense"]
    assert graph.count_params() == graph.summary().totals.total == 20
    kernel, (x, y) = variables["params"]["dense"]["kernel"], values()
    steps, last = graph.apply(variables, [x, y])
    np.testing.assert_allclose(steps, x @ kernel, atol=1e-6)
    np.testing.assert_allclose(last, y @ kernel, atol=1e-6)
    grads = jax.grad(lambda params: sum(out.sum() for out in graph.apply({"params": params}, [x, y])))
    expected = np.tile((x.sum((0, 1)) + y.sum(0))[:, None], (1, 4))
    np.testing.assert_allclose(grads(variables["params"])["dense"]["kernel"], expected, rtol=1e-5)


def test_two_holders_and_no_call():  # oracle: the first holder's name, and Keras' count
    x, cell = Input((5, 4)), LSTMCell(3)
    graph = Graph(x, [RNN(cell, name="a")(x), RNN(cell, go_backwards=True, name="b")(x)])
    assert list(graph.variable_specs()["params"]) == ["a"]
    assert graph.count_params() == 4 * (4 * 3 + 3 * 3 + 3)


def test_parts_and_copies_keep_the_place():  # oracle: the whole graph
    graph = two_readers()
    variables = graph.init(jax.random.key(0))
    expected = graph.apply(variables, values())
    again = Graph.from_json(graph.to_json())
    part = graph.subgraph("steps")
    part = Graph.from_json(part.to_json())
    assert list(part.variable_specs()["params"]) == ["dense"]
    np.testing.assert_array_equal(again.apply(variables, values())[0], expected[0])
    np.testing.assert_array_equal(part.apply(variables, values()[0]), expected[0])


def test_replaced_and_frozen_at_each_place():  # oracle: shapes, and what is learned
    graph = two_readers()
    wide = graph.replace("dense", Dense(7))
    assert [tensor.shape for tensor in wide.flat_outputs] == [(None, 5, 7), (None, 7)]
    assert wide.count_params() == 35
    frozen = freeze(graph, "dense")
    assert not frozen["steps"].layer.trainable
    mask = trainable_mask(frozen, graph.init(jax.random.key(0))["params"])
    assert not any(jax.tree.leaves(mask))


def test_calls_that_need_other_shapes():  # oracle: the message
    x, y, dense = Input((5, 4), name="x"), Input((3,), name="y"), Dense(4, name="dense")
    with pytest.raises(ShapeMismatchError, match="is shared, and its calls need weights of different shapes"):
        Graph([x, y], [TimeDistributed(dense)(x), dense(y)])


def test_state_moves_with_each_call():  # oracle: the moving mean by hand
    x, y = Input((3, 4), name="x"), Input((4,), name="y")
    norm = BatchNormalization(momentum=0.5, name="norm")
    graph = Graph([x, y], [TimeDistributed(norm)(x), norm(y)])
    variables, (steps, last) = graph.init(jax.random.key(0)), values()
    _, updates = graph.apply(variables, [steps[:, :3], last], train=True, mutable=["batch_stats"])
    mean = np.zeros(4, np.float32)
    for batch in (*np.swapaxes(steps[:, :3], 0, 1), last):
        mean = 0.5 * mean + 0.5 * batch.mean(0)
    np.testing.assert_allclose(updates["batch_stats"]["norm"]["mean"], mean, rtol=1e-5)


def test_rewritten_as_one():  # oracle: the graph without passes
    x, y = Input((5,), dtype="int32", name="x"), Input((5, 1), dtype="int32", name="y")
    table = Embedding(500, 3, name="table")
    graph = Graph([x, y], [table(x), TimeDistributed(table, name="each")(y)])
    ids = np.random.default_rng(0).integers(0, 500, (4, 5)).astype(np.int32)
    batch = ([ids, ids[..., None]], [np.ones((4, 5, 3), np.float32), np.ones((4, 5, 1, 3), np.float32)])
    tables = []
    for passes in ("all", None):
        trainer = Trainer(graph, "sgd", loss=["mse", "mse"], passes=passes)
        state = trainer.init(jax.random.key(0))
        state, _ = trainer.train_step(state, batch)
        tables.append(np.asarray(state.params["table"]["embedding"]))
    np.testing.assert_allclose(tables[0], tables[1], atol=1e-7)
    x, y = Input((6, 4)), Input((4,))
    dense = Dense(4, name="dense")
    graph = Graph([x, y], [TimeDistributed(dense)(x), BatchNormalization()(dense(y))])
    variables = graph.init(jax.random.key(0))
    arrays = [np.ones((2, 6, 4), np.float32), np.ones((2, 4), np.float32)]
    faster, other = graph.optimize(variables, inference=True)
    for one, two in zip(faster.apply(other, arrays), graph.apply(variables, arrays), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5)
