"""A layer with arguments, its Keras twin, and the checks that every such pair passes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from jaxgraphs.layers.base import Layer
from jaxgraphs.symbolic.arrays import is_float_array
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.spec import TensorSpec
from tests.oracle import assert_close, compiled, keras_rules


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the list.

    Args:
        name: of the row.
        ours: makes our layer.
        theirs: makes Keras' layer; None where Keras has none (then `expected` says what is right).
        inputs: shapes, the batch included; several shapes are given to the layer as one list.
        weights: "collection/path" of our arrays in the order of Keras' ``layer.weights``; seeds are skipped.
        dtype: "float32", or "int32" for ids below `ids`.
        mask: shape of a mask, or None; a mask is True on a leading part of each row that is not empty.
        call: further keyword arguments of the call, for both.
        train: whether the call is made in training (only where both are deterministic).
        convert: our array from Keras' one, by the path, where the layouts differ.
    """

    name: str
    ours: Callable[[], Layer]
    theirs: Callable[[], Any] | None
    inputs: Sequence[tuple[int, ...]]
    weights: Sequence[str] = ()
    dtype: str = "float32"
    ids: int = 10
    mask: tuple[int, ...] | None = None
    call: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    train: bool = False
    convert: Mapping[str, Callable[[np.ndarray], np.ndarray]] = dataclasses.field(default_factory=dict)
    tolerance: float = 1e-5
    spread: bool = False  # several inputs are given as arguments of their own, not as one list
    null: Sequence[str] = ()  # weights whose gradient is 0 but for rounding

    def __str__(self) -> str:
        return self.name

    def values(self, dtype: Any = None) -> Any:
        """Seeded inputs, in a list where there are several."""
        random = np.random.default_rng(0)
        arrays = [
            random.integers(0, self.ids, shape).astype(self.dtype)
            if "int" in self.dtype
            else random.normal(size=shape).astype(dtype or self.dtype)
            for shape in self.inputs
        ]
        return arrays[0] if len(arrays) == 1 else arrays

    def args(self, values: Any) -> tuple[Any, ...]:
        """The positional arguments of the call."""
        return tuple(values) if self.spread else (values,)

    def mask_array(self) -> np.ndarray | None:
        """Rows of True of unlike length, then False."""
        if self.mask is None:
            return None
        lengths = 1 + np.arange(self.mask[0]) % self.mask[1]
        mask = np.arange(self.mask[1])[None, :] < lengths[:, None]
        return np.ascontiguousarray(np.broadcast_to(mask.reshape(*mask.shape, *[1] * (len(self.mask) - 2)), self.mask))


def run(case: Case, layer: Layer, variables: Any, values: Any, *, train: bool | None = None, rngs: Any = None) -> Any:
    """Our layer on arrays: a Ran."""
    mask = case.mask_array()
    kwargs = dict(case.call) | ({} if mask is None else {"mask": jnp.asarray(mask)})
    context = Context(
        train=case.train if train is None else train,
        rngs=rngs or {"dropout": jax.random.key(0)},
        masks=jax.tree.map(lambda _: None, case.args(values)),
    )
    return layer.run(variables, case.args(values), kwargs, context)


def specs_of(values: Any) -> Any:
    """TensorSpecs in place of arrays."""
    return jax.tree.map(TensorSpec.of, values)


def keras_twin(case: Case, values: Any) -> tuple[Any, list[Any]]:
    """Keras' layer, built and with seeded weights; and its weights without the random-seed states."""
    assert case.theirs is not None
    with keras_rules():
        twin = case.theirs()
        shapes = jax.tree.map(lambda x: keras.KerasTensor(x.shape, str(x.dtype)), values)
        try:  # shapes alone build it, and nothing is computed
            twin(*case.args(shapes), **case.call)
        except ValueError:  # Keras wants more of shapes than of arrays
            twin(*case.args(values), **case.call)
        weights = [weight for weight in twin.weights if "seed" not in weight.path.split("/")[-1]]
        random = np.random.default_rng(1)
        for weight in weights:
            value = random.normal(scale=0.5, size=weight.shape)
            # Variances are positive.
            weight.assign(np.abs(value) + 0.5 if "var" in weight.path.split("/")[-1] else value)
    return twin, weights


def variables_from(case: Case, weights: Sequence[Any], dtype: Any = np.float32) -> dict[str, Any]:
    """Keras' arrays under our names."""
    assert len(weights) == len(case.weights), [weight.path for weight in weights]
    variables: dict[str, Any] = {}
    for path, weight in zip(case.weights, weights, strict=True):
        value = np.asarray(weight, np.float32)
        place, keys = variables, path.split("/")
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = jnp.asarray(case.convert.get(path, lambda array: array)(value), dtype)
    return variables


def check_specs(case: Case) -> None:
    """The arrays that `init` makes have the declared shapes and dtypes."""
    layer, values = case.ours(), case.values()
    specs = layer.variable_specs(*case.args(specs_of(values)), **case.call)
    drawn = jax.eval_shape(lambda key: layer.init(key, *case.args(specs_of(values)), **case.call), jax.random.key(0))
    assert jax.tree.map(lambda spec: (spec.dims, spec.dtype), specs) == jax.tree.map(
        lambda a: (a.shape, a.dtype), drawn
    )


