"""The chapter's graphs and every layer, on every layout of eight devices, against one device."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import models
from jaxgraphs.training import sharding
from jaxgraphs.training.patterns import path_of
from tests.layers.case import run as run_layer
from tests.layers.case import specs_of
from tests.layers.test_catalogue import CASES, few_of_each_kind
from tests.training.runs import classifier, rows, trainer_of

ROWS, BATCH, STEPS = 21, 8, 20
LAYOUTS: dict[str, Callable[[], dict[str, Any]]] = {
    "data": lambda: {"mesh": sharding.make_mesh()},
    "fsdp": lambda: {"mesh": sharding.make_mesh(), "sharding_rules": sharding.fully_sharded()},
    "tensor": lambda: {
        "mesh": sharding.make_mesh(data=4, model=2),
        "sharding_rules": sharding.tensor_parallel(),
    },
    "pmap": lambda: {"strategy": "pmap"},
}
TOLERANCES = {"float32": 1e-5, "float64": 1e-12}


@dataclasses.dataclass(frozen=True)
class Trained:
    """A graph at a small size, with the shapes of its inputs, its losses, and what makes its targets.

    Args:
        words: how many words there are, where inputs are words.
        targets: (random) -> targets in order.
        batch: how many rows are in a step.
    """

    graph: Callable[[], jg.Graph]
    inputs: tuple[tuple[int, ...], ...]
    losses: tuple[Any, ...]
    targets: Callable[[np.random.Generator], list[np.ndarray]]
    words: int = 0
    batch: int = BATCH

    def data(self):
        """21 rows: in batches of 8 the last is uneven, and 8 devices have less than a row each of it."""
        random = np.random.default_rng(0)
        shapes = [(ROWS, *shape) for shape in self.inputs]
        if self.words:
            return [random.integers(1, self.words, shape) for shape in shapes], self.targets(random)
        return [random.normal(size=shape).astype(np.float32) for shape in shapes], self.targets(random)


def classes(count, *shape):
    return lambda random: [random.integers(0, count, (ROWS, *shape))]


def yes_or_no(random):
    return [random.integers(0, 2, (ROWS, 1)).astype(np.float32)]


def of_posts(random):
    return [random.normal(size=(ROWS, 1)).astype(np.float32), random.integers(0, 8, ROWS), *yes_or_no(random)]


def pictures(*shape):
    return lambda random: [random.normal(size=(ROWS, *shape)).astype(np.float32)]


CLASS, YES = "sparse_categorical_crossentropy", "binary_crossentropy"
GRAPHS = {
    "questions": Trained(
        lambda: models.question_answering(16, 12, 8, 8, 8), ((6,), (4,)), (CLASS,), classes(8), words=12
    ),
    "conditioned": Trained(
        lambda: models.question_answering(16, 12, 8, 8, 8, True), ((6,), (4,)), (CLASS,), classes(8), words=12
    ),
    "posts": Trained(lambda: models.social_posts(20, 8, 8, 8), ((270,),), ("mse", CLASS, YES), of_posts, words=20),
    "inception": Trained(lambda: models.inception_module((6, 6, 8), 8, 8), ((6, 6, 8),), (CLASS,), classes(8, 3, 3)),
    "residual": Trained(lambda: models.residual_block((6, 6, 8), 16, 2), ((6, 6, 8),), ("mse",), pictures(3, 3, 16)),
    "siamese": Trained(lambda: models.siamese_lstm(8, 8), ((5, 8), (5, 8)), (YES,), yes_or_no),
    "reviews": Trained(lambda: models.imdb_conv1d(20, 60, 8), ((60,),), ("mse",), yes_or_no, words=20),
    "separable": Trained(lambda: models.separable_convnet((38, 38, 3), 8), ((38, 38, 3),), (CLASS,), classes(8)),
    # At the smallest size that Xception takes: its last feature map is 3 x 3. Each batch of 5 is uneven on 8 devices,
    # and one program computes them all.
    "cameras": Trained(
        lambda: models.two_cameras((71, 71, 3), "avg"), ((71, 71, 3), (71, 71, 3)), ("mse",), pictures(4096), batch=5
    ),
}


def run(name, dtype, steps=STEPS, **options):
    """The logs of each step, and the state after the last."""
    trained = GRAPHS[name]
    x, y = trained.data()
    trainer = jg.Trainer(trained.graph(), "sgd", list(trained.losses), precision=dtype, **options)
    state, logs = trainer.init(jax.random.key(0)), []
    for step in range(steps):
        rows = slice(step % 3 * trained.batch, (step % 3 + 1) * trained.batch)
        state, found = trainer.train_step(state, ([column[rows] for column in x], [column[rows] for column in y]))
        logs.append(jax.device_get(found))
    return logs, state


@functools.cache
def alone(name, dtype, steps=STEPS):
    return run(name, dtype, steps)[0]


def assert_same(name, layout, dtype, steps=STEPS):
    expected = alone(name, dtype, steps)
    logs, state = run(name, dtype, steps, **LAYOUTS[layout]())
    for one, other in zip(logs, expected, strict=True):
        for key in other:
            np.testing.assert_allclose(one[key], other[key], rtol=TOLERANCES[dtype])
    rows = sharding.placement(state).rows
    share = sum(row.per_device for row in rows) / sum(row.bytes for row in rows)
    assert share < {"fsdp": 0.2, "tensor": 0.6}.get(layout, 1.1)


class Fails(Exception):
    """What ends a run here."""


def dies(run):
    if run.epoch == 1 and run.batch == 1:
        raise Fails


def fit(resume=None, callbacks=(), **options):
    """Numbers of a run on a small classifier with batch statistics, 22 rows in batches of 8."""
    x, y = rows(22)
    trainer = trainer_of(classifier(normalised=True), "adam", **options)
    saved = None if resume is None else jg.Checkpoints(resume, every_steps=1)
    more = {"epochs": 3, "batch_size": 8, "verbose": 0, "resume": saved, "callbacks": list(callbacks)}
    _, history = trainer.fit(trainer.init(jax.random.key(0)), x, y, **more)
    return history.history


FEWER = {"two devices": lambda: {"mesh": sharding.make_mesh(jax.devices()[:2])}, "one device": dict}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("fsdp", "one device"),
        pytest.param("one device", "tensor", marks=pytest.mark.slow),
        pytest.param("tensor", "two devices", marks=pytest.mark.slow),
        pytest.param("pmap", "fsdp", marks=pytest.mark.slow),
    ],
)
def test_a_run_goes_on_under_another_layout(tmp_path, before, after):  # oracle: the run that nothing ended
    layouts = LAYOUTS | FEWER
    with pytest.raises(Fails):
        fit(tmp_path, [jg.callbacks.LambdaCallback(on_batch_end=dies)], **layouts[before]())
    expected = fit()
    for name, values in fit(tmp_path, **layouts[after]()).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "layout"), [("siamese", "tensor"), pytest.param("residual", "fsdp", marks=pytest.mark.slow)]
)
def test_some_graphs(name, layout):  # oracle: one device
    assert_same(name, layout, "float32", steps=3)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_every_graph(name, layout, dtype):  # oracle: one device, 20 steps
    with jax.enable_x64(dtype == "float64"):
        assert_same(name, layout, dtype)


def in_parts(params):
    """A layer's params on two devices, as `tensor_parallel` lays them; and how many of them are split."""
    layout = sharding.make_layout(sharding.make_mesh(jax.devices()[:2], model=2), sharding.tensor_parallel(), {})

    def put(keys, leaf):
        spec = layout.spec(("layer", *path_of(keys)), leaf.shape)
        return jax.device_put(leaf, jax.sharding.NamedSharding(layout.mesh, spec))

    placed = jax.tree_util.tree_map_with_path(put, params)
    return placed, sum(not leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(placed))


