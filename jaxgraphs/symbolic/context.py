"""What a layer is told, beside its arguments, when it computes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from jaxgraphs.errors import GraphValueError


@dataclasses.dataclass(frozen=True)
class Context:
    """How one call is made; passed in, never looked up.

    Args:
        train: whether dropout drops and batch statistics come from the batch.
        rngs: a key for each stream, such as ``{"dropout": key}``; already this call's own.
        masks: the masks of the positional arguments in the arguments' arrangement; None where a tensor has none.
        name: of the layer, for messages.
        present: (batch,) booleans, False for rows that only pad a short batch; no statistic counts them.
        axis: the devices' axis along which the batch's other rows are, where each device computes by itself.
    """

    train: bool = False
    rngs: Mapping[str, jax.Array] = dataclasses.field(default_factory=dict)
    masks: Any = ()
    name: str = "layer"
    present: jax.Array | None = None
    axis: str | None = None

    @property
    def mask(self) -> jax.Array | None:
        """The first mask there is among the arguments': (batch, time) booleans, True where a step counts."""
        leaves = jax.tree.leaves(self.masks)
        return leaves[0] if leaves else None

    def key(self, stream: str = "dropout") -> jax.Array:
        """The call's random key.

        Raises: GraphValueError when the caller gave none for `stream`.
        """
        if stream not in self.rngs:
            raise GraphValueError(
                f"'{self.name}' draws random numbers when train=True, and no key was given.",
                received=f"rngs with {sorted(self.rngs) or 'no keys'}",
                expected=f"a key named '{stream}'",
                fix=f"graph.apply(variables, inputs, train=True, rngs={{'{stream}': jax.random.key(0)}})",
            )
        return self.rngs[stream]

    def replace(self, **changes: Any) -> Context:
        """The same with some fields changed."""
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass(frozen=True)
class Stateful:
    """What a layer returns when it also has new state: the outputs, and the changed arrays by name."""

    outputs: Any
    state: Mapping[str, Any]
