"""Layers around a layer: one read in both directions, one applied to every time step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphTypeError, GraphValueError, ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, describes, merge_trees, split_call
from jaxgraphs.layers.cells import branch_context, inner_weights
from jaxgraphs.layers.recurrent import varying_as_later
from jaxgraphs.symbolic.arrays import promote_floats
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import PyTree, Ran, Variables, title
from jaxgraphs.symbolic.spec import TensorSpec

_MERGES: Mapping[str | None, Any] = {
    "concat": lambda a, b: jnp.concatenate([a, b], axis=-1),
    "sum": jnp.add,
    "mul": jnp.multiply,
    "ave": lambda a, b: (a + b) / 2,
    None: lambda a, b: [a, b],
}
_COMMON = ("return_sequences", "return_state", "stateful")


@describes
class Wrapper(Layer):
    """A layer that hands its call on to another, `layer`, and adds no arrays of its own."""

    layer: Any

    supports_masking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        # A graph freezes whole layers, so a wrapper of a frozen layer is frozen.
        object.__setattr__(self, "trainable", self.trainable and getattr(self.layer, "trainable", True))

    def run(self, variables: Variables, args: tuple[Any, ...], kwargs: Mapping[str, Any], context: Context) -> Ran:
        """One call: options read, then the inner layer's own call, whose state and losses come back out."""
        args, kwargs, options = split_call(args, kwargs)
        if options.get("training") is not None:
            context = context.replace(train=bool(options["training"]))
        if options.get("mask") is not None:
            context = context.replace(masks=_arranged(options["mask"], args))
        if self.compute_dtype is not None:
            variables, args, kwargs = promote_floats((variables, args, kwargs), self.compute_dtype)
        ran = self.run_inner(variables, args, kwargs, context)
        masks = self.output_mask(context, *args, **kwargs)
        return Ran(ran.outputs, masks, ran.state, (*ran.losses, *self._penalties(ran.outputs, context.present)))

    def run_inner(self, variables: Variables, args: Any, kwargs: Mapping[str, Any], context: Context) -> Ran:
        """The call of the inner layer."""
        raise GraphTypeError(f"{self.kind} does not say what it computes.", fix="define run_inner")


