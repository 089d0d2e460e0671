import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.errors import GraphKeyError, GraphTypeError, GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.graph.subgraph import subgraph
from jaxgraphs.layers.core import Dense
from jaxgraphs.layers.wrap import layer
from jaxgraphs.symbolic.node import Input

X, Z = (np.random.default_rng(seed).normal(size=(2, 4)).astype("float32") for seed in (0, 1))


def dense(variables, *path, of):
    """A Dense layer in NumPy."""
    arrays = variables["params"]
    for name in path:
        arrays = arrays[name]
    return of @ np.asarray(arrays["kernel"]) + np.asarray(arrays["bias"])


def two_towers():
    """Inputs x and z, a shared layer, a sum."""
    x, z = Input((4,), name="x"), Input((4,), name="z")
    shared = Dense(5, name="shared", activation="tanh")
    left, right = shared(x), shared(z)
    return Graph({"x": x, "z": z}, Dense(3, name="y")(Dense(6, name="left")(left) + Dense(6, name="right")(right)))


def nested(levels=2):
    """Graphs in graphs, each called twice; two outputs within."""
    a, b = Input((4,), name="a"), Input((4,), name="b")
    h = Dense(4, name="hidden", activation="tanh")(a)
    graph = Graph([a, b], [Dense(4, name="first")(h), Dense(4, name="second")(h + b)], name="level0")
    for level in range(1, levels):
        a, b = Input((4,), name="a"), Input((4,), name="b")
        one = graph([a, b])
        two = graph([one[0], b])
        graph = Graph([a, b], [Dense(4, name="out")(two[0]), two[1] + one[1]], name=f"level{level}")
    return graph


def recorded(graph, variables, inputs):
    """Every layer's outputs by path of calls, by walking the graph by hand."""
    from jaxgraphs.graph.graph import evaluate
    from jaxgraphs.symbolic.context import Context

    seen = {}

    def call(step, args, kwargs):
        arrays = {"params": variables["params"]}
        for name in step.path:
            arrays = {"params": arrays["params"].get(name, {})}
        outputs = step.node.layer.run(arrays, args, kwargs, Context(masks=jax.tree.map(lambda _: None, args))).outputs
        seen["/".join(step.call_path)] = outputs
        return jax.tree.leaves(outputs)

    evaluate(graph, call, [jnp.asarray(each) for each in inputs])
    return seen


def test_by_name_drops_unused_inputs():  # oracle: NumPy
    graph = two_towers()
    variables = graph.init(jax.random.key(0))
    part = graph.subgraph("left")
    assert part.input_names == ("x",)
    expected = dense(variables, "left", of=np.tanh(dense(variables, "shared", of=X)))
    np.testing.assert_allclose(part.apply(variables, {"x": X}), expected, rtol=1e-5, atol=1e-6)
    assert part.count_params() == 4 * 5 + 5 + 5 * 6 + 6


@pytest.mark.parametrize("outputs", ["y", ["left", "y"], {"a": "left", "b": ["right", "shared:1"]}])
def test_the_arrangement_is_the_one_asked_for(outputs):  # oracle: the structure given
    part = two_towers().subgraph(outputs)
    assert jax.tree.structure(part.outputs) == jax.tree.structure(outputs)


def test_a_call_of_a_shared_layer():  # oracle: the walk by hand
    graph = two_towers()
    variables = graph.init(jax.random.key(0))
    seen = recorded(graph, variables, [X, Z])
    assert jnp.array_equal(graph.subgraph("shared:1").apply(variables, {"z": Z}), seen["shared#1"])
    both = graph.subgraph(["shared:0", "shared:1"]).apply(variables, {"x": X, "z": Z})
    assert jnp.array_equal(both[0], seen["shared#0"])
    assert jnp.array_equal(both[1], seen["shared#1"])


def test_by_tensor_and_at_an_input():  # oracle: the tensors themselves
    graph = two_towers()
    tensor = graph.nodes[2].tensors[0]
    part = graph.subgraph([tensor, "x"])
    assert part.outputs[0] == tensor
    assert part.outputs[1] == graph.inputs[0]


def test_between_inner_tensors():  # oracle: NumPy
    graph = two_towers()
    variables = graph.init(jax.random.key(0))
    part = graph.subgraph("y", inputs=["left", "right"])
    assert part.input_names == ("left", "right")
    data = np.ones((2, 6), "float32")
    expected = dense(variables, "y", of=2 * data)
    np.testing.assert_allclose(part.apply(variables, [data, data]), expected, rtol=1e-5, atol=1e-6)


def test_an_inner_input_does_not_take_a_called_layer_s_name():  # oracle: names by hand
    x = Input((4,))
    shared = Dense(4, name="shared")
    graph = Graph(x, shared(shared(x)))
    part = graph.subgraph("shared:1", inputs="shared:0")
    assert part.input_names == ("shared_1",)
    assert part["shared"] is shared


PLACES = [
    ("level0:0/hidden", "level0#0/hidden#0"),
    ("level0:1/hidden", "level0#1/hidden#0"),
    ("level0:1/first", "level0#1/first#0"),
    ("level0:1/add", "level0#1/add#0"),
    ("out", "out#0"),
]


@pytest.mark.parametrize(("place", "path"), PLACES)
def test_within_a_nested_graph(place, path):  # oracle: the walk by hand
    graph = nested()
    variables = graph.init(jax.random.key(0))
    seen = recorded(graph, variables, [X, Z])
    part = graph.subgraph({"it": place})
    inputs = {name: value for name, value in (("a", X), ("b", Z)) if name in part.input_names}
    assert jnp.array_equal(part.apply(variables, inputs)["it"], seen[path])


