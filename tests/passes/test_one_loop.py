"""Recurrent layers with products before the loop and in one loop, beside the graph as it was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import layers
from jaxgraphs.passes.base import Setting
from jaxgraphs.passes.one_loop import OneLoopPass
from jaxgraphs.training.precision import with_precision
from tests.passes.test_branches import floats, ids, mixed, question_answering, siamese, with_gradients


def rewritten(graph, **setting):
    return OneLoopPass().rewrite(graph, Setting(**setting))


def unlike_lengths():
    """One text longer than the other, one of them masked, one from the end, one with all its outputs."""
    text, question, series = jg.Input((7,), dtype="int32"), jg.Input((4,), dtype="int32"), jg.Input((5, 6))
    embedding = layers.Embedding(5, 6, mask_zero=True)
    every = layers.LSTM(3, return_sequences=True)(embedding(text))
    last, h, c = layers.LSTM(3, return_state=True, go_backwards=True)(layers.Embedding(5, 6)(question))
    read = layers.LSTM(3)(series, initial_state=[h, c])
    also = layers.LSTM(3, use_bias=False)(series)
    outputs = [layers.GlobalAveragePooling1D()(every), last, read, also, layers.LSTM(3)(series)]
    return jg.Graph([text, question, series], layers.Dense(2)(layers.concatenate(outputs))), [
        ids((4, 7)),
        ids((4, 4), 1),
        floats(4, 5, 6),
    ]


def gated():
    """GRUs of both kinds and a SimpleRNN, two of each; activations other than the usual ones."""
    x = jg.Input((6, 4))
    made = [layers.GRU(3)(x), layers.GRU(3)(x), layers.GRU(3, reset_after=False, activation="relu")(x)]
    made += [layers.SimpleRNN(3)(x), layers.SimpleRNN(3, go_backwards=True)(x), layers.GRU(3, reset_after=False)(x)]
    return jg.Graph(x, layers.Dense(2)(layers.concatenate(made))), floats(4, 6, 4)


def bidirectional():
    text = jg.Input((6,), dtype="int32")
    rows = layers.Embedding(5, 4, mask_zero=True)(text)
    every = layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode="sum")(rows)
    both = layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3, go_backwards=True, use_bias=False))(every)
    return jg.Graph(text, layers.Dense(2)(both)), ids((4, 6))


def nested():
    """The same graph called on two sequences, with two LSTMs in it."""
    x, lstm = jg.Input((6, 4)), layers.LSTM(4, return_sequences=True)
    inner = jg.Graph(x, layers.LSTM(3)(lstm(x)), name="inner")
    a, b = jg.Input((6, 4)), jg.Input((6, 4))
    graph = jg.Graph([a, b], layers.Dense(1)(layers.concatenate([inner(a), inner(b)])))
    return graph, [floats(4, 6, 4), floats(4, 6, 4, seed=1)]


def shared_across_graphs():
    """An LSTM and a Bidirectional that a nested graph and its caller share, each beside one that they do not."""
    lstm, both = layers.LSTM(3, name="lstm"), layers.Bidirectional(layers.GRU(2), name="both")
    x = jg.Input((6, 4))
    inner = jg.Graph(x, layers.concatenate([lstm(x), layers.LSTM(3)(x), both(x)]), name="inner")
    a, b = jg.Input((6, 4)), jg.Input((5, 4))
    read = [inner(a), lstm(b), layers.LSTM(3)(b), both(b)]
    return jg.Graph([a, b], layers.Dense(1)(layers.concatenate(read))), [floats(4, 6, 4), floats(4, 5, 4, seed=1)]


SLOW = [question_answering, siamese, mixed, gated, bidirectional, unlike_lengths]
GRAPHS = [nested, shared_across_graphs, *(pytest.param(make, marks=pytest.mark.slow) for make in SLOW)]


@pytest.mark.parametrize("make", GRAPHS)
def test_outputs_and_gradients_stay(make):  # oracle: the graph before the pass
    graph, x = make()
    variables = graph.init(jax.random.key(0))
    done = rewritten(graph)
    assert done.notes
    assert done.graph.variable_specs() == graph.variable_specs()
    for a, b in zip(*(jax.tree.leaves(with_gradients(g, variables, x)) for g in (done.graph, graph)), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def loops(graph, x):
    """How many loops a forward pass has."""
    variables = graph.init(jax.random.key(0))
    return str(jax.make_jaxpr(lambda values: graph.apply(variables, values))(x)).count("scan[")


@pytest.mark.parametrize(
    ("make", "before", "after"),
    [(question_answering, 2, 1), (siamese, 2, 1), (gated, 6, 4), (bidirectional, 4, 3), (unlike_lengths, 5, 4)],
)
def test_fewer_loops(make, before, after):  # oracle: loops counted in the trace, by what has the same sizes
    graph, x = make()
    assert loops(graph, x) == before
    assert loops(rewritten(graph).graph, x) == after


def test_under_a_mesh_each_keeps_its_loop():  # oracle: the kinds of layers there are
    graph, _ = siamese()
    kinds = {layer.kind for layer in rewritten(graph, is_spread=True).graph.layers}
    assert "LoopedLSTM" in kinds
    assert "OneLoop" not in kinds


def dropping(**rates):
    x = jg.Input((6, 4))
    return jg.Graph(x, layers.Dense(1)(layers.concatenate([layers.LSTM(3, **rates)(x), layers.LSTM(3, **rates)(x)])))


@pytest.mark.parametrize("rates", [{"dropout": 0.5}, {"dropout": 0.3, "recurrent_dropout": 0.5}])
def test_dropout_draws_the_same(rates):  # oracle: the graph before the pass, with the same key
    graph, x = dropping(**rates), floats(4, 6, 4)
    variables = graph.init(jax.random.key(0))
    options = {"train": True, "rngs": {"dropout": jax.random.key(3)}}
    np.testing.assert_allclose(
        rewritten(graph).graph.apply(variables, x, **options), graph.apply(variables, x, **options), rtol=1e-5
    )


def test_many_members_and_half_precision():  # oracle: each member by itself, and the graph before the pass
    graph, x = siamese()
    done = rewritten(graph).graph
    many = jax.vmap(graph.init)(jax.random.split(jax.random.key(0), 3))
    outputs = jax.vmap(done.apply, in_axes=(0, None))(many, x)
    for index in range(3):
        one = jax.tree.map(lambda leaf, index=index: leaf[index], many)
        np.testing.assert_allclose(outputs[index], graph.apply(one, x), rtol=1e-5)
    low = with_precision(graph, "bfloat16")
    expected = low.apply(one, x)
    assert expected.dtype == jnp.bfloat16
    np.testing.assert_allclose(*(np.float32(y) for y in (rewritten(low).graph.apply(one, x), expected)), atol=2e-2)


def test_unrolled_and_recomputed_layers_stay():  # oracle: the very graph
    x = jg.Input((6, 4))
    graph = jg.Graph(
        x, layers.Dense(1)(layers.LSTM(3, unroll=True)(layers.LSTM(4, return_sequences=True, recompute=True)(x)))
    )
    assert rewritten(graph).graph is graph


def test_objection():  # oracle: the words
    assert OneLoopPass().objection(Setting()) == f"not on {jax.default_backend()}"


def test_a_trainer_that_thinks_it_is_on_a_gpu(monkeypatch):  # oracle: a Trainer without the pass
    graph, x = question_answering()
    y = jnp.asarray([0, 1, 2, 1])
    found = []
    for backend in ("gpu", "cpu"):
        with monkeypatch.context() as patched:
            patched.setattr("jaxgraphs.passes.one_loop.jax.default_backend", lambda backend=backend: backend)
            trainer = jg.Trainer(graph, "rmsprop", "sparse_categorical_crossentropy")
            state = trainer.init(jax.random.key(1))
            assert ("read in one loop" in str(trainer.plan())) == (backend == "gpu")
            found.append(trainer.fit(state, x, y, batch_size=2, epochs=3, verbose=0)[1].history["loss"])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
