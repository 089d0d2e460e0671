"""Keras' optimizers as Optax transformations, with Keras' names, arguments and numbers."""

from jaxgraphs.training.optimizers.adaptive import adam, adamax, adamw, lamb, lazy_adam, nadam
from jaxgraphs.training.optimizers.composed import average_of, averaged, by_pattern, clipped_by
from jaxgraphs.training.optimizers.first_order import adadelta, adagrad, lion, rmsprop, sgd
from jaxgraphs.training.optimizers.named import get
from jaxgraphs.training.optimizers.rate import learning_rate, with_learning_rate
from jaxgraphs.training.optimizers.regularised import adafactor, ftrl

__all__ = [
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "average_of",
    "averaged",
    "by_pattern",
    "clipped_by",
    "ftrl",
    "get",
    "lamb",
    "lazy_adam",
    "learning_rate",
    "lion",
    "nadam",
    "rmsprop",
    "sgd",
    "with_learning_rate",
]
