"""Where passes fire and where they must not, what they say, and how they are switched."""

from functools import partial
from textwrap import dedent

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import Graph, Input, layers
from jaxgraphs.errors import GraphError
from jaxgraphs.passes.base import Setting
from jaxgraphs.passes.optimize import optimize
from jaxgraphs.symbolic.node import OPERATORS, Operation
from tests.passes.test_equal import assert_equal, assert_near, quickly, trained

INFERENCE = Setting(training=False, may_arrange=True)


def found(graph, name, setting=None):
    """What one pass says of a graph."""
    (entry,) = [entry for entry in optimize(graph, [name], setting).entries if entry.name == name]
    return entry.objection or entry.notes


def kinds(graph):
    return [layer.kind for layer in graph.layers]


def twice(layer, shape=(4,)):
    x = Input(shape, name="x")
    return Graph(x, [layer(x), layer(x)])


@pytest.mark.parametrize(
    ("layer", "training", "merged"),
    [
        (lambda: layers.Dense(3), True, True),
        (lambda: layers.Dropout(0.5), True, False),
        (lambda: layers.Dropout(0.5), False, True),
        (lambda: layers.BatchNormalization(), True, False),
        (lambda: layers.BatchNormalization(), False, True),
        (lambda: layers.Dense(3, activity_regularizer="l2"), True, False),
    ],
)
def test_merging_leaves_effects_alone(layer, training, merged):  # oracle: what each layer does, by its definition
    done = optimize(twice(layer()), ["merging"], Setting(training=training))
    assert (len(done.graph.nodes) == 2) == merged


def test_merging_sees_through_what_it_merged():  # oracle: the calls by hand
    x, a, b = Input((4,)), layers.Dense(4), layers.Dense(4)
    graph = optimize(Graph(x, layers.Add()([b(a(x)), b(a(x))])), ["merging"]).graph
    assert [len(graph.calls(layer)) for layer in graph.layers] == [1, 1, 1]


def nested_pair(*extra):
    """A nested graph with two outputs of which one is read; `extra` layers lead to the other."""
    inner_x, x = Input((4,)), Input((4,), name="x")
    other = layers.Dense(2, name="other")(inner_x)
    for layer in extra:
        other = layer(other)
    inner = Graph(inner_x, [layers.Dense(3, name="read")(inner_x), other], name="inner")
    return Graph(x, inner(x)[0])


def test_unused_calls_are_dropped():  # oracle: the calls by hand
    graph = optimize(nested_pair(), ["unused"]).graph
    assert [layer.name for layer in graph["inner"].layers] == ["read"]


@pytest.mark.parametrize("layer", [layers.BatchNormalization(), layers.Dropout(0.5)])
def test_unused_calls_with_effects_stay(layer):  # oracle: identity
    graph = nested_pair(layer)
    assert optimize(graph, ["unused"]).graph is graph
    assert optimize(graph, ["unused"], Setting(training=False)).graph is not graph


def test_dropout_goes_at_inference_alone():  # oracle: the layers by hand
    x = Input((4,))
    graph = Graph(x, layers.Dense(2)(layers.Activation("linear")(layers.Dropout(0.5)(x))))
    assert kinds(optimize(graph, ["idle"]).graph) == ["Dropout", "Dense"]
    assert kinds(optimize(graph, ["idle"], Setting(training=False)).graph) == ["Dense"]


def test_dropout_that_is_told_to_train_stays():  # oracle: identity
    inner_x, x = Input((4,)), Input((4,))
    inner = Graph(inner_x, layers.Dropout(0.5)(inner_x))
    graph = Graph(x, [layers.Dropout(0.5)(x, training=True), inner(x, training=True)])
    assert optimize(graph, ["idle"], Setting(training=False)).graph is graph


def test_constants_are_folded():  # oracle: the arithmetic by hand
    x = Input((4,))
    graph = Graph(x, (((x * 2.0) * 3.0 + 1.0) - 1.0) / 5.0)
    done = optimize(graph, ["constants"]).graph
    assert [node.args[0][1] for node in done.nodes if node.layer is not None] == [6.0, 5.0]
    np.testing.assert_allclose(done.apply({}, np.ones((1, 4), "float32")), 1.2, rtol=1e-6)


