"""A layer that several nested graphs call, or a nested graph and the one around it: one set of weights, one place."""

import json
from textwrap import dedent

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs.errors import GraphError, ShapeMismatchError
from jaxgraphs.graph.count import count, trainable_mask
from jaxgraphs.graph.graph import Graph, places_of
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.layers.core import Activation, Dense, Embedding
from jaxgraphs.layers.norm import BatchNormalization
from jaxgraphs.layers.recurrent import LSTM
from jaxgraphs.layers.wrappers import TimeDistributed
from jaxgraphs.symbolic.node import Input
from jaxgraphs.training.trainer import Trainer
from tests.oracle import assert_trees_close


def coder():
    """An encoder and a decoder that share one dense layer."""
    x, dense = Input((4,), name="x"), Dense(4, use_bias=False, name="dense")
    encoder, decoder = Graph(x, dense(x), name="encoder"), Graph(x, Dense(2, name="end")(dense(x)), name="decoder")
    return Graph(x, decoder(encoder(x)))


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_one_set_of_weights():  # oracle: the products by hand
    graph, x = coder(), numbers(3, 4)
    variables = graph.init(jax.random.key(0))
    assert jax.tree.map(jnp.shape, variables["params"]) == {
        "encoder": {"dense": {"kernel": (4, 4)}},
        "decoder": {"end": {"kernel": (4, 2), "bias": (2,)}},
    }
    assert graph.count_params() == graph.summary().totals.total == 16 + 10
    kernel, end = variables["params"]["encoder"]["dense"]["kernel"], variables["params"]["decoder"]["end"]["kernel"]
    np.testing.assert_allclose(graph.apply(variables, x), x @ kernel @ kernel @ end, rtol=1e-4)
    grads = jax.grad(lambda params: graph.apply({"params": params}, x).sum())(variables["params"])
    expected = jax.grad(lambda kernel: (x @ kernel @ kernel @ end).sum())(kernel)
    np.testing.assert_allclose(grads["encoder"]["dense"]["kernel"], expected, rtol=1e-4)


def test_the_graph_itself_comes_first():  # oracle: the documented order of places
    ids, table = Input((5,), dtype="int32"), Embedding(9, 4, name="table")
    inner = Graph(ids, LSTM(4, return_sequences=True, name="lstm")(table(ids)), name="inner")
    graph = Graph(ids, [inner(ids), table(ids)])
    assert set(graph.variable_specs()["params"]) == {"inner", "table"}
    assert set(graph.variable_specs()["params"]["inner"]) == {"lstm"}
    held = Graph(steps := Input((3, 5), dtype="int32"), TimeDistributed(inner, name="each")(steps))
    assert set(held.variable_specs()["params"]["each"]) == {"lstm", "table"}
    both = Graph([steps, ids], [TimeDistributed(inner, name="each")(steps), Sequential([ids, table], name="s")(ids)])
    assert set(both.variable_specs()["params"]["s"]) == {"table"}
    assert set(both.variable_specs()["params"]["each"]) == {"lstm"}


def test_a_graph_within_two_graphs():  # oracle: the product by hand
    x, dense = Input((4,)), Dense(4, use_bias=False, name="dense")
    core = Graph(x, dense(x), name="core")
    first, second = Graph(x, core(x), name="first"), Sequential([Input((4,)), core, Activation("tanh")], name="second")
    steps = Input((3, 4))
    graph = Graph([x, steps], [second(first(x)), TimeDistributed(second, name="each")(steps)])
    variables = graph.init(jax.random.key(0))
    assert jax.tree.map(jnp.shape, variables["params"]) == {"first": {"core": {"dense": {"kernel": (4, 4)}}}}
    kernel, row, many = variables["params"]["first"]["core"]["dense"]["kernel"], numbers(2, 4), numbers(2, 3, 4)
    one, each = graph.apply(variables, [row, many])
    np.testing.assert_allclose(one, np.tanh(row @ kernel @ kernel), atol=1e-6)
    np.testing.assert_allclose(each, np.tanh(many @ kernel), atol=1e-6)


