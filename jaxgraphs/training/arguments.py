"""What fit, evaluate and predict were given, looked at before anything is computed: the slips of a first hour."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from jaxgraphs.errors import GraphTypeError, GraphValueError, combine
from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.core import Embedding
from jaxgraphs.training.callbacks.base import Callback
from jaxgraphs.training.feeding import Arrays
from jaxgraphs.training.losses import SparseCategoricalCrossentropy
from jaxgraphs.training.step import TrainState

# The least that is asked of each; of the others 0.
_LEAST: dict[str, int] = dict.fromkeys(
    ("batch_size", "steps", "steps_per_epoch", "validation_batch_size", "validation_freq", "validation_steps"), 1
)


def check_counts(**counts: Any) -> None:
    """Raises GraphValueError unless these are whole numbers, large enough, or None."""
    wrong = [
        f"{name}={value!r}"
        for name, value in counts.items()
        if value is not None and not (isinstance(value, numbers.Integral) and int(value) >= _LEAST.get(name, 0))
    ]
    if wrong:
        raise GraphValueError(
            "These have to be whole numbers.", received=", ".join(wrong), expected="1 or more, as in epochs=10"
        )


def check_run(state: Any, callbacks: Any) -> None:
    """Raises GraphError unless a run can begin with these: a state and callbacks."""
    check_state(state, "fit(state, x, y)", or_variables=False)
    listed = callbacks if isinstance(callbacks, list | tuple) else () if callbacks is None else (callbacks,)
    strange = [callback for callback in listed if not isinstance(callback, Callback)]
    if strange or (listed and listed is not callbacks):
        raise GraphTypeError(
            "fit takes a list of callbacks.",
            received=", ".join(map(repr, strange or listed)),
            expected="objects of jg.callbacks, or of classes derived from jg.callbacks.Callback",
            fix="callbacks=[jg.callbacks.EarlyStopping()]",
        )


def check_state(state: Any, call: str, *, or_variables: bool = True) -> None:
    """Raises GraphTypeError unless `state`, the first argument of `call`, is one."""
    if isinstance(state, TrainState):
        # The counter of steps goes with all else.
        is_array = isinstance(state.step, jax.Array) and not isinstance(state.step, Tracer)
        if is_array and state.step.is_deleted():
            raise GraphValueError(
                "This state has been used by a step, which reused its memory.",
                expected="the state that the step returned",
                fix="state, logs = trainer.train_step(state, batch); a copy: jax.tree.map(jnp.array, state)",
            )
        return
    if or_variables and isinstance(state, Mapping):
        return
    method = call.partition("(")[0]
    raise GraphTypeError(
        f"The first argument of {method} is the state: a Trainer holds no arrays.",
        received=type(state).__name__,
        expected="a TrainState, from trainer.init" + (" or fit, or variables" if or_variables else " or fit"),
        fix=f"state = trainer.init(jax.random.key(0)), then trainer.{call}",
    )


def check_alone(y: Any, sample_weight: Any, call: str) -> None:
    """Raises GraphValueError where targets or weights stand beside an iterable, whose batches have their own."""
    beside = [name for name, value in (("y", y), ("sample_weight", sample_weight)) if value is not None]
    if beside:
        raise GraphValueError(
            "Batches from an iterable have their own targets and weights.",
            received=f"{' and '.join(beside)} beside an iterable in {call.partition('(')[0]}",
            expected="an iterable of (x, y) or (x, y, sample_weight)",
        )


def check_logs(logs: Mapping[str, Any]) -> None:
    """Raises GraphValueError that lists the metrics whose result, given as a shape, is not one number."""
    wide = [f"{name}: {value.shape[0]} numbers" for name, value in logs.items() if value.shape]
    if wide:
        raise combine(
            "Histories and callbacks take a number for each metric.",
            wide,
            fix='F1Score(average="macro"); train_step gives the numbers of each class',
        )


def check_optimizer(state: TrainState, expected: Any) -> None:
    """Raises GraphValueError unless the optimizer's part of a state is arranged as `expected`, this optimizer's."""
    if jax.tree.structure(state.opt_state) != jax.tree.structure(expected):
        raise GraphValueError(
            "The state is another optimizer's.",
            received=f"arrays of {', '.join(_kinds(state.opt_state)) or 'nothing'}",
            expected=f"arrays of {', '.join(_kinds(expected)) or 'nothing'}",
            fix="trainer.init(key, variables=state.variables) begins anew with what was learned",
        )


def _kinds(opt_state: Any) -> list[str]:
    """What an optimizer keeps, by name: momentum, count."""
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(opt_state)]
    names = (str(key.name) for path in paths for key in path if isinstance(key, jax.tree_util.GetAttrKey))
    return [*dict.fromkeys(names)]


def check_targets(data: Arrays, call: str) -> Arrays:
    """The data, unless no output has a target in it.

    Raises: GraphValueError.
    """
    if all(target is None for target in data.targets):
        what = "validation_data" if "validation_data" in call else call.partition("(")[0]
        raise GraphValueError(f"{what} was given no targets.", expected="x and y", fix=f"trainer.{call}")
    return data


def check_data(graph: Graph, losses: Sequence[Any], data: Arrays, call: str) -> Arrays:
    """Data in memory, once its targets are there and its whole numbers have a place in the graph.

    Raises: GraphValueError that lists each target whose classes, and each input whose ids, are too large.
    """
    check_targets(data, call)
    wrong = [*_classes_beyond(graph, losses, data), *_ids_beyond(graph, data)]
    if wrong:
        raise combine(
            "Whole numbers in the data are larger than what the graph has a place for.",
            wrong,
            fix="count from 0; or a wider output, Dense(classes), or a longer table, Embedding(ids, ...)",
        )
    return data


def _classes_beyond(graph: Graph, losses: Sequence[Any], data: Arrays) -> list[str]:
    """Of a class below 0 nothing is said: it costs nothing, and marks what is not known."""
    columns = zip(graph.output_names, graph.flat_outputs, losses, data.targets, data.weights, strict=True)
    return [
        f"target {name!r}: {most:g}, where the output has {count} classes, 0 to {count - 1}"
        for name, tensor, loss, target, weight in columns
        if isinstance(loss, SparseCategoricalCrossentropy)
        and loss.axis == -1
        and target is not None
        and (count := tensor.shape[-1]) is not None
        and (most := _largest(target, weight)) >= count
        and most != loss.ignore_class
    ]


def _ids_beyond(graph: Graph, data: Arrays) -> list[str]:
    return [
        f"input {name!r}: {most:g}, where {graph.layer_name(node.layer)} has {node.layer.input_dim} rows, "
        f"0 to {node.layer.input_dim - 1}"
        for name, tensor, ids in zip(graph.input_names, graph.inputs, data.inputs, strict=True)
        for node in graph.nodes
        if isinstance(node.layer, Embedding)
        and tensor in node.parents
        and (most := _largest(ids, None)) >= node.layer.input_dim
    ]


def _largest(values: Any, weight: Any) -> float:
    """The largest of the values that count; what is on a device is not fetched for it."""
    if isinstance(values, jax.Array):
        return 0
    values = np.asarray(values)
    if weight is not None and np.ndim(weight) == 1:
        values = values[np.asarray(weight) != 0]
    return float(values.max()) if values.size else 0
