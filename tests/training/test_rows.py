"""Steps that move only the rows of embeddings that a batch looks up, beside steps that move whole tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import layers, optimizers
from jaxgraphs.training import rows
from jaxgraphs.training.rows import Lookup, lookups

VOCABULARY = 300


def graph(**options):
    """Two inputs that share one table, the first of which a second table reads too; padding; and a table apart."""
    a, b, c = (jg.Input((5,), dtype="int32", name=name) for name in "abc")
    shared = layers.Embedding(VOCABULARY, 4, name="shared", mask_zero=True)
    other, apart = layers.Embedding(VOCABULARY, 3, name="other"), layers.Embedding(400, 2, name="apart", **options)
    read = [layers.GRU(3)(shared(a)), layers.GRU(3)(shared(b)), layers.Flatten()(other(a)), layers.Flatten()(apart(c))]
    return jg.Graph([a, b, c], layers.Dense(2, activation="softmax", name="y")(layers.concatenate(read)))


def batches():
    random = np.random.default_rng(0)
    for step in range(4):
        # Few words and many zeros; ids of a step are missing in the next; some lie outside of the table.
        ids = [random.integers(0, 40, (3, 5)) * (step + 1) for _ in range(3)]
        ids[2][0, :2] = [-7, 5000]
        yield [np.asarray(part, np.int32) for part in ids], random.integers(0, 2, 3).astype(np.int32)


def trained(passes, optimizer):
    trainer = jg.Trainer(graph(), optimizer, "sparse_categorical_crossentropy", passes=passes)
    state = trainer.init(jax.random.key(0))
    for x, y in batches():
        state, logs = trainer.train_step(state, (x, y))
    return trainer, state, logs


OPTIMIZERS = {
    "sgd": lambda: optimizers.sgd(0.5),
    "rmsprop": lambda: optimizers.rmsprop(0.1),
    "clipped": lambda: optimizers.rmsprop(0.1, rho=0.5, global_clipnorm=0.01),
    "adagrad": lambda: optimizers.adagrad(0.1),
    "lazy adam": lambda: optimizers.lazy_adam(0.1),
    "lazy amsgrad": lambda: optimizers.lazy_adam(0.1, amsgrad=True, clipnorm=0.01),
}


QUICK = ("lazy adam",)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in OPTIMIZERS]
)
def test_rows_alone_are_whole_tables(name, monkeypatch):  # oracle: the same steps on whole tables
    monkeypatch.setattr(rows, "_FACTOR", 1)
    _, expected, logs = trained(["logits"], OPTIMIZERS[name]())
    trainer, state, found = trained(["logits", "row_updates"], OPTIMIZERS[name]())
    assert "'shared', 'other'" in str(trainer.plan())
    for a, b in zip(
        jax.tree.leaves((state.params, state.opt_state, found)),
        jax.tree.leaves((expected.params, expected.opt_state, logs)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_which_tables():  # oracle: by hand
    assert lookups(graph()) == [Lookup((0, 1), ("shared", "other"), VOCABULARY), Lookup((2,), ("apart",), 400)]
    assert [each.tables for each in lookups(graph(embeddings_regularizer="l2"))] == [("shared", "other")]
    ids = jg.Input((5,), dtype="int32")
    table = layers.Embedding(9, 2)
    assert lookups(jg.Graph(ids, table(jg.layer(lambda x: x + 1)(ids)))) == []
    assert lookups(jg.Graph(ids, [table(ids), jg.layer(lambda x: x * 2)(ids)])) == []


@pytest.mark.parametrize(
    "optimizer", [optimizers.sgd(0.1, momentum=0.9), optimizers.rmsprop(weight_decay=0.1), optimizers.adam()]
)
def test_other_optimizers_move_whole_tables(optimizer):  # oracle: the plan's words
    trainer = jg.Trainer(graph(), optimizer, "sparse_categorical_crossentropy")
    assert "the optimizer moves rows that are not looked up" in str(trainer.plan())


def test_small_tables_are_moved_whole():  # oracle: no sort in the program
    texts = []
    for size in (400, 3000):
        ids = jg.Input((5,), dtype="int32")
        small = jg.Graph(ids, layers.Dense(1, name="y")(layers.Flatten()(layers.Embedding(size, 2)(ids))))
        trainer = jg.Trainer(small, "sgd", "mse")
        state = jax.eval_shape(trainer.init, jax.random.key(0))
        batch = trainer._arranged((jnp.zeros((40, 5), jnp.int32), jnp.zeros((40, 1))))
        texts.append(trainer._train.lower(state, trainer.objective.empty(), batch).as_text())
    assert ["stablehlo.sort" in text for text in texts] == [False, True]


def test_ids_of_few_bits():  # oracle: the whole table
    x = jg.Input((3,), dtype="int8", name="x")
    graph = jg.Graph(x, jg.layers.Dense(1, name="y")(jg.layers.Flatten()(jg.layers.Embedding(500, 2, name="table")(x))))
    ids, y = np.arange(-1, 29).reshape(10, 3).clip(0).astype(np.int8), np.ones((10, 1), np.float32)
    tables = []
    for passes in ("all", None):
        trainer = jg.Trainer(graph, "sgd", "mse", passes=passes)
        state, _ = trainer.train_step(trainer.init(jax.random.key(0)), (ids, y))
        tables.append(state.params["table"]["embedding"])
    np.testing.assert_allclose(*tables, rtol=1e-6)