def test_a_graph_that_shares_within_a_wrapper():  # oracle: the sums by hand; drawn with or without data alike
    x, dense = Input((4,)), Dense(4, name="dense")
    a, b = Graph(x, dense(x), name="a"), Graph(x, dense(x) * 2.0, name="b")
    inner = Graph(x, b(a(x)), name="inner")
    steps = Input((3, 4))
    graph = Graph([steps, x], [TimeDistributed(inner, name="each")(steps), a(x)])
    variables, many, row = graph.init(jax.random.key(0)), numbers(2, 3, 4), numbers(2, 4)
    assert list(variables["params"]) == ["a"]
    kernel = variables["params"]["a"]["dense"]["kernel"]
    each, one = graph.apply(variables, [many, row])
    np.testing.assert_allclose(each, many @ kernel @ kernel * 2.0, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(one, row @ kernel, atol=1e-6)
    assert_trees_close(graph.init(jax.random.key(0), [many, row]), variables, 0.0)
    own = graph.variables_of("each", variables)
    np.testing.assert_allclose(inner.apply(own, row), row @ kernel @ kernel * 2.0, rtol=1e-4, atol=1e-5)


def test_calls_that_need_other_shapes():  # oracle: the message
    x, y, dense = Input((4,), name="x"), Input((3,), name="y"), Dense(4, name="dense")
    first, second = Sequential([dense], name="first"), Graph(y, dense(y), name="second")
    with pytest.raises(ShapeMismatchError) as caught:
        Graph([x, y], [first(x), second(y)])
    assert str(caught.value) == dedent("""\
        Dense 'dense' is shared, and its calls need weights of different shapes.
          where:    first/dense; second/dense
          received: (batch, 4) float32; (batch, 3) float32
          expected: inputs of one width at each call
          fix:      use a Dense of its own for each, or bring the inputs to one width""")


def test_calls_within_a_wrapper_that_need_other_shapes():  # oracle: the message
    x, y, dense = Input((4,), name="x"), Input((3,), name="y"), Dense(4, name="dense")
    inner, steps = Graph(x, dense(x), name="inner"), Input((2, 4), name="steps")
    with pytest.raises(ShapeMismatchError) as caught:
        Graph([steps, y], [TimeDistributed(inner, name="each")(steps), dense(y)])
    assert str(caught.value) == dedent("""\
        Dense 'dense' is shared, and its calls need weights of different shapes.
          where:    each; dense
          received: (batch, 2, 4) float32; (batch, 3) float32
          expected: inputs of one width at each call
          fix:      use a Dense of its own for each, or bring the inputs to one width""")


def test_statistics_move_with_each_call():  # oracle: the moving mean by hand
    x, norm = Input((4,)), BatchNormalization(momentum=0.5, center=False, scale=False, name="norm")
    first, second = Graph(x, norm(x), name="first"), Graph(x, norm(x * 3.0), name="second")
    graph = Graph([x, steps := Input((2, 4))], [second(first(x)), TimeDistributed(second)(steps)])
    variables, row, many = graph.init(jax.random.key(0)), numbers(8, 4), numbers(8, 2, 4)
    _, updates = graph.apply(variables, [row, many], train=True, mutable=["batch_stats"])
    assert jax.tree.map(jnp.shape, updates["batch_stats"]) == {"first": {"norm": {"mean": (4,), "var": (4,)}}}
    mean = np.zeros(4, np.float32)
    normal = (row - row.mean(0)) / np.sqrt(row.var(0) + 1e-3)
    for batch in (row, normal * 3.0, many[:, 0] * 3.0, many[:, 1] * 3.0):
        mean = 0.5 * mean + 0.5 * batch.mean(0)
    np.testing.assert_allclose(updates["batch_stats"]["first"]["norm"]["mean"], mean, rtol=1e-4, atol=1e-6)


def test_variables_of_a_nested_graph_and_back():  # oracle: the nested graph's own, and the whole's
    graph = coder()
    variables = graph.init(jax.random.key(0))
    own = graph.variables_of("decoder", variables)
    assert jax.tree.structure(own) == jax.tree.structure(graph["decoder"].init(jax.random.key(1)))
    x = numbers(3, 4)
    expected = graph.apply(variables, x)
    np.testing.assert_array_equal(graph["decoder"].apply(own, graph.subgraph("encoder").apply(variables, x)), expected)
    shape = jax.tree.map(jnp.shape, graph.variables_of("decoder/dense", variables))
    assert shape == {"params": {"kernel": (4, 4)}}
    doubled = graph.variables_with("decoder", jax.tree.map(lambda array: array * 2.0, own), variables)
    assert_trees_close(doubled, jax.tree.map(lambda array: array * 2.0, variables), 0.0)
    assert_trees_close(graph.variables_of("decoder", variables), own, 0.0)
    with pytest.raises(GraphError, match="There is nothing named 'coder'"):
        graph.variables_of("coder", variables)
    with pytest.raises(GraphError, match="do not have the shapes"):
        graph.variables_with("encoder", {"params": {"dense": {"kernel": np.ones((2, 2))}}}, variables)


@pytest.mark.parametrize("name", ["decoder", "decoder/dense", "encoder"])
def test_parts_keep_the_place(name, tmp_path):  # oracle: the whole graph
    graph, x = coder(), numbers(3, 4)
    variables = graph.init(jax.random.key(0))
    part = graph.subgraph(name)
    jg.save(tmp_path / "part.safetensors", part, variables)
    again, same = jg.load(tmp_path / "part.safetensors")
    assert again.places == part.places
    np.testing.assert_array_equal(again.apply(same, x), part.apply(variables, x))
    assert Graph.from_json(again.to_json()).to_json() == again.to_json()


def test_a_text_with_places_that_do_not_fit():  # oracle: the message
    document = json.loads(coder().to_json())
    document["layers"][-1]["graph"]["places"].append([["decoder", "end"], ["encoder", "dense"]])
    with pytest.raises(GraphError, match="is shared, and its calls need weights of different shapes"):
        Graph.from_json(json.dumps(document))


@pytest.mark.parametrize("name", ["encoder/dense", "decoder/dense", "decoder"])
def test_frozen_at_each_place(name):  # oracle: Keras' meaning of trainable, which is a layer's
    frozen = jg.freeze(graph := coder(), name)
    assert not frozen["encoder"]["dense"].trainable
    assert frozen["encoder"]["dense"] is frozen["decoder"]["dense"]
    assert count(frozen) == ((0, 26) if name == "decoder" else (10, 16))
    mask = trainable_mask(frozen, graph.init(jax.random.key(0))["params"])
    assert not mask["encoder"]["dense"]["kernel"]


def test_replaced_and_mapped_at_each_place():  # oracle: shapes, and how often the function is asked
    graph, asked = coder(), []
    one = graph.replace("decoder/dense", Dense(4, name="dense"))
    assert one["encoder"]["dense"] is one["decoder"]["dense"]
    assert one.count_params() == 20 + 10

    def change(path, layer):
        asked.append(path)
        return layer.replace(activation="relu")

    mapped = graph.map_layers(change)
    assert asked == ["encoder/dense", "decoder/end"]
    assert mapped["encoder"]["dense"] is mapped["decoder"]["dense"]
    assert places_of(mapped) == places_of(graph)


def test_every_way_to_compute():  # oracle: the graph applied by itself
    graph, x = coder(), numbers(3, 4)
    variables = graph.init(jax.random.key(0))
    expected = graph.apply(variables, x)
    module = graph.module()
    assert_trees_close(module.init(jax.random.key(0), x), variables, 0.0)
    np.testing.assert_array_equal(module.apply(variables, x), expected)
    np.testing.assert_allclose(graph.export(variables)(x), expected, rtol=1e-5)
    half = jax.eval_shape(jg.training.precision.with_precision(graph, "bfloat16").apply, variables, x)
    assert half.dtype == jnp.bfloat16


@pytest.mark.parametrize("options", [{}, {"passes": None}, {"remat": "all"}, {"passes": None, "remat": "tab*"}])
def test_a_step_of_training(options):  # oracle: the same layers in one graph, without any nesting
    ids = Input((5,), dtype="int32", name="ids")

    def made(is_nested):
        table, dense = Embedding(500, 3, name="table"), Dense(3, activation="tanh", name="dense")
        x = Input((5, 3))
        first, second = (lambda t: dense(t)), (lambda t: dense(dense(t)) * 0.5)
        if is_nested:
            first, second = Graph(x, first(x), name="first"), Graph(x, second(x), name="second")
            inner = Graph(ids, first(table(ids)), name="inner")
            return Graph(ids, [second(inner(ids)), table(ids)])
        return Graph(ids, [second(first(table(ids))), table(ids)])

    random = np.random.default_rng(0)
    batch = [random.integers(0, 500, (4, 5)).astype(np.int32)], [np.ones((4, 5, 3), np.float32)] * 2

    def stepped(graph, params):
        trainer = Trainer(graph, "sgd", loss=["mse", "mse"], **options)
        state = trainer.init(jax.random.key(0), variables={"params": params})
        return trainer.train_step(state, batch)[0].params

    start = made(False).init(jax.random.key(0))["params"]
    expected = stepped(made(False), start)
    actual = stepped(made(True), {"inner": {"first": {"dense": start["dense"]}}, "table": start["table"]})
    assert_trees_close({"dense": actual["inner"]["first"]["dense"], "table": actual["table"]}, expected, 1e-6)


def test_folded_where_it_is_not_shared():  # oracle: the graph before
    x, dense = Input((4,)), Dense(4, name="dense")
    alone = Dense(4, name="alone")
    one = Graph(x, BatchNormalization(name="norm")(dense(x)), name="one")
    other = Graph(x, BatchNormalization(name="norm")(alone(dense(x))), name="other")
    graph = Graph(x, [one(x), other(x)])
    random = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda array: jnp.asarray(random.uniform(0.5, 2.0, array.shape), jnp.float32), graph.init(jax.random.key(0))
    )
    faster, arrays = graph.optimize(variables, inference=True)
    assert "norm" in faster.variable_specs()["params"]["one"]
    assert "norm" not in faster.variable_specs()["params"]["other"]
    part, kept = graph.subgraph("other").optimize(variables, inference=True)
    assert "other" in part.variable_specs()["params"]
    assert "one" in part.variable_specs()["params"]
    row = numbers(3, 4)
    assert_trees_close(faster.apply(arrays, row), graph.apply(variables, row), 1e-5)
    assert_trees_close(part.apply(kept, row), graph.apply(variables, row)[1], 1e-5)


