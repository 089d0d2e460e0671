"""Three classifiers of handwritten digits, each built of one of the chapter's parts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from jaxgraphs.data import digits, mnist
from jaxgraphs.data.split import Dataset
from jaxgraphs.graph.graph import Graph
from jaxgraphs.jobs.base import Job, Options, Outcome
from jaxgraphs.jobs.fitting import Recipe, fit, form_of
from jaxgraphs.layers import Conv2D, Dense, GlobalAveragePooling2D, MaxPooling2D, SeparableConv2D
from jaxgraphs.models.inception_module import inception_branches
from jaxgraphs.models.residual_block import residual
from jaxgraphs.symbolic.node import Input, SymbolicTensor

RECIPE = Recipe("sparse_categorical_crossentropy", rate=0.003, epochs=15, batch_size=32)
FORMS = ("small",)
CLASSES = 10


def train(options: Options, name: str, features: Callable[[SymbolicTensor], SymbolicTensor]) -> Outcome:
    """Trains a classifier on MNIST, or on scikit-learn's digits.

    Raises: GraphError when the data cannot be read, scikit-learn is not there, or an option does not fit.
    """
    form = form_of(options, name, FORMS)
    images, source = read_images(options)
    graph = classifier(images.train.inputs.shape[1:], name, features)
    return fit(options, graph, images, RECIPE, source=source, form=form)


def classifier(shape: tuple[int, ...], name: str, features: Callable[[SymbolicTensor], SymbolicTensor]) -> Graph:
    """A picture to feature maps, their averages, and a softmax over the digits."""
    image = Input(shape, name="image")
    averages = GlobalAveragePooling2D()(features(image))
    return Graph(image, Dense(CLASSES, activation="softmax", name="digit")(averages), name=name)


def read_images(options: Options) -> tuple[Dataset, str]:
    """Pictures of digits, and where they come from in words."""
    if options.data is None:
        images, source = digits.load(seed=options.seed), f"scikit-learn's digits, seed {options.seed}"
    else:
        images, source = mnist.load(options.data), str(options.data)
    kept = images.train if options.size is None else images.train[: options.size]
    return Dataset(kept, images.test), source


def inception(image: SymbolicTensor) -> SymbolicTensor:
    """Two Inception modules, each halving height and width."""
    x = Conv2D(16, 3, activation="relu", padding="same")(image)
    return inception_branches(inception_branches(x, 16), 32)


def residuals(image: SymbolicTensor) -> SymbolicTensor:
    """Two residual blocks: one whose shortcut is the identity, one with a projection."""
    x = Conv2D(16, 3, activation="relu", padding="same")(image)
    return residual(residual(x, 16), 32, strides=2)


def separable(image: SymbolicTensor) -> SymbolicTensor:
    """Three depthwise separable convolutions."""
    x = SeparableConv2D(32, 3, activation="relu", padding="same")(image)
    x = SeparableConv2D(64, 3, activation="relu", padding="same")(x)
    return SeparableConv2D(64, 3, activation="relu", padding="same")(MaxPooling2D(2)(x))


def _job(name: str, summary: str, features: Callable[[SymbolicTensor], SymbolicTensor]) -> Job:
    return Job(name, summary, FORMS, partial(train, name=name, features=features))


INCEPTION = _job("inception", "digits by two Inception modules", inception)
RESIDUAL = _job("residual", "digits by two residual blocks", residuals)
SEPARABLE = _job("separable", "digits by depthwise separable convolutions", separable)
