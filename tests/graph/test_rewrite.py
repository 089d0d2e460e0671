import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.errors import GraphError, GraphKeyError, GraphTypeError, GraphValueError
from jaxgraphs.graph.count import count, trainable_mask
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.rewrite import freeze, map_layers, rebuild, replace, unfreeze
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.layers.core import Dense, Dropout, Embedding
from jaxgraphs.layers.wrap import layer
from jaxgraphs.symbolic.node import Input

X, Z = (np.random.default_rng(seed).normal(size=(2, 4)).astype("float32") for seed in (0, 1))


def nested():
    """Two inputs through one shared graph, joined: dense layers `hidden` and `top` within, `y` after."""
    a = Input((4,), name="a")
    inner = Graph(a, Dense(5, name="top")(Dense(6, name="hidden", activation="tanh")(a)), name="inner")
    x, z = Input((4,), name="x"), Input((4,), name="z")
    return Graph([x, z], Dense(3, name="y")(inner(x) + inner(z)), name="outer")


def variables_of(graph):
    return graph.init(jax.random.key(0))


def dense(variables, *path, of):
    arrays = variables["params"]
    for name in path:
        arrays = arrays[name]
    return of @ np.asarray(arrays["kernel"]) + np.asarray(arrays["bias"])


def test_rebuild_without_change_is_the_graph():  # oracle: identity
    graph = nested()
    assert rebuild(graph, lambda path, layer: layer) is graph


def test_rebuild_is_asked_once_for_each_path():  # oracle: the paths by hand
    asked = []
    rebuild(nested(), lambda path, layer: asked.append("/".join(path)) or layer)
    assert sorted(asked) == ["add", "inner", "inner/hidden", "inner/top", "y"]


def test_map_layers_keeps_shared_layers_and_names():  # oracle: apply before
    graph = nested()
    variables = variables_of(graph)
    mapped = map_layers(graph, lambda path, layer: layer.replace() if isinstance(layer, Dense) else layer)
    assert mapped is not graph
    assert len(mapped.calls(mapped["inner"])) == 2
    assert [mapped.layer_name(layer) for layer in mapped.layers] == [graph.layer_name(layer) for layer in graph.layers]
    assert jnp.array_equal(mapped.apply(variables, [X, Z]), graph.apply(variables, [X, Z]))


def test_map_layers_infers_anew():  # oracle: the dtype asked for
    halved = map_layers(
        nested(), lambda path, layer: layer.replace(dtype="bfloat16") if hasattr(layer, "units") else layer
    )
    assert halved.outputs.dtype == jnp.bfloat16
    assert halved["inner"]["hidden"].dtype == "bfloat16"


def test_unnamed_layers_keep_their_derived_names():  # oracle: the names before
    x = Input((4,))
    h = Dense(5)(x)
    graph = Graph(x, Dense(2)(Dense(5)(h)))
    changed = replace(graph, "dense_1", Dense(7))
    assert [changed.layer_name(layer) for layer in changed.layers] == ["dense", "dense_2", "dense_1"]
    assert changed.outputs.shape == (None, 7)


def test_replace_infers_what_follows():  # oracle: shapes by hand; the old graph is as it was
    graph = nested()
    wider = replace(graph, "inner/top", Dense(9))
    assert wider["inner"].outputs.shape == (None, 9)
    assert wider.variable_specs()["params"]["y"]["kernel"].shape == (9, 3)
    assert wider["inner"]["top"].units == 9
    assert graph["inner"]["top"].units == 5
    assert graph.variable_specs()["params"]["y"]["kernel"].shape == (5, 3)


def test_replace_computes_with_the_old_variables():  # oracle: NumPy
    graph = nested()
    variables = variables_of(graph)
    linear = replace(graph, "inner/hidden", Dense(6))
    once = [dense(variables, "inner", "top", of=dense(variables, "inner", "hidden", of=x)) for x in (X, Z)]
    np.testing.assert_allclose(
        linear.apply(variables, [X, Z]), dense(variables, "y", of=sum(once)), rtol=2e-5, atol=2e-5
    )


@pytest.mark.parametrize(("new", "name"), [(Dense(3), "y"), (Dense(3, name="head"), "head")])
def test_the_new_layer_has_the_old_name_unless_it_has_one(new, name):  # oracle: the rule
    graph = replace(nested(), "y", new)
    assert graph[name] is new
    assert graph.output_names == (name,)


def test_replace_by_a_layer_of_the_graph_shares_its_weights():  # oracle: one entry in params
    x = Input((4,))
    graph = Graph(x, Dense(4, name="b")(Dense(4, name="a")(x)))
    tied = replace(graph, "b", graph["a"])
    assert list(variables_of(tied)["params"]) == ["a"]
    assert len(tied.calls(graph["a"])) == 2


def test_replace_by_a_graph_and_of_a_graph():  # oracle: the paths of weights
    inner = Sequential([Input((4,)), Dense(5, name="only")])
    graph = replace(nested(), "inner", inner)
    assert set(variables_of(graph)["params"]) == {"inner", "y"}
    assert set(variables_of(graph)["params"]["inner"]) == {"only"}