def test_a_constant_that_changes_the_dtype_stays():  # oracle: identity
    x = Input((4,), dtype="int32")
    graph = Graph(x, (x + 0.0) * 1.0)
    assert len(optimize(graph, ["constants"]).graph.nodes) == 2


def test_a_constant_behind_which_there_is_no_mask():  # oracle: the graph before it
    ids = Input((4,), dtype="int32")
    multiply = Operation(OPERATORS["multiply"], default_name="multiply", keeps_mask=False)
    embedded = layers.Embedding(5, 2, mask_zero=True)(ids)
    for numbers in ((1.0,), (2.0, 3.0), (2.0, 0.5)):
        y = embedded
        for number in numbers:
            y = multiply(y, number)
        graph = Graph(ids, layers.GlobalAveragePooling1D()(y))
        done, variables = optimize(graph, ["constants"]).graph, graph.init(jax.random.key(0))
        x = np.array([[1, 2, 0, 0]], np.int32)
        np.testing.assert_allclose(done.apply(variables, x), graph.apply(variables, x), rtol=1e-6)


def normalised(before=(), after=(), shape=(6, 6, 3)):
    """Layers, a normalisation, layers."""
    x = y = Input(shape)
    for layer in (*before, layers.BatchNormalization(name="norm"), *after):
        y = layer(y)
    return Graph(x, y)


@pytest.mark.parametrize(
    ("graph", "note"),
    [
        (normalised([layers.Conv2D(2, 3, name="c")]), ("'norm' is in 'c' before it",)),
        (normalised([layers.Conv2D(2, 3, activation="relu", name="c")]), ()),
        (normalised([], [layers.Conv2D(2, 3, name="c", activation="relu")]), ("'norm' is in 'c' after it",)),
        (normalised([], [layers.Conv2D(2, 3, padding="same", name="c")]), ()),
        (normalised([], [layers.Conv2D(2, 1, padding="same", name="c")]), ("'norm' is in 'c' after it",)),
        (normalised([layers.SeparableConv2D(2, 3, name="c")]), ("'norm' is in 'c' before it",)),
        (normalised([layers.DepthwiseConv2D(3, name="c")]), ("'norm' is in 'c' before it",)),
        (normalised([layers.Dense(5, name="c")], shape=(4,)), ("'norm' is in 'c' before it",)),
        (normalised([layers.Conv2D(2, 3, data_format="channels_first", name="c")]), ()),
    ],
)
def test_normalisation_is_folded_where_that_is_exact(graph, note):  # oracle: the algebra by hand; the graph before
    assert found(graph, "folding", INFERENCE) == note
    variables = graph.init(jax.random.key(0))
    variables = jax.tree.map(
        lambda leaf: leaf + (0.5 + np.arange(leaf.size).reshape(leaf.shape) % 3).astype("float32"), variables
    )
    folded, arrays = graph.optimize(variables, inference=True, passes=["folding"])
    x = np.random.default_rng(0).normal(size=(2, *graph.inputs[0].shape[1:])).astype("float32")
    np.testing.assert_allclose(folded.apply(arrays, x), graph.apply(variables, x), rtol=1e-4, atol=1e-3)
    assert ("norm" in arrays["params"]) == (not note)


def test_folding_needs_arrays_of_its_own():  # oracle: the message, word for word
    graph = normalised([layers.Conv2D(2, 3)])
    assert found(graph, "folding") == "in training the statistics are the batch's"
    assert found(graph, "folding", Setting(training=False)) == "the arrays are to stay as they are"


def test_variables_of_another_graph_are_refused():  # oracle: the kind of error
    graph = normalised([layers.Conv2D(2, 3)])
    _, arrays = graph.optimize(graph.init(jax.random.key(0)), inference=True)
    with pytest.raises(GraphError, match="lack"):
        graph.optimize(arrays, inference=True)


def reading(words, *recurrent):
    ids = Input((None,), dtype="int32", name="ids")
    rows = layers.Embedding(words, 16, mask_zero=True, name="rows")(ids)
    return Graph(ids, [layer(rows) for layer in recurrent])


