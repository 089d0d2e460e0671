"""LSTMs with products over all steps and a derivative of their own, beside the graph as it was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import layers
from jaxgraphs.passes import lstm_loops, recompute
from jaxgraphs.passes.base import Setting
from jaxgraphs.passes.gate_tables import GateTables
from jaxgraphs.passes.kernels.lstm import lstm_loop, lstm_steps
from jaxgraphs.passes.lstm_loops import LSTMLoops
from tests.oracle import equations
from tests.passes.test_branches import SPREAD, floats, ids, mixed, question_answering, siamese, with_gradients
from tests.passes.test_one_loop import dropping, shared_across_graphs, unlike_lengths


def bidirectional():
    """Masks in the middle of sequences, outputs of all steps and of the last, states given back."""
    text = jg.Input((6,), dtype="int32")
    rows = layers.Embedding(5, 4, mask_zero=True)(text)
    every = layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode="sum")(rows)
    last = layers.LSTM(3, zero_output_for_mask=True)(every)
    every, h, c = layers.LSTM(2, return_sequences=True, return_state=True, go_backwards=True)(every)
    return jg.Graph(text, layers.Dense(2)(layers.concatenate([layers.Flatten()(every), h, c, last]))), ids((4, 6))


SLOW = [question_answering, siamese, mixed, unlike_lengths]
GRAPHS = [bidirectional, shared_across_graphs, *(pytest.param(make, marks=pytest.mark.slow) for make in SLOW)]


@pytest.mark.parametrize("setting", [Setting(), SPREAD])
@pytest.mark.parametrize("make", GRAPHS)
def test_outputs_and_gradients_stay(make, setting):  # oracle: the graph before the pass
    graph, x = make()
    variables = graph.init(jax.random.key(0))
    done = LSTMLoops().rewrite(graph, setting)
    assert ("over all steps at once" in done.notes[0]) == (setting is not SPREAD)
    assert done.graph.variable_specs() == graph.variable_specs()
    for a, b in zip(*(jax.tree.leaves(with_gradients(g, variables, x)) for g in (done.graph, graph)), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("make", "setting"),
    [(question_answering, Setting()), pytest.param(bidirectional, SPREAD, marks=pytest.mark.slow)],
)
def test_gates_may_be_looked_up(make, setting):  # oracle: the graph before both passes
    graph, x = make()
    variables = graph.init(jax.random.key(0))
    tabled = GateTables().rewrite(graph, Setting())
    done = LSTMLoops().rewrite(tabled.graph, setting)
    assert tabled.notes
    assert done.notes
    for a, b in zip(*(jax.tree.leaves(with_gradients(g, variables, x)) for g in (done.graph, graph)), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_gradients_of_gradients():  # oracle: the graph before the pass
    x = jg.Input((4, 2))
    graph = jg.Graph(x, layers.LSTM(2)(x))
    variables, values = graph.init(jax.random.key(0)), floats(3, 4, 2)

    def slopes(graph, values):
        return jnp.sum(jax.grad(lambda v: jnp.sum(jnp.sin(graph.apply(variables, v))))(values) ** 2)

    found = [jax.grad(slopes, 1)(each, values) for each in (LSTMLoops().rewrite(graph, Setting()).graph, graph)]
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-6)


def test_dropout_is_left_to_the_layer():  # oracle: the graph before the pass, with the same key
    graph, x = dropping(dropout=0.5), floats(4, 6, 4)
    variables = graph.init(jax.random.key(0))
    options = {"train": True, "rngs": {"dropout": jax.random.key(3)}}
    done = LSTMLoops().rewrite(graph, Setting()).graph
    np.testing.assert_allclose(done.apply(variables, x, **options), graph.apply(variables, x, **options), rtol=1e-6)


@pytest.mark.parametrize(
    "options", [{"activation": "relu"}, {"recurrent_activation": "hard_sigmoid"}, {"unroll": True}, {"recompute": True}]
)
def test_what_has_another_derivative_stays(options):  # oracle: the very graph
    x = jg.Input((6, 4))
    graph = jg.Graph(x, layers.Dense(1)(layers.LSTM(3, **options)(x)))
    assert LSTMLoops().rewrite(graph, Setting()).graph is graph


def test_by_hand():  # oracle: one step of one unit, worked out
    z = jnp.log(jnp.array([[[1.0, 3.0, 1.0, 1.0]]]))  # i = 1/2, f = 3/4, o = 1/2; the candidate is tanh(0)
    _, (h, c) = lstm_loop(False, z, jnp.zeros((1, 4)), (jnp.zeros((1, 1)), jnp.full((1, 1), 4.0)), None)
    np.testing.assert_allclose([c[0, 0], h[0, 0]], [3.0, np.tanh(3.0) / 2], rtol=1e-6)


def test_products_within_the_loop():  # oracle: the same with products before it, and its gradients
    x, kernel, recurrent, bias = floats(5, 3, 4), floats(4, 8, seed=1), floats(2, 8, seed=2), floats(8, seed=3)
    states, live = (floats(3, 2, seed=4), floats(3, 2, seed=5)), floats(5, 3, 1, seed=6) > 0

    def before(x, kernel, recurrent, bias, states):
        return lstm_loop(True, jnp.matmul(x, kernel) + bias.reshape(1, 1, -1), recurrent, states, live)

    def within(x, kernel, recurrent, bias, states):
        weights = {"kernel": kernel, "recurrent_kernel": recurrent, "bias": bias}
        return lstm_steps(True, jnp.swapaxes(x, 0, 1), weights, states, live)

    def slopes(function):
        def total(*arrays):
            return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(function(*arrays)))

        return jax.value_and_grad(total, range(5))(x, kernel, recurrent, bias, states)

    for ours, wanted in zip(*map(jax.tree.leaves, (slopes(within), slopes(before))), strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-6)


def test_within_the_loop_the_input_is_read_as_it_lies():  # oracle: no array of its size is turned about
    x, live = floats(3, 5, 4), jnp.ones((5, 3, 1), bool)
    weights = {"kernel": floats(4, 8), "recurrent_kernel": floats(2, 8), "bias": None}
    states = (floats(3, 2), floats(3, 2))

    def total(weights, x):
        return jnp.sum(lstm_steps(False, x, weights, states, live)[1][0])

    def turned(slope):
        program = jax.make_jaxpr(slope)(weights, x)
        return [each.invars[0].aval.shape for each in equations(program.jaxpr) if each.primitive.name == "transpose"]

    assert (3, 5, 4) not in turned(jax.grad(total))
    # Its own gradient comes out of the loop step after step, and is turned about once.
    assert turned(jax.grad(total, 1)).count((5, 3, 4)) == 1


def test_objections(monkeypatch):  # oracle: the words
    objection = LSTMLoops().objection
    assert objection(Setting(training=False)) == "for training steps alone"
    assert objection(Setting(is_spread=True)) == "a mesh lays the arrays out"
    for keeps, words in ((True, None), (False, "the allocator hands memory back; jg.setup(allocator=True) keeps it")):
        monkeypatch.setattr(lstm_loops, "keeps_freed_memory", lambda keeps=keeps: keeps)
        assert objection(Setting()) == words


def test_a_trainer_whose_memory_stays(monkeypatch):  # oracle: a Trainer without the pass
    graph, x = question_answering()
    y = jnp.asarray([0, 1, 2, 1])
    found = []
    for keeps in (True, False):
        for module in (lstm_loops, recompute):
            monkeypatch.setattr(module, "keeps_freed_memory", lambda keeps=keeps: keeps)
        trainer = jg.Trainer(graph, "rmsprop", "sparse_categorical_crossentropy")
        assert ("products over all steps at once" in str(trainer.plan())) == keeps
        state = trainer.init(jax.random.key(1))
        found.append(trainer.fit(state, x, y, batch_size=2, epochs=3, verbose=0)[1].history["loss"])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