def check_against_keras(case: Case) -> None:
    """Shapes of arrays, outputs, gradients to inputs and params, and new state, against Keras from the same weights."""
    layer, values = case.ours(), case.values()
    twin, weights = keras_twin(case, values)
    variables = variables_from(case, weights)
    specs = layer.variable_specs(*case.args(specs_of(values)), **case.call)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(lambda spec: spec.dims, specs)
    mask = case.mask_array()
    options = dict(case.call) | ({} if mask is None else {"mask": mask}) | ({"training": True} if case.train else {})
    trainable = [v.value for v in twin.trainable_variables]
    constant = [v.value for v in twin.non_trainable_variables]

    def theirs(trainable: Any, values: Any) -> Any:
        outputs, state = twin.stateless_call(trainable, constant, *case.args(values), **options)
        return _weighted_sum(outputs), (outputs, state)

    def ours(variables: Any, values: Any) -> Any:
        ran = run(case, layer, variables, values)
        return _weighted_sum(ran.outputs), (ran.outputs, ran.state)

    differentiable = "int" not in case.dtype
    with keras_rules():
        (_, (expected, state)), expected_grads = _with_gradients(theirs, differentiable)(trainable, values)
    (_, (outputs, updates)), grads = _with_gradients(ours, differentiable)(variables, values)
    for one, other in zip(jax.tree.leaves(outputs), jax.tree.leaves(expected), strict=True):
        assert_close(one, other, case.tolerance, "output")
    weight_grads, expected_weights = (grads[0], expected_grads[0]) if differentiable else (grads, expected_grads)
    paths = [path for path, weight in zip(case.weights, weights, strict=True) if weight.trainable]
    for path, theirs_grad in zip(paths, expected_weights, strict=True):
        convert = case.convert.get(path, lambda array: array)
        if path in case.null:
            largest = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(expected_weights))
            assert_close(_at(weight_grads, path) / largest, np.zeros(theirs_grad.shape), 1e-2, f"gradient of {path}")
            continue
        assert_close(_at(weight_grads, path), convert(np.asarray(theirs_grad)), case.tolerance, f"gradient of {path}")
    if differentiable:
        for one, other in zip(jax.tree.leaves(grads[1]), jax.tree.leaves(expected_grads[1]), strict=True):
            assert_close(one, other, case.tolerance, "gradient of the input")
    _check_state(case, updates, twin, weights, state)


def check_transforms(case: Case) -> None:
    """jit and vmap give what the plain call gives; float64 is near float32; bfloat16 runs and stays bfloat16."""
    layer, values = case.ours(), case.values()
    draw = compiled(lambda key: layer.init(key, *case.args(specs_of(values)), **case.call))
    variables = draw(jax.random.key(0))
    plain = run(case, layer, variables, values).outputs
    jitted = compiled(lambda v, x: run(case, layer, v, x).outputs)(variables, values)
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-5, "jit"), jitted, plain)
    stacked = jax.tree.map(lambda x: jnp.stack([x, x]), variables)
    size = 2 if jax.tree.leaves(stacked) else None
    if size:
        mapped = compiled(jax.vmap(lambda v: run(case, layer, v, values).outputs))(stacked)
        jax.tree.map(lambda a, b: assert_close(a[1], b, 1e-5, "vmap"), mapped, plain)
    # What reads whole numbers and has no weights gives float32, whatever else is about; so does what sorts into bins.
    if (
        layer.dtype is None
        and layer.kind != "Discretization"
        and any(is_float_array(leaf) for leaf in jax.tree.leaves((variables, values)))
    ):
        _check_precisions(case, layer, variables, plain)


def _check_precisions(case: Case, layer: Layer, variables: Any, plain: Any) -> None:
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16) if is_float_array(x) else x, (variables, case.values()))
    ran = compiled(lambda v, x: run(case, layer, v, x).outputs)
    for leaf in jax.tree.leaves(ran(*half)):
        assert not jnp.issubdtype(leaf.dtype, jnp.floating) or leaf.dtype == jnp.bfloat16, (
            f"bfloat16 became {leaf.dtype}"
        )
    with jax.enable_x64(True):
        double = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64) if is_float_array(x) else x, variables)
        values = jax.tree.map(jnp.asarray, case.values(None if "int" in case.dtype else np.float64))
        outputs = ran(double, values)
        for leaf, other in zip(jax.tree.leaves(outputs), jax.tree.leaves(plain), strict=True):
            assert not jnp.issubdtype(leaf.dtype, jnp.floating) or leaf.dtype == jnp.float64, (
                f"float64 became {leaf.dtype}"
            )
            assert_close(leaf, other, 1e-4, "float64")


def _check_state(case: Case, updates: Any, twin: Any, weights: Sequence[Any], state: Sequence[Any]) -> None:
    positions = {id(variable): index for index, variable in enumerate(twin.non_trainable_variables)}
    for path, weight in zip(case.weights, weights, strict=True):
        if path.startswith("batch_stats") and case.train:
            assert_close(_at(updates, path), state[positions[id(weight)]], case.tolerance, f"new {path}")


def _with_gradients(function: Callable[..., Any], is_differentiable: bool) -> Callable[..., Any]:
    return compiled(jax.value_and_grad(function, (0, 1) if is_differentiable else 0, has_aux=True))


def _weighted_sum(outputs: Any) -> Any:
    """A scalar in which each number has a weight of its own, so that errors do not cancel."""
    total = 0.0
    for leaf in jax.tree.leaves(outputs):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            weights = np.random.default_rng(2).normal(size=leaf.shape).astype(np.float32)
            total = total + jnp.sum(leaf * jnp.asarray(weights, leaf.dtype))
    return total


def _at(tree: Any, path: str) -> Any:
    for key in path.split("/"):
        tree = tree[key]
    return tree