@pytest.mark.parametrize(("tokens", "is_tabled"), [(12, False), (13, True)])
def test_gates_are_looked_up_where_tokens_are_many(tokens, is_tabled):  # oracle: the rule by hand; the graph before
    graph = reading(70, layers.LSTM(2), layers.Bidirectional(layers.GRU(2, return_sequences=True), name="both"))
    variables = graph.init(jax.random.key(0))
    ids = np.random.default_rng(0).integers(0, 4, (1, tokens)).astype("int32")
    traced = jax.make_jaxpr(lambda ids: optimize(graph, ["gate_tables"]).graph.apply(variables, ids))(ids)
    # 16 x 8 products and 120 x (16 - 8) moves saved for each token, against 1.5 x 70 x 16 x 8 products.
    assert ("f32[70,8]" in str(traced)) == is_tabled
    assert_equal(graph, variables, ids)


def test_gate_tables_stay_out_of_a_mesh_and_of_other_layers():  # oracle: the message; identity
    graph = reading(7, layers.LSTM(2))
    assert found(graph, "gate_tables", Setting(is_spread=True)) == "a mesh lays the arrays out"
    x = Input((5, 3))
    plain = Graph(x, layers.LSTM(2)(layers.Dense(3)(x)))
    assert optimize(plain, ["gate_tables"]).graph is plain


def test_gates_are_computed_again(monkeypatch):  # oracle: what a loop keeps of each step, by hand; the graph before
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    x = Input((7, 3), name="x")
    shared = layers.LSTM(4, name="shared", dropout=0.5)
    graph = Graph(x, [shared(x), layers.Bidirectional(layers.GRU(5), name="both")(x), shared(x * 2)])
    assert found(graph, "recompute") == ("'shared', 'both': states alone are kept",)
    assert found(graph, "recompute", Setting(training=False)) == "for training steps alone"
    with monkeypatch.context() as kept:
        kept.setenv("MALLOC_TRIM_THRESHOLD_", "-1")
        assert found(graph, "recompute") == "the allocator keeps freed memory"
    again, variables = optimize(graph, ["recompute"]).graph, graph.init(jax.random.key(0))
    values = np.random.default_rng(0).normal(size=(2, 7, 3)).astype("float32")
    texts = [str(jax.make_jaxpr(partial(trained, each, variables))(values)) for each in (graph, again)]
    # Of seven steps of two rows the states h and c of four units are kept, and before what their gates are.
    kept = [text.count("f32[7,2,4]") for text in texts]
    assert kept[1] < kept[0] / 2
    assert_near(*quickly(lambda values: [trained(each, variables, values) for each in (graph, again)], values))


def test_arithmetic_is_chosen_by_shape():  # oracle: the rules in docs/passes.md
    x = Input((8, 8, 64))
    chosen = [
        layers.Conv2D(64, 1, strides=2),
        layers.Conv2D(64, 3),
        layers.Conv2D(64, 5),
        layers.Conv2D(64, 3, groups=2),
        layers.SeparableConv2D(4, 3),
        layers.DepthwiseConv2D(3),
        layers.MaxPooling2D(2),
        layers.AveragePooling2D(4),
    ]
    graph = optimize(Graph(x, [layer(x) for layer in chosen])).graph
    assert kinds(graph) == [
        *("PointwiseConv2D", "ProductedConv2D", "Conv2D", "Conv2D", "ShiftedSeparableConv2D"),
        *("ShiftedDepthwiseConv2D", "ShiftedMaxPooling2D", "AveragePooling2D"),
    ]


def small():
    x = Input((6, 6, 3), name="x")
    y = layers.Conv2D(4, 1, name="mix")(x)
    y = layers.GlobalAveragePooling2D()(layers.Dropout(0.5)(y))
    return Graph(x, layers.Dense(3, "softmax", name="class")(y))