def test_a_sequential_stays_one():  # oracle: class, and init with data
    graph = replace(Sequential([Dense(5), Dense(2)], name="mlp"), "dense", Dense(7))
    assert isinstance(graph, Sequential)
    assert graph.name == "mlp"
    assert graph.init(jax.random.key(0), X)["params"]["dense_1"]["kernel"].shape == (7, 2)


def test_replace_where_an_inner_tensor_is_the_input():  # oracle: NumPy
    h = Dense(5, name="below")(Input((4,)))
    graph = replace(Graph(h, Dense(2, name="y")(h)), "y", Dense(3))
    variables = variables_of(graph)
    data = np.ones((2, 5), "float32")
    assert graph.input_names == ("below",)
    np.testing.assert_allclose(graph.apply(variables, data), dense(variables, "y", of=data), rtol=1e-5, atol=1e-6)


def test_misfit_names_both_layers():  # oracle: the message, word for word
    x = Input((None,), dtype="int32", name="text")
    graph = Graph(x, Dense(3, name="y")(Embedding(9, 4, name="words")(x)))
    with pytest.raises(GraphError) as caught:
        replace(graph, "words", Dropout(0.5, name="drop"))
    assert str(caught.value) == (
        "Dropout 'drop' cannot take the place of 'words': Dense 'y' multiplies, and its input is of int32.\n"
        "  where:    drop -> y\n"
        "  received: (batch, None) int32\n"
        "  expected: a floating dtype\n"
        "  fix:      Embedding looks ids up; layers.Rescaling(1.0) makes numbers floating"
    )


def test_fewer_outputs_than_are_read():  # oracle: the error's kind and words
    x = Input((4,))
    first, second = layer(lambda a: (a, -a), name="pair")(x)
    with pytest.raises(GraphValueError, match="Output number 1 is read, and there is none"):
        replace(Graph(x, first + second), "pair", Dense(4))


@pytest.mark.parametrize(
    ("name", "new", "kind", "words"),
    [
        ("hiden", Dense(3), GraphKeyError, "There is nothing named 'hiden' in Graph 'outer'"),
        ("inner/hiden", Dense(3), GraphKeyError, "'inner/hidden'? Known: inner/a, inner/hidden, inner/top"),
        ("y/kernel", Dense(3), GraphKeyError, "There is nothing within 'y'"),
        ("x", Dense(3), GraphValueError, "'x' is an Input"),
        ("inner:1", Dense(3), GraphValueError, "is one call of a layer"),
        ("y", jnp.tanh, GraphTypeError, "jg.layer(thing)"),
        ("y", Dense, GraphTypeError, "the class Dense"),
        (3, Dense(3), GraphTypeError, "A place in a graph is a name"),
        ("", Dense(3), GraphKeyError, "There is nothing named ''"),
    ],
)
def test_replace_refuses(name, new, kind, words):  # oracle: the error
    with pytest.raises(kind) as caught:
        replace(nested(), name, new)
    assert words in str(caught.value)


FROZEN = [
    ("*", {"inner/hidden", "inner/top", "y"}),
    ("inner", {"inner/hidden", "inner/top"}),
    ("inner/*", {"inner/hidden", "inner/top"}),
    ("*/h*", {"inner/hidden"}),
    (["y", "inner/top"], {"y", "inner/top"}),
]


@pytest.mark.parametrize(("pattern", "frozen"), FROZEN)
def test_freeze(pattern, frozen):  # oracle: the paths by hand; apply before
    graph = nested()
    variables = variables_of(graph)
    cold = freeze(graph, pattern)
    mask = trainable_mask(cold, variables["params"])
    leaves = jax.tree_util.tree_leaves_with_path(mask)
    found = {"/".join(key.key for key in path[:-1]) for path, is_learned in leaves if not is_learned}
    assert found == frozen
    assert jnp.array_equal(cold.apply(variables, [X, Z]), graph.apply(variables, [X, Z]))
    assert count(graph).non_trainable == 0
    assert count(cold).total == graph.count_params()
    assert count(unfreeze(cold)).non_trainable == 0


def test_freeze_of_what_is_frozen_changes_nothing():  # oracle: identity
    cold = freeze(nested())
    assert freeze(cold) is cold


def test_freeze_in_a_sequential_without_input():  # oracle: the layers' own fields
    graph = freeze(Sequential([Dense(5), Dense(2)]), "dense_1")
    assert [each.trainable for each in graph.layers] == [True, False]
    assert isinstance(graph, Sequential)


@pytest.mark.parametrize("pattern", ["iner*", ["y", "iner*"]])
def test_a_pattern_that_fits_nothing(pattern):  # oracle: the message
    with pytest.raises(GraphKeyError) as caught:
        freeze(nested(), pattern)
    assert str(caught.value).startswith("No layer of Graph 'outer' fits the pattern 'iner*'.")
    assert "expected: 'inner'? Known: add, inner, inner/hidden, inner/top, y" in str(caught.value)


def test_no_pattern():  # oracle: the message
    with pytest.raises(GraphKeyError, match="No pattern was given"):
        freeze(nested(), [])


def test_deep_nesting():  # oracle: the layer at the bottom
    graph = Sequential([Input((4,)), Dense(4, name="bottom")])
    for _ in range(300):
        graph = Sequential([Input((4,)), graph], name="level")
    cold = freeze(graph, "*bottom")
    for _ in range(300):
        cold = cold.layers[0]
    assert not cold["bottom"].trainable
