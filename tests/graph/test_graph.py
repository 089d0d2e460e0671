"""What a graph is made of, and what it refuses to be made of."""

import copy
from textwrap import dedent

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.errors import GraphError, GraphKeyError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.core import Dense, Embedding
from jaxgraphs.layers.wrap import layer
from jaxgraphs.symbolic.node import Input, Node, SymbolicTensor

X, Y = Input((8,), name="x"), Input((4,), name="y")
SHARED = Dense(3, name="both")
LOOP = Node(Dense(8, name="loop"), ((X,), {}), (X.spec,), jax.tree.structure(0))
# Nothing public can make a cycle: a call is made after what it reads. Only an attribute set by force can.
object.__setattr__(LOOP, "args", ((SymbolicTensor(LOOP),), {}))

REFUSED = [
    (
        lambda: Graph(X, Dense(3, name="a")(X) + Dense(3, name="b")(Y)),
        """\
        The outputs need an Input that the Graph was not given.
          where:    y -> ... -> add
          received: inputs x
          expected: y among them
          fix:      Graph([..., y], outputs)""",
    ),
    (
        lambda: Graph([X, Y], Dense(3)(X)),
        """\
        An input is not used by any output.
          where:    y -> nothing
          received: outputs dense
          fix:      connect y to an output, or leave it out of the Graph's inputs""",
    ),
    (
        lambda: Graph(X, SymbolicTensor(LOOP)),
        """\
        The calls form a cycle: a call waits for its own output.
          where:    loop -> loop
          expected: a graph without cycles
          fix:      a loop over time belongs in a recurrent layer or in jg.layer of a function with jax.lax.scan""",
    ),
    (
        lambda: Graph(X, Dense(3, name="a")(Dense(8, name="a")(X))),
        """\
        2 different things in the graph have the given name 'a'.
          where:    Dense: x -> a; Dense: a -> a
          received: 'a' 2 times
          expected: a name of its own for each layer and Input
          fix:      rename one; or call one and the same layer object twice if its weights are to be shared""",
    ),
    (
        lambda: Graph(X, Dense(3, name="x")(X)),
        """\
        2 different things in the graph have the given name 'x'.
          where:    Input 'x' (batch, 8) float32; Dense: x -> x
          received: 'x' 2 times
          expected: a name of its own for each layer and Input
          fix:      rename one; or call one and the same layer object twice if its weights are to be shared""",
    ),
    (
        lambda: Graph([X, Y], [SHARED(X), SHARED(Y)]),
        """\
        Dense 'both' is shared, and its calls need weights of different shapes.
          where:    x -> both; y -> both
          received: (batch, 8) float32; (batch, 4) float32
          expected: inputs of one width at each call
          fix:      use a Dense of its own for each, or bring the inputs to one width""",
    ),
    (
        lambda: Graph([X, X], Dense(3)(X)),
        """\
        An input is given twice.
          received: x
          fix:      give each Input once""",
    ),
    (
        lambda: Graph(np.ones(3), Dense(3)(X)),
        """\
        The inputs of a Graph are symbolic tensors.
          received: ndarray
          expected: what jg.Input or a layer called on a symbolic tensor returns""",
    ),
    (
        lambda: Graph(X, Dense(3)),
        """\
        The outputs of a Graph are symbolic tensors.
          received: Dense
          expected: what jg.Input or a layer called on a symbolic tensor returns""",
    ),
    (
        lambda: Graph([X, None], Dense(3)(X)),
        """\
        The inputs of a Graph are symbolic tensors.
          received: NoneType
          expected: what jg.Input or a layer called on a symbolic tensor returns""",
    ),
    (
        lambda: Graph(X, []),
        """\
        The outputs of a Graph are symbolic tensors.
          received: none
          expected: what jg.Input or a layer called on a symbolic tensor returns""",
    ),
    (
        lambda: Graph(X, Dense(3)(X), name="two\nlines"),
        """\
        Graph has a name that cannot be used.
          received: 'two\\nlines'
          expected: a text, not empty""",
    ),
]


@pytest.mark.parametrize(("build", "text"), REFUSED)
def test_what_is_refused(build, text):  # oracle: the message, word for word
    with pytest.raises(GraphError) as caught:
        build()
    assert str(caught.value) == dedent(text)


def test_several_missing_inputs_are_named_at_once():  # oracle: the two names
    z = Input((8,), name="z")
    with pytest.raises(GraphError, match=r"2 Inputs .*") as caught:
        Graph(X, [X + 1.0, Dense(3, name="p")(Y), z * 2.0])
    assert caught.value.where == "y -> ... -> p; z -> ... -> multiply"


STRUCTURES = [
    (lambda x, y: x, lambda x, y: x * 2.0),
    (lambda x, y: [x, y], lambda x, y: [y + 1.0, x * 2.0]),
    (lambda x, y: (x, y), lambda x, y: (x, y, x - 1.0)),
    (lambda x, y: {"right": y, "left": x}, lambda x, y: {"b": x * 2.0, "a": [y, {"c": x}]}),
    (lambda x, y: [{"only": x}, (y,)], lambda x, y: {"sum": (x[:, :4] + y,)}),
]