def test_the_plan_in_words():  # oracle: the text, word for word
    trainer = jg.Trainer(small(), "sgd", "categorical_crossentropy", passes=["logits", "pointwise"])
    text = str(trainer.plan())
    assert text.startswith(
        dedent("""\
        In training:
          logits: a loss behind a softmax or sigmoid is computed from the logits
              the loss of 'class' reads what precedes the softmax
        """)
    )
    assert "  pointwise: 1x1 convolutions are matrix products on a CPU and an NVIDIA GPU\n      'mix'" in text
    assert (
        "  pooling: maxima of small windows are computed from shifted images on a CPU\n      off: switched off" in text
    )


@pytest.mark.parametrize("passes", ["all", ["logits", "pointwise"]])
def test_training_is_the_same_with_each_pass(passes):  # oracle: the trainer without passes
    random = np.random.default_rng(0)
    data = random.normal(size=(8, 6, 6, 3)).astype("float32"), np.eye(3, dtype="float32")[random.integers(3, size=8)]
    results = []
    for chosen in (None, passes):
        trainer = jg.Trainer(small(), "sgd", "categorical_crossentropy", passes=chosen)
        state = trainer.init(jax.random.key(1))
        for _ in range(2):
            state, _ = trainer.train_step(state, data)
        results.append((jax.device_get(state.params), trainer.evaluate(state, *data), trainer.predict(state, data[0])))
    assert jax.tree.structure(results[0]) == jax.tree.structure(results[1])
    for one, other in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("passes", ["pointwis", ["logits", "merge"], 3])
def test_unknown_passes_are_refused(passes):  # oracle: the kind of error
    with pytest.raises(GraphError, match="pass"):
        jg.Trainer(small(), "sgd", "categorical_crossentropy", passes=passes)


def arithmetic():
    """A graph in which each pass on arithmetic finds something."""
    x = Input((6, 6, 40), name="x")
    y = layers.Conv2D(40, 3, padding="same", name="window")(layers.Conv2D(40, 1, name="mix")(x))
    y = layers.MaxPooling2D(2)(layers.SeparableConv2D(3, 3, name="each")(y))
    return Graph(x, layers.GlobalAveragePooling2D(name="y")(y))


@pytest.mark.parametrize("strategy", [pytest.param("jit", marks=pytest.mark.slow), "pmap"])
def test_a_mesh_computes_the_same(strategy):  # oracle: the trainer without passes, on one device
    data = np.random.default_rng(0).normal(size=(4, 6, 6, 40)).astype("float32"), np.ones((4, 3), "float32")
    results = []
    for options in ({"passes": None}, {"mesh": jg.sharding.make_mesh(jax.devices()[:2]), "strategy": strategy}):
        trainer = jg.Trainer(arithmetic(), "sgd", "mse", **options)
        state, _ = trainer.train_step(trainer.init(jax.random.key(1)), data)
        results.append(jax.device_get(state.params))
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6), *results)


def test_merging_goes_on_behind_what_changed():  # oracle: the calls by hand
    x, a, b, c = Input((4,)), layers.Dense(4), layers.Dense(4), layers.Dense(4)
    first = b(layers.Add()([a(x), a(x)]))
    graph = Graph(x, [c(first), c(first)])
    merged = optimize(graph, ["merging"]).graph
    assert [len(merged.calls(layer)) for layer in merged.layers] == [1, 1, 1, 1]


def test_gates_of_an_embedding_that_is_called_twice():  # oracle: the graph before the pass
    first, second = (Input((None,), dtype="int32", name=name) for name in ("first", "second"))
    embedding = layers.Embedding(9, 4, mask_zero=True)
    read = layers.GRU(3)
    graph = Graph([first, second], [read(embedding(first)), layers.GRU(3)(embedding(second)), embedding(second)])
    variables = graph.init(jax.random.key(0))
    values = [jnp.array([[1, 2, 0], [3, 3, 3]]), jnp.array([[4, 5], [6, 0]])]
    tabled = graph.optimize(passes=["gate_tables"])
    assert [layer.kind for layer in tabled.layers].count("OpenEmbedding") == 1
    for one, other in zip(tabled.apply(variables, values), graph.apply(variables, values), strict=True):
        assert jnp.allclose(one, other, atol=1e-6)
