"""Random graphs, each built twice by the same steps: as ours, and as its Keras twin, with one set of weights.

A seed decides everything: inputs, layers, which are called again, which graphs are nested, how outputs are arranged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from jaxgraphs import layers
from jaxgraphs.graph.graph import Graph
from jaxgraphs.symbolic.node import Input
from tests.oracle import keras_rules

TIME, BATCH, WORDS = 5, 3, 9
AFFINE = ("params/kernel", "params/bias")
CELL = ("params/kernel", "params/recurrent_kernel", "params/bias")
NORM = ("params/scale", "params/bias")
SIDES = tuple(f"params/{side}/{name.split('/')[1]}" for side in ("forward", "backward") for name in CELL)
# The numbers come later, all at once; Keras would compile its own ways to draw them.
ZEROS = {"kernel_initializer": "zeros"}
ACTIVATIONS = (None, "relu", "tanh", "sigmoid", "gelu", "elu", "softplus")


@dataclasses.dataclass(frozen=True)
class Twin:
    """A layer, Keras' layer, and where Keras' weights go in ours; for a nested graph the twins within."""

    ours: Any
    theirs: Any
    weights: tuple[str, ...] = ()
    within: tuple[Twin, ...] = ()


@dataclasses.dataclass(frozen=True)
class Pair:
    """The same tensor twice. Keras loses masks on the way into nested models, so a masked one does not go there."""

    ours: Any
    theirs: Any
    is_masked: bool = False

    @property
    def shape(self) -> tuple[int | None, ...]:
        """As Keras and we both have it."""
        return self.ours.shape


@dataclasses.dataclass(frozen=True)
class RandomGraph:
    """The two graphs, the weights in our arrangement, and data in the order of the inputs."""

    ours: Graph
    theirs: Any
    twins: tuple[Twin, ...]
    variables: dict[str, Any]
    values: list[np.ndarray]


def random_graph(seed: int) -> RandomGraph:
    """Two graphs that mean the same, with the weights of the second in the first."""
    random = np.random.default_rng(seed)
    with keras_rules():
        keras.backend.clear_session()
        inputs = [_input(random, number) for number in range(random.integers(1, 4))]
        ours, theirs, twins = _build(random, inputs, steps=int(random.integers(4, 14)), depth=2)
        _randomise(theirs, random)
    variables: dict[str, Any] = {}
    _fill(variables, ours, twins, ())
    return RandomGraph(ours, theirs, twins, variables, [_data(random, pair) for pair in inputs])


def _input(random: Any, number: int) -> Pair:
    kind = random.choice(["vector", "sequence", "ids"])
    time = None if random.random() < 0.3 else TIME
    width = int(random.integers(2, 6))
    shape = {"vector": (width,), "sequence": (time, width), "ids": (time,)}[kind]
    dtype, name = "int32" if kind == "ids" else "float32", f"in_{number}"
    return Pair(Input(shape, dtype=dtype, name=name), keras.Input(shape, dtype=dtype, name=name))


def _data(random: Any, pair: Pair) -> np.ndarray:
    shape = (BATCH, *(TIME if size is None else size for size in pair.shape[1:]))
    if pair.ours.dtype == np.int32:
        return random.integers(0, WORDS, shape).astype(np.int32)
    return random.normal(size=shape).astype(np.float32)


class _Builder:
    """The tensors so far, and which of them nothing reads yet."""

    def __init__(self, random: Any, depth: int) -> None:
        self.random, self.depth = random, depth
        self.pairs: list[Pair] = []
        self.unread: list[Pair] = []
        self.twins: dict[int, Twin] = {}
        self.called: list[tuple[Twin, tuple[int | None, ...]]] = []

    def add(self, twin: Twin, read: Sequence[Pair], is_masked: bool) -> None:
        """One call of both layers."""
        ours = twin.ours(read[0].ours if len(read) == 1 else [pair.ours for pair in read])
        theirs = twin.theirs(read[0].theirs if len(read) == 1 else [pair.theirs for pair in read])
        self.twins[id(twin)] = twin
        self.unread = [pair for pair in self.unread if not any(pair is other for other in read)]
        flat = list(zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True))
        new = [Pair(mine, other, is_masked and len(mine.shape) == 3) for mine, other in flat]
        self.pairs += new
        self.unread += new
        if len(read) == 1 and read[0].ours.dtype == np.float32:
            self.called.append((twin, read[0].shape))

    def start(self, pair: Pair) -> None:
        """Each input is read at least once."""
        if pair.ours.dtype == np.int32:
            tables = [twin for twin in self.twins.values() if twin.ours.kind == "Embedding"]
            twin = tables[0] if tables and self.random.random() < 0.5 else _embedding(self.random)
            self.add(twin, [pair], twin.ours.mask_zero)
        else:
            self.add(_dense(self.random), [pair], pair.is_masked)

    def step(self) -> None:
        """One more call, of a new layer, of an old one, of several tensors, or of a nested graph."""
        choice = self.random.random()
        pair = self.pairs[self.random.integers(len(self.pairs))]
        if choice < 0.2 and self.again(pair):
            return
        if choice < 0.45 and self.merge(pair):
            return
        if choice < 0.6 and self.depth and self.nest():
            return
        recipes = SEQUENCE if len(pair.shape) == 3 else VECTOR
        self.add(recipes[self.random.integers(len(recipes))](self.random), [pair], pair.is_masked)

    def again(self, pair: Pair) -> bool:
        """A layer called before, on a tensor of the shape it was called on."""
        fitting = [twin for twin, shape in self.called if shape == pair.shape and not (twin.within and pair.is_masked)]
        if fitting:
            self.add(fitting[self.random.integers(len(fitting))], [pair], pair.is_masked)
        return bool(fitting)

    def merge(self, pair: Pair) -> bool:
        """Several tensors of one shape, or of one length."""
        alike = [other for other in self.pairs if other.ours.spec.dims == pair.ours.spec.dims and other is not pair]
        if not alike:
            return False
        count = int(self.random.integers(1, min(3, len(alike)) + 1))
        read = [pair, *(alike[place] for place in self.random.permutation(len(alike))[:count])]
        kinds = ["Add", "Average", "Maximum", "Minimum", "Multiply", "Concatenate", "Subtract"]
        kind = kinds[self.random.integers(len(kinds) - (len(read) != 2))]
        self.add(Twin(getattr(layers, kind)(), getattr(keras.layers, kind)()), read, any(p.is_masked for p in read))
        return True

    def nest(self) -> bool:
        """A graph of its own, called once or twice."""
        plain = [pair for pair in self.pairs if not pair.is_masked and None not in pair.shape[1:]]
        if not plain:
            return False
        read = [plain[place] for place in self.random.permutation(len(plain))[: self.random.integers(1, 3)]]
        inner = [Pair(Input(pair.shape[1:]), keras.Input(pair.shape[1:])) for pair in read]
        ours, theirs, twins = _build(self.random, inner, steps=int(self.random.integers(1, 5)), depth=self.depth - 1)
        twin = Twin(ours, theirs, (), twins)
        self.add(twin, read, False)
        if self.random.random() < 0.5:
            self.add(twin, read[::-1] if len({pair.shape for pair in read}) == 1 else read, False)
        return True


def _build(random: Any, inputs: Sequence[Pair], steps: int, depth: int) -> tuple[Graph, Any, tuple[Twin, ...]]:
    builder = _Builder(random, depth)
    for pair in inputs:
        builder.start(pair)
    for _ in range(steps):
        builder.step()
    arrangement = ARRANGEMENTS[random.integers(len(ARRANGEMENTS))]
    outputs = [builder.unread[place] for place in random.permutation(len(builder.unread))]
    ours = Graph([pair.ours for pair in inputs], arrangement([pair.ours for pair in outputs]))
    theirs = keras.Model([pair.theirs for pair in inputs], arrangement([pair.theirs for pair in outputs]))
    return ours, theirs, tuple(builder.twins.values())


ARRANGEMENTS: Sequence[Callable[[list[Any]], Any]] = (
    lambda tensors: tensors[0] if len(tensors) == 1 else tensors,
    list,
    lambda tensors: {f"out_{number}": tensor for number, tensor in enumerate(tensors)},
)


def _embedding(random: Any) -> Twin:
    width, masks = int(random.integers(2, 6)), bool(random.random() < 0.5)
    theirs = keras.layers.Embedding(WORDS, width, "zeros", mask_zero=masks)
    return Twin(layers.Embedding(WORDS, width, mask_zero=masks), theirs, ("params/embedding",))


def _dense(random: Any) -> Twin:
    units, activation = int(random.integers(2, 6)), ACTIVATIONS[random.integers(len(ACTIVATIONS))]
    return Twin(layers.Dense(units, activation), keras.layers.Dense(units, activation, **ZEROS), AFFINE)


def _activation(random: Any) -> Twin:
    name = ACTIVATIONS[random.integers(1, len(ACTIVATIONS))]
    return Twin(layers.Activation(name), keras.layers.Activation(name))


def _plain(name: str, weights: tuple[str, ...] = (), **arguments: Any) -> Callable[[Any], Twin]:
    return lambda _: Twin(getattr(layers, name)(**arguments), getattr(keras.layers, name)(**arguments), weights)


def _convolution(random: Any) -> Twin:
    arguments = {
        "filters": int(random.integers(2, 6)),
        "kernel_size": int(random.integers(1, 4)),
        "padding": str(random.choice(["same", "causal"])),
        "dilation_rate": int(random.integers(1, 3)),
    }
    return Twin(layers.Conv1D(**arguments), keras.layers.Conv1D(**arguments, **ZEROS), AFFINE)


def _recurrent(random: Any) -> Twin:
    kind = str(random.choice(["LSTM", "GRU", "SimpleRNN"]))
    arguments = {"units": int(random.integers(2, 5)), "return_sequences": bool(random.random() < 0.5)}
    ours = getattr(layers, kind)(**arguments)
    theirs = getattr(keras.layers, kind)(**arguments, **ZEROS, recurrent_initializer="zeros")
    if random.random() < 0.3:
        return Twin(layers.Bidirectional(ours), keras.layers.Bidirectional(theirs), SIDES)
    return Twin(ours, theirs, CELL)


BOTH = (
    *(_dense, _dense, _activation, _plain("Dropout", rate=0.5), _plain("LayerNormalization", NORM)),
    _plain("BatchNormalization", (*NORM, "batch_stats/mean", "batch_stats/var")),
)
VECTOR = (*BOTH, _plain("RepeatVector", n=TIME))
SEQUENCE = (
    *(*BOTH, _convolution, _convolution, _recurrent, _recurrent, _recurrent),
    *(_plain("GlobalAveragePooling1D"), _plain("GlobalMaxPooling1D")),
)


def _randomise(model: Any, random: Any) -> None:
    """Numbers that keep activations near 1; variances are positive."""
    for weight in model.weights:
        name = weight.path.split("/")[-1]
        if "seed" not in name:
            value = random.normal(scale=max(weight.shape[0], 1) ** -0.5, size=weight.shape)
            weight.assign(np.abs(value) + 0.5 if "variance" in name else value)


def _fill(variables: dict[str, Any], graph: Graph, twins: Sequence[Twin], path: tuple[str, ...]) -> None:
    """Keras' arrays under the names of our graph, nested as its graphs are."""
    for twin in twins:
        place = (*path, graph.names[twin.ours])
        if twin.within:
            _fill(variables, twin.ours, twin.within, place)
        for where, value in zip(twin.weights, arrays_of(twin.theirs), strict=True):
            put(variables, placed(where, place), jnp.asarray(value.value))


def arrays_of(layer: Any) -> list[Any]:
    """The variables of a Keras layer without the states of random seeds; a model's belong to the layers within."""
    if isinstance(layer, keras.Model):
        return []
    return [weight for weight in layer.weights if "seed" not in weight.path.split("/")[-1]]


def placed(where: str, place: tuple[str, ...]) -> tuple[str, ...]:
    """The path in a graph's variables of what a layer calls ``params/kernel``."""
    collection, *rest = where.split("/")
    return (collection, *place, *rest)


def put(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Sets a value in nested dicts."""
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value