@pytest.mark.slow
@pytest.mark.parametrize("case", list(few_of_each_kind(CASES, 1)))
def test_every_layer_in_parts(case):  # oracle: one device; what has an even number of features or heads is split
    layer, values = case.ours(), case.values()
    variables = layer.init(jax.random.key(0), *case.args(specs_of(values)), **case.call)
    params = variables.get("params", {})
    placed, count = in_parts(params)
    assert count >= sum(leaf.ndim == 2 and leaf.shape[-1] % 2 == 0 for leaf in jax.tree.leaves(params))
    compute = jax.jit(lambda variables, values: run_layer(case, layer, variables, values).outputs)
    expected = compute(variables, values)
    actual = compute(variables | {"params": placed}, values)
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_batch_is_placed_wherever_it_lay():  # oracle: its numbers, and each device's rows
    mesh = sharding.make_mesh()
    layout, given = sharding.make_layout(mesh, None, {}), np.arange(48, dtype=np.float32).reshape(16, 3)
    first = [jax.device_put(given, mesh.devices.flat[0]), jax.device_put(given, mesh.devices.flat[1])]
    spread = layout.place_rows([given])[0]
    for placed in layout.place_rows([given, *first, spread]):
        np.testing.assert_array_equal(placed, given)
        assert [shard.data.shape for shard in placed.addressable_shards] == [(2, 3)] * 8
    uneven, none = layout.place_rows((given[:7], None))
    assert uneven.sharding.is_fully_replicated
    assert none is None
    np.testing.assert_array_equal(uneven, given[:7])
