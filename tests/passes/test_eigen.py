"""Convolutions compiled to Eigen's: what the compiler was told, where it is not, and the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import Graph, Input, layers
from jaxgraphs.layers.wrap import layer as wrapped
from jaxgraphs.passes import eigen
from jaxgraphs.passes.base import Setting
from jaxgraphs.passes.optimize import optimize
from tests.oracle import assert_trees_close

COMPILED = Setting(is_compiled=True)
PRODUCTS = ("'parts': one product for each element of the window",)
RANDOM = np.random.default_rng(0)
BATCH = RANDOM.normal(size=(4, 12, 12, 8)).astype("float32"), RANDOM.normal(size=(4, 1)).astype("float32")


def convnet():
    x = Input((12, 12, 8), name="x")
    y = layers.Conv2D(48, 3, activation="relu", name="edges")(x)
    y = layers.GlobalAveragePooling2D()(layers.Conv2D(48, 3, strides=2, name="parts")(y))
    return Graph(x, layers.Dense(1, name="y")(y))


def said(graph, setting=COMPILED, passes="all", name="eigen"):
    (entry,) = [entry for entry in optimize(graph, passes, setting).entries if entry.name == name]
    return entry.objection or entry.notes


def needs_choice():
    if not eigen.can_choose():
        pytest.skip("this XLA has no such option")


def test_a_trainers_step_is_compiled_with_it():  # oracle: the compiled program's text
    needs_choice()
    ours, plain = (jg.Trainer(convnet(), jg.optimizers.sgd(0.1), "mse", passes=passes) for passes in ("all", None))
    state = plain.init(jax.random.key(0))
    found, without = (
        _fused_convolutions(trainer.lowered(state, BATCH).compile().as_text()) for trainer in (ours, plain)
    )
    assert found == 0
    if not without:
        pytest.skip("on this CPU XLA gives no convolution to YNNPACK")


def _fused_convolutions(text):
    """How many convolutions are given to YNNPACK."""
    parts = text.split("\n\n")
    named = {part.lstrip().split(" ")[0]: part for part in parts}
    fusions = [line for line in text.splitlines() if "ynn_fusion" in line and "calls=" in line]
    called = [line.split("calls=")[1].split(",")[0].strip() for line in fusions]
    return sum(" convolution(" in named[name] for name in called)


def test_the_same_numbers():  # oracle: the step without passes
    after = []
    for passes in (["eigen"], None):
        trainer = jg.Trainer(convnet(), jg.optimizers.sgd(0.1), "mse", passes=passes)
        state, logs = trainer.train_step(trainer.init(jax.random.key(0)), BATCH)
        after.append((state.params, logs, trainer.predict(state, BATCH[0]), trainer.evaluate(state, *BATCH)))
    assert_trees_close(*after)


def test_what_it_says():  # oracle: the texts
    needs_choice()
    graph = convnet()
    assert said(graph) == ("'edges', 'parts': compiled to Eigen's convolution",)
    assert said(graph, name="kernel_gradients") == "Eigen's are faster"
    assert said(graph, Setting()) == "for steps that a Trainer compiles"
    assert said(graph, passes=["kernel_gradients"], name="kernel_gradients") == PRODUCTS
    x = Input((4,))
    assert said(Graph(x, layers.Dense(2)(x))) == ()
    assert not optimize(Graph(x, layers.Dense(2)(x)), "all", COMPILED).options


def test_it_stays_out(monkeypatch):  # oracle: the texts
    graph = convnet()
    monkeypatch.setattr(eigen, "can_choose", lambda: False)
    assert said(graph) == f"jax {jax.__version__} has no such option"
    assert said(graph, name="kernel_gradients") == PRODUCTS
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_experimental_ynn_fusion_type=")
    assert said(graph) == "XLA_FLAGS says what YNNPACK computes"
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert said(graph) == "not on gpu"


def test_convolutions_within_layers_are_found():  # oracle: the layers by hand
    import flax.linen as nn

    x = Input((6, 6, 3), name="x")
    inner = Graph(x, layers.Conv2D(2, 1, name="inside")(x), name="inner")
    y = wrapped(nn.Conv(2, (3, 3)), name="flax")(inner(x))
    z = layers.TimeDistributed(layers.Conv1D(2, 1), name="each")(y)
    assert said(Graph(x, z)) == ("'inner/inside', 'flax', 'each': compiled to Eigen's convolution",)
    assert said(Graph(x, wrapped(nn.Dense(2), name="flat")(x))) == ()


def test_a_step_may_be_part_of_a_larger_program():  # oracle: the step by itself
    trainer = jg.Trainer(convnet(), jg.optimizers.sgd(0.1), "mse")
    state, batch = trainer.init(jax.random.key(0)), jax.tree.map(jnp.asarray, BATCH)
    twice = jax.jit(lambda state, batch: trainer.train_step(trainer.train_step(state, batch)[0], batch)[1])
    within = twice(state, batch)
    state, _ = trainer.train_step(state, batch)
    assert_trees_close(within, trainer.train_step(state, batch)[1])