def test_many_places_at_once():  # oracle: the walk by hand, and the whole graph
    graph = nested(3)
    variables = graph.init(jax.random.key(0))
    seen = recorded(graph, variables, [X, Z])
    places = {
        "deep": "level1:1/level0:0/hidden",
        "other": "level1:0/level0:1/second",
        "middle": "level1:0/out",
        "own": "out",
        "twin": "level1:0/level0:1/hidden",
    }
    part = graph.subgraph({**places, "whole": "level1:1"})
    results = part.apply(variables, [X, Z])
    for key, place in places.items():
        path = "/".join(segment.replace(":", "#") if ":" in segment else f"{segment}#0" for segment in place.split("/"))
        assert jnp.array_equal(results[key], seen[path]), key
    whole = Graph(graph.inputs, list(graph.calls(graph["level1"])[1].tensors), names=graph.names)
    for one, other in zip(results["whole"], whole.apply(variables, [X, Z]), strict=True):
        assert jnp.array_equal(one, other)


def test_only_what_is_needed_remains_within():  # oracle: parameter counts by hand
    part = nested().subgraph("level0:0/hidden")
    assert part.input_names == ("a",)
    assert set(part.variable_specs()["params"]["level0"]) == {"hidden"}
    assert part.count_params() == 20
    assert nested().count_params() == 80


def test_a_tensor_within_a_nested_graph():  # oracle: NumPy
    a = Input((4,))
    h = Dense(5, name="h")(a)
    inner = Graph(a, Dense(2, name="top")(h), name="inner")
    x = Input((4,))
    graph = Graph(x, inner(x))
    variables = graph.init(jax.random.key(0))
    expected = dense(variables, "inner", "h", of=X)
    np.testing.assert_allclose(graph.subgraph(h).apply(variables, X), expected, rtol=1e-5, atol=1e-6)


def test_out_of_a_sequential_without_input():  # oracle: NumPy
    whole = Sequential([Dense(5, name="a"), Sequential([Dense(6, name="b"), Dense(2)], name="in"), Dense(3)])
    variables = whole.init(jax.random.key(0), X)
    part = whole.subgraph("in/b")
    expected = dense(variables, "in", "b", of=dense(variables, "a", of=X))
    np.testing.assert_allclose(part.apply(variables, X), expected, rtol=1e-5, atol=1e-6)


def test_several_outputs_of_one_layer():  # oracle: the function
    x = Input((4,))
    pair = layer(lambda a: {"plus": a + 1, "minus": a - 1}, name="pair")(x)
    part = Graph(x, pair["plus"] * pair["minus"]).subgraph("pair")
    results = part.apply({"params": {}}, X)
    np.testing.assert_array_equal(results["minus"], X - 1)
    assert set(results) == {"plus", "minus"}


def test_names_with_slashes_and_colons():  # oracle: the layer meant
    x = Input((4,))
    h = Dense(5, name="block/conv:1")(x)
    graph = Graph(x, Dense(2, name="block")(h))
    assert graph.subgraph("block/conv:1").outputs == h


@pytest.mark.parametrize(
    ("outputs", "inputs", "kind", "words"),
    [
        ("shared", None, GraphValueError, "called 2 times, and 'shared' does not say which call is meant"),
        ("shared:2", None, GraphKeyError, "The layer 'shared' has no call 2"),
        ("lefd", None, GraphKeyError, "'left'? Known: add, left, right, shared, x, y, z"),
        ("left/x", None, GraphKeyError, "There is nothing within 'left'"),
        (["y", 3], None, GraphTypeError, "A place in a graph is a name"),
        (Input((3,), name="far"), None, GraphKeyError, "does not compute the tensor 'far'"),
        ("y", "left", GraphValueError, "The outputs need an Input that the Graph was not given"),
        ("left", ["x", "z"], GraphValueError, "An input is not used by any output"),
    ],
)
def test_refusals(outputs, inputs, kind, words):  # oracle: the error
    with pytest.raises(kind) as caught:
        two_towers().subgraph(outputs, inputs)
    assert words in str(caught.value)


def test_data_does_not_enter_within_a_nested_graph():  # oracle: the message
    with pytest.raises(GraphValueError, match="Data cannot enter within the nested graph 'level0'"):
        nested().subgraph("out", "level0:0/hidden")


def test_a_nested_graph_called_twice_needs_the_call():  # oracle: the message
    with pytest.raises(GraphValueError, match="'level0' is called 2 times"):
        subgraph(nested(), "level0/hidden")


@pytest.mark.parametrize("inputs", [[["a", "b"], "c"], {"k": "a", "l": ["b", "c"]}])
def test_the_inputs_keep_their_arrangement(inputs):  # oracle: the structure by hand
    tensors = {name: Input((4,), name=name) for name in "abc"}
    join = layer(lambda *xs: sum(xs[1:], start=xs[0]), name="join")
    arranged = jax.tree.map(tensors.get, inputs)
    graph = Graph(arranged, {"abc": join(*tensors.values()), "bc": join(tensors["b"], tensors["c"])})
    part = graph.subgraph("join:1")
    kept = [["b"], "c"] if isinstance(inputs, list) else {"l": ["b", "c"]}
    assert part.input_structure == jax.tree.structure(kept)
    assert [tensor.name for tensor in part.inputs] == ["b", "c"]
