"""Which calls are computed again in the backward pass instead of kept: less memory for more time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxgraphs.errors import GraphTypeError
from jaxgraphs.graph.graph import Graph, Step
from jaxgraphs.graph.paths import layer_paths
from jaxgraphs.graph.run import Wrap
from jaxgraphs.training.patterns import check_patterns, first_fitting


def remat_wrap(graph: Graph, remat: str | Sequence[str] | None) -> Wrap | None:
    """What stands around each call: `jax.checkpoint` where it is asked for.

    Args:
        graph: whose layers the patterns name.
        remat: "all"; patterns of layers' paths; None for none.
    Raises: GraphError when it is neither, or a pattern fits no layer.
    """
    if remat is None:
        return None
    if not isinstance(remat, (str, list, tuple)) or not all(isinstance(item, str) for item in remat):
        raise GraphTypeError("`remat` says which layers to compute again.", received=repr(remat), fix='"all"')
    patterns = ["*"] if remat == "all" else [remat] if isinstance(remat, str) else list(remat)
    check_patterns(patterns, layer_paths(graph), "remat")

    def wrap(step: Step, compute: Callable[..., Any]) -> Callable[..., Any]:
        return compute if first_fitting(step.path, patterns) is None else recomputed(compute)

    return wrap


def recomputed(compute: Callable[..., Any]) -> Callable[..., Any]:
    """The function, recomputed in the backward pass; numbers and texts among its arguments stay what they are."""

    def call(*args: Any) -> Any:
        leaves, structure = jax.tree.flatten(args)
        places = [index for index, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]

        def on_arrays(*arrays: jax.Array) -> Any:
            filled = list(leaves)
            for index, array in zip(places, arrays, strict=True):
                filled[index] = array
            return compute(*jax.tree.unflatten(structure, filled))

        return jax.checkpoint(on_arrays)(*(leaves[index] for index in places))

    return call


@dataclasses.dataclass(frozen=True)
class StepMemory:
    """Bytes that one compiled training step needs on a device.

    Args:
        state: the state and the batch, which it is given.
        temporary: all that it makes beside them: values kept for the backward pass, gradients, work space.
    """

    state: int
    temporary: int


def step_memory(trainer: Any, state: Any, batch: Any) -> StepMemory:
    """The memory of a trainer's step as XLA has planned it: what `remat`, `accumulate` and layouts save.

    Nothing is computed, and the state stays as it is.

    Args:
        trainer: a Trainer; `state`: its TrainState, or the shapes of one.
        batch: as for `Trainer.train_step`.
    """
    compiled = trainer.lowered(state, batch).compile()
    planned = compiled.memory_analysis()
    return StepMemory(planned.argument_size_in_bytes, planned.temp_size_in_bytes)
