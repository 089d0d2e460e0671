"""Recurrent branches on devices of their own, beside the graph on one device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import layers
from jaxgraphs.passes import side_by_side
from jaxgraphs.passes.base import Setting
from jaxgraphs.passes.branches import RecurrentBranches
from jaxgraphs.passes.gate_tables import GateTables
from tests.oracle import equations

SPREAD = Setting(devices=tuple(jax.devices()[:2]))


@pytest.fixture(autouse=True)
def _any_work_pays(monkeypatch):
    monkeypatch.setattr(side_by_side, "_LEAST_WORK", 0.0)


def ids(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).integers(0, 5, shape), jnp.int32)


def floats(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def question_answering():
    return jg.models.question_answering(9, 8, 3, embedding=4, units=3), [ids((4, 6)), ids((4, 5), 1)]


def siamese():
    return jg.models.siamese_lstm(4, 3), [floats(4, 6, 4), floats(4, 6, 4, seed=1)]


def mixed():
    """Masks, states, sequences, layers of unlike kind and length; the last LSTM reads another and stays apart."""
    text, series = jg.Input((None,), dtype="int32"), jg.Input((None, 4))
    every, h, _ = layers.LSTM(5, return_state=True, return_sequences=True)(
        layers.Embedding(20, 6, mask_zero=True)(text)
    )
    read = [layers.GRU(4)(series), layers.SimpleRNN(3, go_backwards=True)(series), h, layers.LSTM(6)(every)]
    return jg.Graph([text, series], layers.Dense(2)(layers.concatenate(read))), [ids((4, 6)), floats(4, 5, 4)]


def one_table():
    """Two calls of one embedding, whose padding is left out; its rows have another reader too."""
    texts, table = [jg.Input((None,), dtype="int32") for _ in range(2)], layers.Embedding(9, 4, mask_zero=True)
    rows = [table(text) for text in texts]
    read = [layers.GRU(3)(rows[0]), layers.LSTM(3)(rows[1]), layers.GlobalAveragePooling1D()(rows[0])]
    return jg.Graph(texts, layers.Dense(2)(layers.concatenate(read))), [ids((4, 6)), ids((4, 5), 1)]


def with_gradients(graph, variables, x):
    def total(variables):
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(graph.apply(variables, x)))

    return jax.jit(jax.value_and_grad(total))(variables)


def shared_across_graphs():
    lstm, x, other = layers.LSTM(3), jg.Input((6, 4)), jg.Input((6, 4))
    inner = jg.Graph(x, layers.add([lstm(x), layers.LSTM(3)(x)]))
    read = [inner(x), lstm(other), layers.LSTM(3)(other)]
    return jg.Graph([x, other], layers.Dense(2)(layers.concatenate(read))), [floats(4, 6, 4), floats(4, 6, 4, seed=1)]


GRAPHS = [
    siamese,
    shared_across_graphs,
    one_table,
    pytest.param(question_answering, marks=pytest.mark.slow),
    pytest.param(mixed, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("make", GRAPHS)
def test_placed_graphs_compute_the_same(make):  # oracle: the graph on one device, and its gradients
    graph, x = make()
    variables = graph.init(jax.random.key(0))
    placed = RecurrentBranches().rewrite(GateTables().rewrite(graph, SPREAD).graph, SPREAD)
    assert len(placed.notes) == (2 if make is shared_across_graphs else 1)
    assert "SideBySide" in [layer.kind for layer in placed.graph.layers]
    for a, b in zip(*(jax.tree.leaves(with_gradients(g, variables, x)) for g in (placed.graph, graph)), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_rows_are_looked_up_by_the_device_that_reads_them():  # oracle: what is added up outside of the devices' parts
    def added(graph):
        program = jax.make_jaxpr(lambda variables: with_gradients(graph, variables, x))(variables)
        return sum(each.primitive.name == "scatter-add" for each in equations(program.jaxpr, but="shard_map"))

    graph, x = question_answering()
    variables = graph.init(jax.random.key(0))
    placed = RecurrentBranches().rewrite(GateTables().rewrite(graph, SPREAD).graph, SPREAD)
    assert (added(graph), added(placed.graph)) == (2, 0)


def test_the_arrays_keep_their_names():  # oracle: the old graph's specs
    graph, _ = mixed()
    assert RecurrentBranches().rewrite(graph, SPREAD).graph.variable_specs() == graph.variable_specs()


def stacked():
    x = jg.Input((6, 4))
    return jg.Graph(x, layers.Dense(1)(layers.LSTM(3)(layers.LSTM(3, return_sequences=True)(x))))


def lopsided():
    x = jg.Input((6, 4))
    return jg.Graph(x, layers.Dense(1)(layers.concatenate([layers.LSTM(64)(x), layers.LSTM(2)(x)])))


def dropping():
    x = jg.Input((6, 4))
    both = [layers.LSTM(3, dropout=0.5)(x), layers.LSTM(3, dropout=0.5)(x)]
    return jg.Graph(x, layers.Dense(1)(layers.concatenate(both)))


def partly_shared():
    x, lstm = jg.Input((6, 3)), layers.LSTM(3, return_sequences=True)
    return jg.Graph(x, layers.Dense(1)(layers.add([lstm(lstm(x)), layers.LSTM(3, return_sequences=True)(x)])))


@pytest.mark.parametrize("make", [stacked, lopsided, dropping, partly_shared])
def test_what_would_not_pay_or_not_be_the_same_stays(make):  # oracle: the very graph
    graph = make()
    assert RecurrentBranches().rewrite(graph, SPREAD).graph is graph


def test_objections():  # oracle: the words
    objection = RecurrentBranches().objection
    assert objection(SPREAD) is None
    assert "jg.setup(host_devices=2)" in (objection(Setting()) or "")
    assert objection(Setting(training=False, devices=SPREAD.devices)) == "for training steps alone"
    assert objection(Setting(is_spread=True)) == "a mesh lays the arrays out"


def test_a_trainer_places_branches(monkeypatch):  # oracle: a Trainer without the pass
    monkeypatch.setattr("jaxgraphs.training.rewriting.os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    graph, x = siamese()
    y = jnp.asarray([[0.0], [1.0], [1.0], [0.0]])
    found, trainers = [], []
    for passes in ("all", ["logits"]):
        trainer = jg.Trainer(graph, "rmsprop", "binary_crossentropy", passes=passes)
        state = trainer.init(jax.random.key(1))
        state, history = trainer.fit(state, x, y, batch_size=2, epochs=3, verbose=0, validation_data=(x, y))
        trainers.append(trainer)
        found.append((history.history, trainer.predict(state, x), trainer.evaluate(state, x, y), state))
    assert len(found[0][3].step.devices()) == 2
    steps = [trainer.train_step(trainer.init(jax.random.key(1)), (x, y)) for trainer in trainers]
    np.testing.assert_allclose(steps[0][1]["loss"], steps[1][1]["loss"], rtol=1e-5)
    assert [len(state.step.devices()) for state, _ in steps] == [2, 1]
    assert len(found[1][3].step.devices()) == 1
    for a, b in zip(jax.tree.leaves(found[0][:3]), jax.tree.leaves(found[1][:3]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
