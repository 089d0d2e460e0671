"""Names within one graph: Keras' own, whatever was built before."""

import types

import jax
import keras
import pytest

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.names import unique
from jaxgraphs.layers import core, joining, merge
from jaxgraphs.symbolic.node import Input
from tests.oracle import keras_rules


def branching(layers, x):
    """A small model with a residual, branches, a shared layer and layers made in another order than they are called."""
    late = layers.Dense(4)
    shared = layers.Dense(4, name="shared")
    a = layers.Dense(4, activation="relu")(x)
    b = layers.Add()([a, layers.Activation("relu")(x)])
    c = layers.Dense(4)(b)
    d = layers.Concatenate()([shared(c), shared(b), late(a)])
    e = layers.Dropout(0.5)(layers.Dense(2)(d))
    return [layers.Dense(1)(e), layers.Dense(1)(layers.Activation("tanh")(layers.Add()([e, e])))]


OURS = types.SimpleNamespace(
    **{kind.__name__: kind for kind in (core.Dense, core.Activation, core.Dropout, merge.Add, joining.Concatenate)}
)


def ours():
    x = Input((4,))
    return Graph(x, branching(OURS, x))


def keras_names():
    with keras_rules():
        keras.backend.clear_session()
        x = keras.Input((4,))
        names = [layer.name for layer in keras.Model(x, branching(keras.layers, x)).layers]
        keras.backend.clear_session()
    return names


def test_names_follow_keras():  # oracle: Keras after clear_session
    graph = ours()
    assert sorted(set(graph.names.values())) == sorted(keras_names())


def test_what_was_built_before_makes_no_difference():  # oracle: the names of the first time
    first = list(ours().names.values())
    ours()
    assert list(ours().names.values()) == first


def test_numbers_follow_the_order_in_which_layers_were_made():  # oracle: Keras' rule
    x = Input((4,))
    first, second = core.Dense(4), core.Dense(4)
    graph = Graph(x, first(second(x)))
    assert graph.names[first] == "dense"
    assert graph.names[second] == "dense_1"


def test_a_derived_name_never_takes_a_given_one():  # oracle: the next free number
    x = Input((4,), name="dense")
    graph = Graph(x, core.Dense(4)(core.Dense(4, name="dense_1")(core.Dense(4)(x))))
    assert sorted(graph.names.values()) == ["dense", "dense_1", "dense_2", "dense_3"]


def test_nested_graphs_have_names_of_their_own():  # oracle: the paths of weights
    x = Input((4,))
    inner = Graph(x, core.Dense(4)(x))
    y = Input((4,))
    outer = Graph(y, core.Dense(4)(inner(core.Dense(4)(y))))
    specs = outer.variable_specs()["params"]
    assert list(specs) == ["dense_1", "functional", "dense"]
    assert list(specs["functional"]) == ["dense"]


def test_inputs_without_names():  # oracle: Keras' stem, numbered
    x, y = Input((4,)), Input((4,))
    assert Graph([y, x], merge.Add()([x, y])).input_names == ("input_layer_1", "input_layer")


def test_unique():  # oracle: numbers that are free
    assert unique(["a", "a", "a_1", "a"]) == ("a", "a_1", "a_1_1", "a_2")


@pytest.mark.parametrize("name", ["a/b", "kernel", "params", "ß", "with space", "__class__", "0", "a.b", "{}"])
def test_any_word_may_be_a_name(name):  # oracle: init and apply under that name
    x = Input((4,), name="in" + name)
    graph = Graph(x, core.Dense(3, name=name)(x))
    variables = graph.init(jax.random.key(0))
    assert list(variables["params"]) == [name]
    assert graph.apply(variables, {"in" + name: jax.numpy.ones((2, 4))}).shape == (2, 3)
