"""What all of Keras' optimizers share: the rate in the state, clipping, weight decay, and two ways to write a rule.

A rule gives the change of the parameters, the learning rate already in it: Keras lets the rate enter momentum, and
applies weight decay to the parameters before the rule reads them, which a chain of Optax' transformations cannot say.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike

from jaxgraphs.errors import GraphTypeError, GraphValueError, did_you_mean

PyTree = Any
Rate = float | Callable[[Array], ArrayLike]  # a number, or a schedule: the number of steps done gives the rate
Slots = dict[str, Any]


class Limits(TypedDict, total=False):
    """How gradients are clipped, in one of three ways.

    Args:
        clipnorm: the largest norm of one parameter's gradient.
        clipvalue: the largest absolute value in a gradient.
        global_clipnorm: the largest norm of all gradients together.
    """

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None


class Options(Limits, total=False):
    """What every optimizer takes, beside its own arguments.

    Args:
        weight_decay: the share of each parameter, times the rate, that is taken off before each step.
    """

    weight_decay: float | None


class RowWise(optax.GradientTransformation):
    """A transformation under which each row of a parameter, and what is kept for it, moves by its own gradient alone.

    Attributes:
        decay: what a row without a gradient has its state multiplied by; the row itself stays.
    """

    decay: float = 1.0


def row_wise(
    transformation: optax.GradientTransformation, decay: float, options: Options
) -> optax.GradientTransformation:
    """The transformation, marked as row-wise; weight decay moves every row, and leaves it as it is."""
    if options.get("weight_decay"):
        return transformation
    marked = RowWise(*transformation)
    marked.decay = decay
    return marked


class Rule(NamedTuple):
    """``init(params) -> state``; ``update(gradients, state, params, rate, step) -> (change, state)``, step from 1."""

    init: Callable[[PyTree], PyTree]
    update: Callable[[PyTree, PyTree, PyTree, Array, Array], tuple[PyTree, PyTree]]


def transformation(rule: Rule, learning_rate: Rate, options: Options) -> optax.GradientTransformation:
    """`rule` with Keras' options as an Optax transformation whose state holds the learning rate.

    The state is Optax' ``InjectStatefulHyperparamsState``: ``state.hyperparams["learning_rate"]`` may be replaced
    between steps without another compilation.
    """
    check_options(options)
    scheduled = callable(learning_rate)
    if not scheduled:
        check_number("learning_rate", learning_rate)
    decay = options.get("weight_decay") or 0.0

    def init(params: PyTree) -> optax.OptState:
        first: Any = learning_rate(jnp.zeros((), jnp.int32)) if callable(learning_rate) else learning_rate
        return optax.InjectStatefulHyperparamsState(
            count=jnp.zeros((), jnp.int32),
            # A copy: the state may be donated, and an array given as the rate is the user's.
            hyperparams={"learning_rate": jnp.array(first, widest_float(params), copy=True)},
            hyperparams_states={"learning_rate": ()} if scheduled else {},
            inner_state=rule.init(params),
        )

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        if params is None:
            raise GraphTypeError("This optimizer reads the parameters.", fix="update(gradients, opt_state, params)")
        rate = state.hyperparams["learning_rate"]
        if callable(learning_rate):
            rate = jnp.asarray(learning_rate(state.count)).astype(rate.dtype)
        step = jnp.asarray(optax.safe_increment(state.count))
        gradients = jax.tree.map(lambda g, p: g.astype(p.dtype), clipped(updates, options), params)
        change, inner_state = _after_decay(rule, decay, gradients, state.inner_state, params, rate, step)
        hyperparams = {**state.hyperparams, "learning_rate": rate}
        return change, state._replace(count=step, hyperparams=hyperparams, inner_state=inner_state)

    return optax.GradientTransformation(init, update)


def follow(direction: optax.GradientTransformation, momentum: float = 0.0, nesterov: bool = False) -> Rule:
    """A rule that goes rate times `direction` downhill, with Keras' momentum: m <- momentum m - rate d."""

    def init(params: PyTree) -> Slots:
        moving = {"momentum": jax.tree.map(jnp.zeros_like, params)} if momentum else {}
        return {"direction": direction.init(params), **moving}

    def update(gradients: PyTree, state: Slots, params: PyTree, rate: Array, step: Array) -> tuple[PyTree, Slots]:
        ways, direction_state = direction.update(gradients, state["direction"], params)
        strides = jax.tree.map(lambda way: way * rate.astype(way.dtype), ways)
        if not momentum:
            return jax.tree.map(jnp.negative, strides), {"direction": direction_state}
        moved = jax.tree.map(lambda m, stride: m * momentum - stride, state["momentum"], strides)
        ahead = jax.tree.map(lambda m, stride: m * momentum - stride, moved, strides) if nesterov else moved
        return ahead, {"direction": direction_state, "momentum": moved}

    return Rule(init, update)