def random_pair(seed):
    """Two graphs of the same calls of the same layers: the one nests what the other has in one graph."""
    random = np.random.default_rng(seed)
    pool = [Dense(3, name=f"dense_{number}") for number in range(3)]
    pool += [BatchNormalization(momentum=0.5, name="norm"), Activation("tanh", name="tanh")]
    plans = [[pool[random.integers(len(pool))] for _ in range(random.integers(1, 4))] for _ in range(2)]
    for _ in range(4):
        known = [*pool, *plans]
        plans.append([known[random.integers(len(known))] for _ in range(random.integers(2, 4))])
    made = {}

    def call(thing, tensor, is_nested):
        if not isinstance(thing, list):
            return thing(tensor)
        if not is_nested:
            for each in thing:
                tensor = call(each, tensor, False)
            return tensor
        if id(thing) not in made:
            start = Input((3,))
            made[id(thing)] = Graph(start, chained(thing, start), name=f"plan_{len(made)}")
        return made[id(thing)](tensor)

    def chained(things, tensor):
        for each in things:
            tensor = call(each, tensor, True)
        return tensor

    x, ends = Input((3,), name="x"), plans[-3:]
    nested, flat = (Graph(x, [call(plan, x, is_nested) for plan in ends]) for is_nested in (True, False))
    return nested, flat


