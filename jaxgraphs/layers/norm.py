"""Batch normalisation: the layer that carries state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import lax

from jaxgraphs.errors import GraphValueError, ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weight, Weights, describes, single_input
from jaxgraphs.layers.batch_moments import TINY, BatchAxes, normalise
from jaxgraphs.layers.core import check_floating
from jaxgraphs.layers.sizes import axis_in
from jaxgraphs.symbolic.context import Context, Stateful
from jaxgraphs.symbolic.node import title
from jaxgraphs.symbolic.spec import Dim, TensorSpec


@describes
class BatchNormalization(Layer):
    """y = scale (x - mean) / sqrt(variance + epsilon) + bias, for each channel over all other axes.

    In training mean and variance are the batch's, and the moving ones go on as momentum · old + (1 - momentum) · new;
    at inference the moving ones count. Steps that a mask leaves out and rows that only pad a short batch weigh nothing
    in the batch's. With ``trainable=False`` the layer behaves as at inference, as in Keras. Under ``jit`` the batch is
    the whole batch, however it is sharded; `synchronized` asks for that and so changes nothing.

    Args:
        axis: the axis of channels.
        momentum: how much of the moving statistics stays at each step, from 0 to 1.
        epsilon: added to the variance, in its unit; not negative.
        center, scale: whether a bias is added, and whether a scale multiplies.
        renorm: whether, in training, the normalised batch is brought near to what moving statistics would make of it:
            x r + d, with r and d of these and the batch's, through which no gradient goes.
        renorm_clipping: bounds {"rmin": , "rmax": , "dmax": } of r and of d; those left out do not bound.
        renorm_momentum: as `momentum`, of the statistics that r and d come from.
    Shapes: (batch, ...) -> the same; scale and bias (channels,) in params, mean and var (channels,) in batch_stats,
        with `renorm` stddev, renorm_mean and renorm_stddev too.
    Raises: GraphError when there is no such axis or the input is not floating.
    Reference: Ioffe and Szegedy (2015), ICML, 448-456; `renorm`: Ioffe (2017), arXiv 1702.03275.

    >>> from jaxgraphs.symbolic.node import Input
    >>> BatchNormalization()(Input((28, 28, 3))).shape
    (None, 28, 28, 3)
    """

    axis: int = -1
    momentum: float = 0.99
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: Any = "zeros"
    gamma_initializer: Any = "ones"
    moving_mean_initializer: Any = "zeros"
    moving_variance_initializer: Any = "ones"
    beta_regularizer: Any = None
    gamma_regularizer: Any = None
    beta_constraint: Any = None
    gamma_constraint: Any = None
    renorm: bool = False
    renorm_clipping: Any = None
    renorm_momentum: float = 0.99
    synchronized: bool = False

    supports_masking: ClassVar[bool] = True
    frozen_means_inference: ClassVar[bool] = True

    def validate(self) -> None:
        if not 0 <= self.momentum <= 1 or self.epsilon < 0:
            raise GraphValueError(
                f"{title(self)} needs a momentum from 0 to 1 and an epsilon that is not negative.",
                received=f"momentum={self.momentum!r}, epsilon={self.epsilon!r}",
            )
        bounds = self.renorm_clipping or {}
        is_known = isinstance(bounds, Mapping) and set(bounds) <= {"rmin", "rmax", "dmax"}
        if not is_known or (bounds.get("rmin") or 0) > bounds.get("rmax", math.inf) or (bounds.get("dmax") or 0) < 0:
            raise GraphValueError(
                f"{title(self)} cannot bound its corrections so.",
                received=f"renorm_clipping={self.renorm_clipping!r}",
                expected="a dict with rmin, rmax and dmax, or some of these",
            )

    def check(self, *specs: Any, **_: Any) -> None:
        spec = single_input(self, specs)
        check_floating(self, spec)
        axes_of(self, spec)

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        sizes = tuple(specs[0].dims[axis] for axis in axes_of(self, specs[0]))
        mean = Weight(sizes, self.moving_mean_initializer, "batch_stats")
        variance = Weight(sizes, self.moving_variance_initializer, "batch_stats")
        carried = {"mean": mean, "var": variance}
        if self.renorm:
            deviation = Weight(sizes, _root_of(self.moving_variance_initializer), "batch_stats")
            carried |= {"stddev": deviation, "renorm_mean": mean, "renorm_stddev": deviation}
        return affine_weights(self, sizes) | carried

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array | Stateful:
        wide = widen(x)
        channel = self.axis % x.ndim
        shape = tuple(size if axis == channel else 1 for axis, size in enumerate(x.shape))
        shaped = {name: weights[name].astype(wide.dtype).reshape(shape) for name in weights}
        if not context.train:
            normal = (wide - shaped["mean"]) * lax.rsqrt(shaped["var"] + self.epsilon)
            return affine(weights, normal, shape).astype(x.dtype)
        batch = BatchAxes(tuple(axis for axis in range(x.ndim) if axis != channel), context.axis)
        which, more = _counting(wide, (context.mask, context.present)), 0.0 if context.mask is None else TINY
        counts = None if which is None else batch.counts(which, wide.dtype, more)
        if self.renorm:
            normal, *found = normalise(wide, None, None, counts, batch, self.epsilon)
            y, state = self._renormalised(weights, normal, shaped, _named(found))
        else:
            y, *found = normalise(wide, shaped.get("scale"), shaped.get("bias"), counts, batch, self.epsilon)
            state = self._moved(shaped, _named(found))
        carried = {name: value.reshape(-1).astype(weights[name].dtype) for name, value in state.items()}
        return Stateful(y.astype(x.dtype), carried)

    def _moved(self, before: Mapping[str, Array], batch: Mapping[str, Array]) -> dict[str, Array]:
        return {name: self.momentum * before[name] + (1 - self.momentum) * batch[name] for name in batch}

    def _renormalised(
        self, weights: Weights, normal: Array, before: Mapping[str, Array], batch: Mapping[str, Array]
    ) -> tuple[Array, dict[str, Array]]:
        """The normalised batch brought near to what moving statistics make of it, and the statistics that go on."""
        deviation = jnp.sqrt(batch["var"] + self.epsilon)
        known = jnp.maximum(before["renorm_stddev"], math.sqrt(self.epsilon))
        bounds = self.renorm_clipping or {}
        r = jnp.clip(deviation / known, bounds.get("rmin"), bounds.get("rmax"))
        most = bounds.get("dmax")
        d = (batch["mean"] - before["renorm_mean"]) / known
        d = d if most is None else jnp.clip(d, -most, most)
        moved = self.momentum * before["stddev"] + (1 - self.momentum) * deviation
        keep = self.renorm_momentum
        carried = {
            "mean": self._moved(before, batch)["mean"],
            "var": jnp.maximum(jnp.square(moved) - self.epsilon, 0),
            "stddev": moved,
            "renorm_mean": keep * before["renorm_mean"] + (1 - keep) * batch["mean"],
            "renorm_stddev": keep * before["renorm_stddev"] + (1 - keep) * deviation,
        }
        return affine(weights, normal * lax.stop_gradient(r) + lax.stop_gradient(d), batch["mean"].shape), carried


def _named(statistics: Sequence[Array]) -> dict[str, Array]:
    return dict(zip(("mean", "var"), statistics, strict=True))


def _root_of(initializer: Any) -> Any:
    """Draws deviations where an initializer draws variances."""
    return lambda key, shape, dtype: jnp.sqrt(initializer(key, shape, dtype))


def widen(x: Array) -> Array:
    """x in float32 where it has fewer bits: sums of half-precision numbers overflow and lose digits."""
    return x.astype(jnp.float32) if jnp.finfo(x.dtype).bits < 32 else x


def affine(weights: Weights, x: Array, shape: tuple[Dim, ...]) -> Array:
    """scale x + bias, as far as there are such weights, laid out as `shape`."""
    if "scale" in weights:
        x = x * weights["scale"].astype(x.dtype).reshape(shape)
    if "bias" in weights:
        x = x + weights["bias"].astype(x.dtype).reshape(shape)
    return x


def affine_weights(layer: Any, sizes: tuple[Dim, ...]) -> dict[str, Any]:
    """The scale and bias that a normalisation was asked for, under Keras' names for their arguments."""
    scale = Weight(
        sizes, layer.gamma_initializer, regularizer=layer.gamma_regularizer, constraint=layer.gamma_constraint
    )
    bias = Weight(sizes, layer.beta_initializer, regularizer=layer.beta_regularizer, constraint=layer.beta_constraint)
    return ({"scale": scale} if layer.scale else {}) | ({"bias": bias} if layer.center else {})


def axes_of(layer: Any, spec: TensorSpec) -> tuple[int, ...]:
    """The layer's `axis`, one or several, counted from the front and in order, or a ShapeMismatchError."""
    wanted = layer.axis if isinstance(layer.axis, tuple) else (layer.axis,)
    axes = [axis_in(axis, spec.rank) for axis in wanted]
    found = sorted({axis for axis in axes if axis is not None})
    if len(found) == len(wanted) and found:
        return tuple(found)
    raise ShapeMismatchError(
        f"{title(layer)} has axis={layer.axis!r}, and its input has {spec.rank} axes.",
        expected=f"different whole numbers from {-spec.rank} to {spec.rank - 1}",
        fix="axis=-1 is the axis of features or channels",
    )


def _counting(x: Array, masks: Sequence[Array | None]) -> Array | None:
    """Which numbers of x every mask lets through; a mask speaks of the leading axes. None where there is no mask."""
    known = [mask.astype(bool).reshape(mask.shape + (1,) * (x.ndim - mask.ndim)) for mask in masks if mask is not None]
    return jnp.broadcast_to(reduce(jnp.logical_and, known), x.shape) if known else None
