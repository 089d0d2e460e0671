"""Graphs to look at: shared, nested, wide, long and with hostile names."""

import random

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.layers.core import Dense
from jaxgraphs.layers.wrap import layer
from jaxgraphs.symbolic.node import Input

HOSTILE = '</text><script>alert("1")</script>\\N & `end` ]] #quot; {x} %% 名前'


def join(*tensors):
    """One tensor from several of one shape."""
    return layer(lambda *xs: sum(xs[1:], start=xs[0]), name=None)(*tensors)


def nested():
    """A graph of two inputs called twice, with a Sequential in it, and a shared layer."""
    a, b = Input((8,), name="a"), Input((8,), name="b")
    pair = Sequential([Dense(4, name="down"), Dense(8, name="up")], name="pair")
    inner = Graph([a, b], [pair(a) + b, Dense(8, name="side")(b)], name="inner")
    x, z = Input((8,), name="x"), Input((8,), name="z")
    shared = Dense(8, name="shared")
    one = inner([shared(x), shared(z)])
    two = inner(one)
    return Graph([x, z], Dense(2, name="y")(join(two[0], two[1], x)), name="outer")


def hostile():
    """Names that are code in every language a picture is written in."""
    x = Input((8,), name=HOSTILE)
    return Graph(x, Dense(3, name='"]; drop --> a["')(x), name="<svg/onload=x>")


def mixed(seed, count=40):
    """A random graph: each call reads a few of the tensors before it."""
    draw = random.Random(seed)
    tensors = [Input((8,), name=f"input_{index}") for index in range(3)]
    shared = Dense(8, name="shared")
    for index in range(count):
        chosen = draw.sample(tensors[-12:], draw.choice([1, 1, 1, 2, 3]))
        made = join(*chosen) if len(chosen) > 1 else chosen[0]
        tensors.append(
            shared(made) if draw.random() < 0.1 else Dense(8, name=f"dense_{index}" * draw.choice([1, 1, 3]))(made)
        )
    ends = [tensor for tensor in tensors if not any(tensor in other.node.parents for other in tensors)]
    return Graph(tensors[:3], [*ends, *tensors[:3]], name=f"mixed_{seed}")


def residual(blocks):
    """Blocks with a skip around each, and one around all."""
    x = Input((8,), name="x")
    tensor = x
    double = layer(lambda a: a * 2.0, name="double")
    for _ in range(blocks):
        tensor = double(double(tensor)) + tensor
    return Graph(x, tensor + x, name="residual")
