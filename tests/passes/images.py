"""Random graphs over images: convolutions of every kind, pooling, normalisation, shared layers and nested graphs."""

import numpy as np

from jaxgraphs import layers
from jaxgraphs.graph.graph import Graph
from jaxgraphs.symbolic.node import Input

BATCH, SIZE = 3, 7
PADDINGS = ("same", "valid")
ACTIVATIONS = (None, "relu", "tanh")


def random_images(seed):
    """A graph, and data for it."""
    random = np.random.default_rng(seed)
    channels = int(random.integers(2, 5))
    image = Input((SIZE, SIZE, channels), name="image")
    tensors, called = [image], []
    for _ in range(int(random.integers(5, 12))):
        tensors.append(_grow(random, tensors, called, depth=1))
    unread = [tensor for tensor in tensors[1:] if not any(tensor in other.node.parents for other in tensors)]
    outputs = {f"out_{number}": _ending(random, tensor) for number, tensor in enumerate(unread)}
    return Graph(image, outputs), random.normal(size=(BATCH, SIZE, SIZE, channels)).astype(np.float32)


def _grow(random, tensors, called, depth):
    """One more call."""
    tensor = tensors[random.integers(len(tensors))]
    alike = [other for other in tensors if other.shape == tensor.shape]
    choice = random.random()
    if choice < 0.15 and len(alike) > 1:
        return layers.Add()([alike[0], alike[-1]])
    fitting = [layer for layer, shape in called if shape == tensor.shape]
    if choice < 0.3 and fitting:
        return fitting[random.integers(len(fitting))](tensor)
    if choice < 0.45 and depth:
        return _nested(random, tensor)
    layer = RECIPES[random.integers(len(RECIPES))](random, tensor.shape[1])
    called.append((layer, tensor.shape))
    return layer(tensor)


def _nested(random, tensor):
    """A graph with two outputs, one of which may be read by nothing, called once or twice."""
    x = Input(tensor.shape[1:])
    inner, called = [x], []
    for _ in range(int(random.integers(2, 5))):
        inner.append(_grow(random, inner, called, depth=0))
    graph = Graph(x, [inner[-1], inner[int(random.integers(1, len(inner)))]])
    first, second = graph(tensor)
    if random.random() < 0.5:
        first = graph(tensor)[0]
    return second if random.random() < 0.5 else first


def _ending(random, tensor):
    return layers.Dense(3, random.choice(["softmax", "linear"]))(layers.GlobalAveragePooling2D()(tensor))


def _window(random, size):
    """Kernel size, strides and padding that fit an image."""
    kernel = int(random.choice([1, 1, 2, 3]))
    padding = "same" if size < kernel else str(random.choice(PADDINGS))
    return kernel, {"strides": int(random.integers(1, 3)), "padding": padding}


def _convolution(random, size):
    kernel, options = _window(random, size)
    activation, use_bias = ACTIVATIONS[random.integers(3)], bool(random.random() < 0.5)
    return layers.Conv2D(int(random.integers(2, 5)), kernel, activation=activation, use_bias=use_bias, **options)


def _separable(random, size):
    kernel, options = _window(random, size)
    return layers.SeparableConv2D(
        int(random.integers(2, 5)), kernel, depth_multiplier=int(random.integers(1, 3)), **options
    )


def _depthwise(random, size):
    kernel, options = _window(random, size)
    return layers.DepthwiseConv2D(kernel, depth_multiplier=int(random.integers(1, 3)), **options)


def _pooling(random, size):
    kernel, options = _window(random, size)
    kind = (layers.MaxPooling2D, layers.AveragePooling2D)[random.integers(2)]
    return kind(kernel, **options)


RECIPES = (
    *(_convolution, _convolution, _convolution, _separable, _depthwise, _pooling),
    *(lambda random, size: layers.BatchNormalization() for _ in range(3)),
    lambda random, size: layers.Activation(ACTIVATIONS[random.integers(1, 3)]),
    lambda random, size: layers.Activation("linear"),
    lambda random, size: layers.Dropout(0.5),
    lambda random, size: layers.Dense(3),
)