@pytest.mark.parametrize(("inputs", "outputs"), STRUCTURES)
def test_outputs_come_back_as_they_were_arranged(inputs, outputs):  # oracle: the same code on NumPy arrays
    arrays = np.ones((2, 8), np.float32), np.full((2, 4), 3, np.float32)
    graph = Graph(inputs(X, Y), outputs(X, Y))
    actual, expected = graph.apply({}, inputs(*arrays)), outputs(*arrays)
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    flat = graph.apply({}, {graph.tensor_name(t): {"x": arrays[0], "y": arrays[1]}[t.name] for t in graph.inputs})
    np.testing.assert_array_equal(jax.tree.leaves(flat)[0], jax.tree.leaves(expected)[0])


def test_an_inner_tensor_may_be_an_input():  # oracle: the closed form from there on
    hidden = Dense(3, name="hidden")(X)
    graph = Graph(hidden, hidden * 2.0 + 1.0)
    assert graph.layers == tuple(node.layer for node in graph.nodes)
    assert [layer.kind for layer in graph.layers] == ["Multiply", "Add"]
    np.testing.assert_array_equal(graph.apply({}, np.ones((2, 3), np.float32)), np.full((2, 3), 3.0))


def test_an_inner_tensor_and_the_input_before_it():  # oracle: the value given for the inner tensor stands
    hidden = X * 2.0
    assert Graph([X, hidden], [X + 1.0, hidden]).output_names == ("add", "multiply")
    graph = Graph([X, hidden], [X + 1.0, hidden + 1.0])
    ones = np.ones((1, 8), np.float32)
    first, second = graph.apply({}, [ones, 10 * ones])
    np.testing.assert_array_equal(first, 2 * ones)
    np.testing.assert_array_equal(second, 11 * ones)


def test_one_output_of_several_may_be_an_input():  # oracle: the halves by hand
    halves = layer(lambda a: [a[:, :4], a[:, 4:]], name="halves")(X)
    graph = Graph([X, halves[0]], [halves[0], halves[1]])
    a = np.arange(8, dtype=np.float32).reshape(1, 8)
    first, second = graph.apply({}, [a, a[:, :4] * 0])
    np.testing.assert_array_equal(first, a[:, :4] * 0)
    np.testing.assert_array_equal(second, a[:, 4:])


def test_nodes_are_in_the_order_of_the_code():  # oracle: the order of creation, each after what it reads
    a = Dense(8, name="a")(X)
    b = Dense(8, name="b")(X)
    graph = Graph(X, [b, a + b, a])
    assert [node.label for node in graph.nodes] == ["x", "a", "b", "add"]
    seen = set()
    for node in graph.nodes:
        assert all(parent.node in seen for parent in node.parents)
        seen.add(node)


def test_what_is_not_needed_is_left_out():  # oracle: the one layer between input and output
    hidden = Dense(8, name="used")(X)
    Dense(3, name="unused")(hidden)
    assert [layer.name for layer in Graph(X, hidden).layers] == ["used"]


def test_finding_layers():  # oracle: identity, and the message
    text = Input((None,), dtype="int32", name="text")
    table = Embedding(10, 4, name="table")
    graph = Graph(text, [table(text), table(text + 1)])
    assert graph["table"] is table
    assert len(graph.calls(table)) == 2
    with pytest.raises(GraphKeyError) as caught:
        graph["tabel"]
    assert str(caught.value) == "There is no layer 'tabel' in the graph.\n  expected: 'table'? Known: add, table"


def test_output_names():  # oracle: layers' names; keys where the outputs are a dict
    a, b = Dense(3, name="age")(X), Dense(2, name="income")(X)
    assert Graph(X, [a, b]).output_names == ("age", "income")
    assert Graph(X, {"old": a, "rich": [b, a]}).output_names == ("old", "rich/0", "rich/1")
    assert Graph(X, [a, a]).output_names == ("age", "age_1")


def test_a_graph_never_changes():  # oracle: frozen, and its own copy
    inputs, outputs = [X, Y], {"a": Dense(3)(X), "b": Dense(3)(Y)}
    graph = Graph(inputs, outputs)
    inputs.clear()
    outputs.clear()
    assert len(graph.inputs) == len(graph.flat_outputs) == 2
    assert copy.copy(graph) is graph
    assert copy.deepcopy({"g": [graph]})["g"][0] is graph
    with pytest.raises(AttributeError):
        graph.name = "other"


def test_arguments_that_are_no_tensors_stay_as_they_are():  # oracle: jnp.clip and jnp.where themselves
    clip = layer(lambda a, low, *, high=None: jnp.clip(a, low, high))
    graph = Graph(X, clip(X, -1.0, high=np.float32(0.5)))
    values = np.linspace(-2, 2, 8, dtype=np.float32).reshape(1, 8)
    np.testing.assert_array_equal(graph.apply({}, values), np.clip(values, -1.0, 0.5))
