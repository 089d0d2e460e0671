"""Small graphs and data for tests of training, and the judges of whole runs: equal to the bit, or what Keras does."""

from __future__ import annotations

import jax
import numpy as np

import jaxgraphs as jg
from jaxgraphs import layers


def leaves_of(tree):
    """The arrays of a tree, random keys as numbers."""
    is_key = lambda leaf: jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)  # noqa: E731
    return [np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf) for leaf in jax.tree.leaves(tree)]


def assert_same_bits(actual, expected):
    """Two trees hold the same numbers, to the last bit."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for one, other in zip(leaves_of(actual), leaves_of(expected), strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


def rows(count=20, classes=3, seed=0):
    """Inputs (count, 6) and labels (count,)."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, 6)).astype(np.float32), generator.integers(0, classes, count)


def classifier(*, normalised=False, dropout=0.0, classes=3, **options):
    """A graph of one input and one softmax."""
    x = jg.Input((6,), name="x")
    hidden = layers.Dense(8, activation="tanh", name="hidden", **options)(x)
    hidden = layers.BatchNormalization(name="norm")(hidden) if normalised else hidden
    hidden = layers.Dropout(dropout, name="drop")(hidden) if dropout else hidden
    return jg.Graph(x, layers.Dense(classes, activation="softmax", name="label")(hidden))


def two_outputs():
    """A graph of two inputs and two outputs."""
    a, b = jg.Input((4,), name="a"), jg.Input((2,), name="b")
    merged = layers.concatenate([layers.Dense(5, activation="relu", name="left")(a), b])
    age = layers.Dense(1, name="age")(merged)
    gender = layers.Dense(1, activation="sigmoid", name="gender")(merged)
    return jg.Graph([a, b], [age, gender])


def trainer_of(graph, optimizer="adam", **options):
    """A trainer of a classifier."""
    options = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]} | options
    return jg.Trainer(graph, optimizer, **options)


def watchers():
    """Callbacks that change a run by its numbers, and put new arrays into its state."""
    stopping = jg.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    return [jg.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=10.0), stopping]
