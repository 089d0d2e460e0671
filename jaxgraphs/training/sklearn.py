"""Graphs as scikit-learn estimators: cross-validated, searched over and pipelined as any other."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import jax
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxgraphs.errors import GraphTypeError, GraphValueError, did_you_mean
from jaxgraphs.graph.graph import Graph
from jaxgraphs.training.history import History
from jaxgraphs.training.interrupt import INTERRUPTED
from jaxgraphs.training.optimizers.rate import with_learning_rate
from jaxgraphs.training.step import TrainState
from jaxgraphs.training.trainer import Trainer

__all__ = ["Classifier", "Regressor"]

Build = Callable[..., Graph]


class _Estimator(BaseEstimator):
    """What the two share; see `Classifier`."""

    _default_loss: ClassVar[str]

    def __init__(
        self,
        build: Build,
        *,
        optimizer: Any = "adam",
        loss: Any = None,
        learning_rate: float | None = None,
        epochs: int = 10,
        batch_size: int = 32,
        random_state: Any = 0,
        verbose: int = 0,
        **options: Any,
    ) -> None:
        self.build = build
        self.optimizer = optimizer
        self.loss = loss
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose
        self._options = tuple(options)
        for name, value in options.items():
            setattr(self, name, value)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The estimator's own arguments, and those that are handed to `build`."""
        return super().get_params(deep) | {name: getattr(self, name) for name in self._options}

    def set_params(self, **params: Any) -> Self:
        """Changes arguments; one that only `build` takes is handed to it from now on.

        Raises: GraphTypeError when neither takes it.
        """
        own = super().get_params(deep=False)
        for name, value in params.items():
            if name not in own and name not in self._options:
                self._check_option(name, own)
                self._options = (*self._options, name)
            setattr(self, name, value)
        return self

    def __getstate__(self) -> Any:
        # Compiled steps are not pickled; they are made anew.
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name != "trainer_"}

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        if hasattr(self, "graph_"):
            self.trainer_ = self._make_trainer(self.graph_)

    def _check_option(self, name: str, own: Mapping[str, Any]) -> None:
        parameters = list(inspect.signature(self.build).parameters.values())
        known = [item.name for item in parameters[2:] if item.kind is not item.VAR_KEYWORD]
        if name not in known and not any(item.kind is item.VAR_KEYWORD for item in parameters):
            raise GraphTypeError(
                f"Neither the estimator nor what builds its graph takes {name!r}.",
                fix=did_you_mean(name, [*own, *known]),
            )

    def _make_trainer(self, graph: Graph) -> Trainer:
        return Trainer(graph, self.optimizer, self.loss or self._default_loss)

    def _first_state(self) -> TrainState:
        state = self.trainer_.init(jax.random.key(_seed(self.random_state)))
        if self.learning_rate is None:
            return state
        return state.replace(opt_state=with_learning_rate(state.opt_state, self.learning_rate))

    def _train(self, x: np.ndarray, y: np.ndarray, outputs: int, sample_weight: Any) -> Self:
        options = {name: getattr(self, name) for name in self._options}
        self.graph_ = self.build(x.shape[1:], outputs, **options)
        self.trainer_ = self._make_trainer(self.graph_)
        weights = None if sample_weight is None else np.asarray(sample_weight, np.float32)
        if weights is not None and not weights.any():
            raise GraphValueError("Sample weights are all zero: there is nothing to learn from.")
        state, history = self.trainer_.fit(
            self._first_state(),
            x,
            y,
            epochs=self.epochs,
            batch_size=self.batch_size,
            sample_weight=weights,
            verbose=self.verbose,
        )
        if history.stopped == INTERRUPTED:
            # Ctrl-C ends a search, and not one of its fits alone.
            raise KeyboardInterrupt
        self.variables_ = jax.device_get(state.variables)
        self.history_: History = history
        self.n_iter_ = self.epochs
        return self

    def _outputs(self, x: Any) -> np.ndarray:
        check_is_fitted(self)
        x = validate_data(self, x, dtype=np.float32, reset=False, allow_nd=True)
        return np.asarray(self.trainer_.predict(self.variables_, x, batch_size=self.batch_size))


class Classifier(ClassifierMixin, _Estimator):
    """A graph with one input and one softmax as a scikit-learn classifier.

    Args:
        build: ``build(shape, classes, **options) -> Graph``: `shape` is one example's, and `options` are the further
            arguments given here, which searches may set as any others. It must be a function of a module to be pickled.
        optimizer, loss: as for Trainer; the loss is the cross-entropy where left out. Names can be pickled, Optax'
            transformations cannot.
        learning_rate: of the optimizer, in the place of its own; one of Optax' has to hold it in its state.
        epochs, batch_size, verbose: as for `Trainer.fit`.
        random_state: a seed, a NumPy RandomState, or None.
        options: for `build`.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> def build(shape, classes, units=4):
    ...     x = Input(shape)
    ...     return Graph(x, Dense(classes, activation="softmax")(Dense(units, activation="relu")(x)))
    >>> x, y = np.array([[0.0, 0.0], [1.0, 1.0]] * 8), np.array(["no", "yes"] * 8)
    >>> Classifier(build, units=8, epochs=60, batch_size=16).fit(x, y).predict_proba(x).shape
    (16, 2)
    """

    _default_loss = "sparse_categorical_crossentropy"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Trains on examples X (examples, ...) and their labels, of any type."""
        X, y = validate_data(self, X, y, dtype=np.float32, allow_nd=True)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        return self._train(X, numbers, len(self.classes_), sample_weight)

    def predict_proba(self, X: Any) -> np.ndarray:
        """(examples, classes) probabilities, in the order of `classes_`."""
        return self._outputs(X)

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest label of each example."""
        # The outputs first: they say when there was no fit.
        numbers = self._outputs(X).argmax(-1)
        return self.classes_[numbers]


class Regressor(RegressorMixin, _Estimator):
    """A graph with one input and one output as a scikit-learn regressor.

    Args:
        build: ``build(shape, outputs, **options) -> Graph``.
        others: as for `Classifier`; the loss is the mean squared error where left out.
    """

    _default_loss = "mse"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Trains on examples X (examples, ...) and numbers y, (examples,) or (examples, outputs)."""
        X, y = validate_data(self, X, y, dtype=np.float32, allow_nd=True, multi_output=True, y_numeric=True)
        self._is_flat = y.ndim == 1
        targets = np.asarray(y, np.float32).reshape(len(y), -1)
        return self._train(X, targets, targets.shape[1], sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Numbers arranged as those that were trained on."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._is_flat else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def __dir__() -> list[str]:
    return __all__


def _seed(random_state: Any) -> int:
    if random_state is None or hasattr(random_state, "randint"):
        return int((random_state or np.random.RandomState()).randint(2**31 - 1))
    return int(random_state)