@describes
class Bidirectional(Wrapper):
    """Reads a sequence from both ends and joins the two outputs, step by step.

    Args:
        layer: a recurrent layer; it is described anew, so its weights are not shared.
        merge_mode: "concat", "sum", "mul", "ave", or None, which gives the two apart.
        backward_layer: what reads from the end; None is `layer` with go_backwards=True.
    Call: ``layer(x, initial_state=[...], mask=mask)``: the first half of the states is the forward layer's; with
        return_state the outputs are followed by the forward layer's states, then the backward layer's.
    Shapes: (batch, time, features) -> as `layer`, twice as wide with "concat"; the arrays are
        under ``forward`` and ``backward``.
    Raises: GraphError when a layer is not recurrent, both read in one direction, or they return unlike things.
    Reference: Schuster and Paliwal (1997), IEEE Transactions on Signal Processing 45(11), 2673-2681.

    >>> from jaxgraphs.layers.recurrent import LSTM
    >>> from jaxgraphs.symbolic.node import Input
    >>> Bidirectional(LSTM(8, return_sequences=True))(Input((None, 4))).shape
    (None, None, 16)
    """

    merge_mode: str | None = "concat"
    _: dataclasses.KW_ONLY
    backward_layer: Any = None

    def validate(self) -> None:
        for layer in (self.layer, self.backward_layer or self.layer):
            if not isinstance(layer, Layer) or not hasattr(layer, "go_backwards"):
                raise GraphTypeError(
                    f"{title(self)} reads with a recurrent layer.",
                    received=type(layer).__name__,
                    expected="LSTM, GRU, SimpleRNN or RNN, or a layer with the same options",
                    fix="layers.Bidirectional(layers.LSTM(32))",
                )
        if self.merge_mode not in _MERGES:
            raise GraphValueError(
                f"{title(self)} does not know this merge_mode.",
                received=repr(self.merge_mode),
                expected="'concat', 'sum', 'mul', 'ave' or None",
            )
        self._check_pair()

    def _check_pair(self) -> None:
        forward, backward = self.layer, self.backward_layer or self.layer.replace(go_backwards=True)
        if forward.go_backwards == backward.go_backwards:
            raise GraphValueError(
                f"{title(self)} needs one layer for each direction.",
                received=f"go_backwards={forward.go_backwards} for both",
                fix="go_backwards=False for `layer`, True for `backward_layer`",
            )
        unlike = [name for name in _COMMON if getattr(forward, name, False) != getattr(backward, name, False)]
        if unlike:
            raise GraphValueError(
                f"{title(self)} needs two layers that return the same things.",
                received=", ".join(f"{name}={getattr(forward, name)} and {getattr(backward, name)}" for name in unlike),
                fix=f"give both the same {unlike[0]}",
            )

    @property
    def forward(self) -> Any:
        """The layer that reads from the start."""
        return _zeroing(self.layer)

    @property
    def backward(self) -> Any:
        """The layer that reads from the end."""
        return _zeroing(self.backward_layer or self.layer.replace(go_backwards=True))

    def check(self, *specs: Any, initial_state: Any = None, **_: Any) -> None:
        states = _halves(self, specs[1] if len(specs) == 2 else initial_state)
        for layer, given in zip((self.forward, self.backward), states, strict=True):
            layer.check(*specs[:1], **given)

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        pair = {"forward": self.forward, "backward": self.backward}
        return {name: inner_weights(layer, layer.weights(specs[0])) for name, layer in pair.items()}

    def run_inner(self, variables: Variables, args: Any, kwargs: Mapping[str, Any], context: Context) -> Ran:
        states = _halves(self, args[1] if len(args) == 2 else kwargs.get("initial_state"))
        pair, more = (("forward", self.forward), ("backward", self.backward)), self.handed_on(kwargs)
        one, other = self.run_pair(
            (layer, _branch(variables, name), args[:1], {**given, **more}, branch_context(context, index))
            for index, ((name, layer), given) in enumerate(zip(pair, states, strict=True))
        )
        new = {key: {"forward": tree} for key, tree in one.state.items()}
        new = merge_trees(new, {key: {"backward": tree} for key, tree in other.state.items()})
        return Ran(self._join(one.outputs, other.outputs), None, new, (*one.losses, *other.losses))

    def run_pair(self, calls: Iterable[tuple[Any, ...]]) -> list[Ran]:
        """The calls of both layers: each a layer, and what its `run` takes."""
        return [layer.run(*call) for layer, *call in calls]

    def handed_on(self, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The keyword arguments that both layers are given."""
        return {}

    def _join(self, forward: Any, backward: Any) -> PyTree:
        if not self.layer.return_state:
            forward, backward = [forward], [backward]
        (y, *states), (y_back, *states_back) = forward, backward
        if self.layer.return_sequences:
            # The backward layer gives its outputs in the order it read.
            y_back = jnp.flip(y_back, 1)
        merged = _MERGES[self.merge_mode](y, y_back)
        if not self.layer.return_state:
            return merged
        return [*(merged if self.merge_mode is None else [merged]), *states, *states_back]

    def output_mask(self, context: Context, *args: Any, **kwargs: Any) -> PyTree:
        one = self.forward.output_mask(context, *args[:1])
        mask, *states = one if self.layer.return_state else [one]
        masks = [mask, mask] if self.merge_mode is None else [mask]
        return [*masks, *states, *states] if self.layer.return_state or self.merge_mode is None else mask


def _zeroing(layer: Any) -> Any:
    """As Keras has it, padding contributes zero to a sequence that is read from both ends."""
    if hasattr(layer, "zero_output_for_mask"):
        return layer.replace(zero_output_for_mask=layer.return_sequences)
    return layer


def _halves(layer: Bidirectional, states: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keyword arguments of the two calls."""
    if states is None:
        return {}, {}
    states = list(states) if isinstance(states, (list, tuple)) else [states]
    if len(states) % 2:
        raise GraphValueError(
            f"{title(layer)} needs states for both directions.",
            received=f"initial_state with {len(states)} tensor{'s' if len(states) > 1 else ''}",
            expected="the forward layer's states, then as many of the backward layer's",
            fix="initial_state=[h, c, h_back, c_back] for an LSTM",
        )
    half = len(states) // 2
    return {"initial_state": states[:half]}, {"initial_state": states[half:]}


def _branch(variables: Variables, name: str) -> Variables:
    return {collection: tree[name] for collection, tree in variables.items() if name in tree}


@describes
class TimeDistributed(Wrapper):
    """Applies a layer, or a whole graph, to every time step with the same weights.

    What the layer carries, such as the moving statistics of BatchNormalization, is brought up to date step after step;
    random numbers are drawn for each step anew.

    Args:
        layer: any layer, or a Graph; its arrays keep their names.
    Call: ``layer(x, mask=mask)`` with mask (batch, time, ...): each step's part goes to the layer, the whole to what
        follows.
    Shapes: (batch, time, ...) -> (batch, time, ...), for each tensor where there are several.
    Raises: GraphError when `layer` is no layer, or an input has no axes (batch, time, ...).

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> TimeDistributed(Dense(3))(Input((None, 8))).shape
    (None, None, 3)
    """

    def validate(self) -> None:
        if not all(hasattr(self.layer, name) for name in ("variable_specs", "init", "run")):
            raise GraphTypeError(
                f"{title(self)} wraps a layer.",
                received=type(self.layer).__name__,
                expected="a layer, or a Graph",
                fix="layers.TimeDistributed(layers.Dense(32))",
            )

    def check(self, *specs: Any, **_: Any) -> None:
        tensors = [spec for spec in jax.tree.leaves(specs) if isinstance(spec, TensorSpec)]
        if not tensors or any(spec.rank < 3 for spec in tensors):
            raise ShapeMismatchError(
                f"{title(self)} needs a time axis, and something at each step.",
                expected="(batch, time, ...) with at least three axes",
                fix="layers.Reshape((-1, 1)) gives each number a step of its own",
            )

    @property
    def held(self) -> Any:
        return self.layer

    def holding(self, layer: Any) -> Any:
        return self.replace(layer=layer)

    def variable_specs(self, *args: Any, **kwargs: Any) -> Variables:
        args, kwargs, _ = split_call(args, kwargs)
        self.check(*args, **kwargs)
        return self.layer.variable_specs(*_step_specs(args), **kwargs)

    def init(self, key: Array, *args: Any, **kwargs: Any) -> Variables:
        args, kwargs, _ = split_call(args, kwargs)
        return self.layer.init(key, *_step_specs(args), **kwargs)

    def weights(self, *specs: Any, **kwargs: Any) -> Mapping[str, Any]:
        # A graph may do without; it keeps its regularizers itself.
        weights: Any = getattr(self.layer, "weights", None)
        return weights(*_step_specs(specs), **kwargs) if weights else {}

    def run_inner(self, variables: Variables, args: Any, kwargs: Mapping[str, Any], context: Context) -> Ran:
        time = jax.tree.leaves(args)[0].shape[1]
        steps = (jax.tree.map(_time_first, (args, context.masks)), jnp.arange(time))

        def step(variables: Variables, now: Any) -> Ran:
            (inputs, masks), index = now
            inner = branch_context(context, index).replace(masks=masks)
            return self.layer.run(variables, inputs, kwargs, inner)

        over_time = _carried if context.train and set(variables) - {"params"} else _mapped
        outputs, state, losses = over_time(step, variables, steps)
        return Ran(jax.tree.map(_time_first, outputs), None, state, tuple(jnp.sum(loss) for loss in losses))

    def output_mask(self, context: Context, *args: Any, **_: Any) -> PyTree:
        return next(iter(jax.tree.leaves(context.masks)), None)


def _mapped(step: Any, variables: Variables, steps: Any) -> tuple[PyTree, Variables, tuple[Array, ...]]:
    """All steps at once; nothing is carried."""

    def call(now: Any) -> Any:
        ran = step(variables, now)
        return ran.outputs, ran.losses

    outputs, losses = jax.vmap(call)(steps)
    return outputs, {}, losses


def _carried(step: Any, variables: Variables, steps: Any) -> tuple[PyTree, Variables, tuple[Array, ...]]:
    """Step after step, each with the state that the one before left."""
    params, state = variables.get("params", {}), {key: tree for key, tree in variables.items() if key != "params"}

    def body(state: Variables, now: Any) -> Any:
        ran = step({"params": params, **state}, now)
        return merge_changes(state, ran.state), (ran.outputs, ran.losses)

    state, (outputs, losses) = jax.lax.scan(body, varying_as_later(body, state, steps), steps)
    return outputs, state, losses


def merge_changes(tree: PyTree, changes: PyTree) -> PyTree:
    """The tree with the leaves that `changes` names replaced."""
    if not isinstance(changes, Mapping):
        return changes
    return {**tree, **{name: merge_changes(tree.get(name), value) for name, value in changes.items()}}


def _time_first(x: Array) -> Array:
    return jnp.swapaxes(x, 0, 1)


def _step_specs(args: Any) -> Any:
    """The specs of one step: the time axis is left out."""

    def step(spec: Any) -> Any:
        return TensorSpec((spec.dims[0], *spec.dims[2:]), spec.dtype) if isinstance(spec, TensorSpec) else spec

    return jax.tree.map(step, args)


def _arranged(mask: Any, args: Any) -> Any:
    """A mask given by hand in the arrangement of the arguments; a single one is the first tensor's."""
    if isinstance(mask, (list, tuple)):
        return (mask,)
    leaves, structure = jax.tree.flatten(args)
    return jax.tree.unflatten(structure, [mask, *[None] * (len(leaves) - 1)])