def leafwise(slots: Mapping[str, Callable[[Array], Any]], move: Callable[..., tuple[Array, Sequence[Any]]]) -> Rule:
    """A rule that treats each parameter by itself.

    Args:
        slots: name of a number kept for each parameter -> its first value, from the parameter.
        move: ``move(gradient, parameter, rate, step, *slots) -> (change, new slots)``, in the order of `slots`; all of
            the parameter's dtype, but `step`, which is float32 or wider so that powers of it keep their digits.
    """

    def init(params: PyTree) -> Slots:
        return {name: jax.tree.map(first, params) for name, first in slots.items()}

    def update(gradients: PyTree, state: Slots, params: PyTree, rate: Array, step: Array) -> tuple[PyTree, Slots]:
        leaves, structure = jax.tree.flatten(params)
        flat = [structure.flatten_up_to(tree) for tree in (gradients, *(state[name] for name in slots))]
        moves = [
            move(gradient, leaf, rate.astype(leaf.dtype), step.astype(widest_float(leaf)), *kept)
            for leaf, gradient, *kept in zip(leaves, *flat, strict=True)
        ]
        kept = zip(*(new for _, new in moves), strict=True) if moves else [[]] * len(slots)
        new_state = {name: structure.unflatten(list(new)) for name, new in zip(slots, kept, strict=True)}
        return structure.unflatten([change for change, _ in moves]), new_state

    return Rule(init, update)


def lazily(rule: Rule) -> Rule:
    """`rule`, but rows of embedding tables that have no gradient stay, and what is kept of them does.

    The state of `rule` is, by name, of the structure of the parameters, as that of `leafwise` is.
    """

    def update(gradients: PyTree, state: Slots, params: PyTree, rate: Array, step: Array) -> tuple[PyTree, Slots]:
        change, new = rule.update(gradients, state, params, rate, step)
        still = jax.tree.map(jnp.zeros_like, change)
        return _where_moved(gradients, change, still), {
            name: _where_moved(gradients, new[name], state[name]) for name in new
        }

    return Rule(rule.init, update)


def _where_moved(gradients: PyTree, new: PyTree, old: PyTree) -> PyTree:
    """`new`, and in embedding tables `old` for each row whose gradient is zero."""

    def visit(path: Any, gradient: Array, new: Array, old: Array) -> Array:
        if not path or getattr(path[-1], "key", None) != "embedding":
            return new
        return jnp.where(jnp.any(gradient != 0, axis=-1, keepdims=True), new, old)

    return jax.tree_util.tree_map_with_path(visit, gradients, new, old)


def clipped(gradients: PyTree, options: Options) -> PyTree:
    """Gradients held within the one limit of `options`, if there is one, as Keras holds them."""
    if limit := options.get("clipvalue"):
        return jax.tree.map(lambda g: jnp.clip(g, -limit, limit), gradients)
    if limit := options.get("clipnorm"):
        return jax.tree.map(lambda g: g * limit / jnp.maximum(_norm([g]), limit).astype(g.dtype), gradients)
    if limit := options.get("global_clipnorm"):
        norm = _norm(jax.tree.leaves(gradients))
        # The difference is not a number where the norm is infinite: the step must not look sound.
        scale = limit / jnp.maximum(norm, limit) + (norm - norm)
        return jax.tree.map(lambda g: g * scale.astype(g.dtype), gradients)
    return gradients


def widest_float(tree: PyTree) -> jnp.dtype:
    """float64 where a leaf of `tree` is float64, else float32."""
    wide = any(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(tree))
    return jnp.dtype(jnp.float64 if wide else jnp.float32)


def check_options(options: Options) -> None:
    """Raises: GraphValueError for an option Keras does not have, out of range, or in conflict with another."""
    limits = list(Limits.__annotations__)
    known = ["weight_decay", *limits]
    for name, value in options.items():
        if name not in known:
            raise GraphValueError(
                f"An optimizer has no argument {name!r}.", fix=did_you_mean(name, ["learning_rate", *known])
            )
        if value is not None and not (isinstance(value, numbers.Real) and float(value) > 0):
            raise GraphValueError(f"An optimizer cannot use {name}={value!r}.", expected="a number above 0, or None")
    given = [name for name in limits if options.get(name) is not None]
    if len(given) > 1:
        raise GraphValueError("Gradients are clipped in one way only.", received=", ".join(given), fix="keep one")


def check_number(name: str, value: Any, *, least: float = 0.0, below: float = math.inf) -> None:
    """Raises: GraphValueError where `value` is not a number in [least, below)."""
    if getattr(value, "ndim", None) == 0:
        return  # an array: its value may not be known yet
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not least <= float(value) < below:
        limit = "" if below == math.inf else f", less than {below}"
        raise GraphValueError(f"An optimizer cannot use {name}={value!r}.", expected=f"a number from {least}{limit}")


def _after_decay(
    rule: Rule, decay: float, gradients: PyTree, state: PyTree, params: PyTree, rate: Array, step: Array
) -> tuple[PyTree, PyTree]:
    """The change that weight decay makes and, from what it leaves, that of `rule`."""
    if not decay:
        return rule.update(gradients, state, params, rate, step)
    shrink = jax.tree.map(lambda p: p * decay * rate.astype(p.dtype), params)
    change, state = rule.update(gradients, state, jax.tree.map(jnp.subtract, params, shrink), rate, step)
    return jax.tree.map(jnp.subtract, change, shrink), state


def _norm(arrays: Sequence[Array]) -> Array:
    """The norm of all `arrays` together, summed in float32 or wider."""
    wide = widest_float(list(arrays))
    squares = [jnp.sum(jnp.square(array.astype(wide))) for array in arrays]
    return jnp.sqrt(jnp.sum(jnp.stack(squares)))