@pytest.mark.parametrize("seed", range(12))
def test_random_nesting_changes_nothing(seed):  # oracle: the same calls in one graph
    nested, flat = random_pair(seed)
    variables = nested.init(jax.random.key(seed))
    assert count(nested) == count(flat)
    assert nested.summary().totals == flat.summary().totals
    places = {path[-1]: place for path, place in places_of(nested).items()}

    def flattened(tree):
        return {name: at for name, place in places.items() if (at := _at(tree, place)) is not None}

    same = {key: flattened(tree) for key, tree in variables.items()}
    x, train = numbers(4, 3), {"train": True, "mutable": ["batch_stats"]}
    (ends, moved), (others, expected) = (
        graph.apply(arrays, x, **train) for graph, arrays in ((nested, variables), (flat, same))
    )
    assert_trees_close(ends, others, 1e-4)
    assert_trees_close(flattened(moved["batch_stats"]), expected["batch_stats"], 1e-4)

    def gradients(graph, arrays):
        def total(params):
            return sum(map(jnp.sum, graph.apply({**arrays, "params": params}, x)))

        return jax.grad(total)(arrays["params"])

    grads, wanted = gradients(nested, variables), gradients(flat, same)
    assert_trees_close(flattened(grads), wanted, 1e-3)
    again = Graph.from_json(nested.to_json())
    assert places_of(again) == places_of(nested)
    faster, arrays = nested.optimize(variables, inference=True)
    assert_trees_close(faster.apply(arrays, x), nested.apply(variables, x), 1e-4)
    for name in map(nested.layer_name, nested.layers):
        part = nested.subgraph(f"{name}:0" if len(nested.calls(nested[name])) > 1 else name)
        assert places_of(part).items() <= places_of(nested).items()


def _at(tree, path):
    for name in path:
        tree = tree.get(name) if tree is not None else None
    return tree
