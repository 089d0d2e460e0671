"""A layer with its kernel divided by the kernel's largest singular value, in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxgraphs.errors import GraphTypeError, GraphValueError
from jaxgraphs.layers import initializers
from jaxgraphs.layers.base import Array, Layer, Weight, describes, merge_trees
from jaxgraphs.layers.cells import inner_weights
from jaxgraphs.layers.wrappers import Wrapper
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import Ran, Variables, title

KERNELS = ("kernel", "embedding")
VECTOR = "vector_u"


@describes
class SpectralNormalization(Wrapper):
    """In training, the layer with kernel / sigma for its kernel, where sigma is about the largest singular value.

    sigma = v W uᵀ, with W the kernel as a matrix of output columns; u is carried from step to step and brought nearer
    to the singular vector by v = W u / |W u|, u = Wᵀ v / |Wᵀ v|. No gradient goes through u and v. At inference the
    kernel is as it is, as in Keras on JAX; a kernel of zeros stays so.

    Args:
        layer: with a kernel or an embedding.
        power_iterations: how often u is brought nearer in a step.
    Shapes: as `layer`; beside its arrays, vector_u (1, outputs) in batch_stats.
    Raises: GraphError when `layer` has no kernel, or `power_iterations` is not positive.
    Reference: Miyato et al. (2018), arXiv 1802.05957.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> SpectralNormalization(Dense(3))(Input((8,))).shape
    (None, 3)
    """

    power_iterations: int = 1

    def validate(self) -> None:
        if not isinstance(self.layer, Layer):
            raise GraphTypeError(
                f"{title(self)} wraps a layer.",
                received=type(self.layer).__name__,
                fix="layers.SpectralNormalization(layers.Conv2D(64, 3))",
            )
        if not isinstance(self.power_iterations, int) or self.power_iterations < 1:
            raise GraphValueError(
                f"{title(self)} needs a positive number of iterations.",
                received=f"power_iterations={self.power_iterations!r}",
            )

    @property
    def held(self) -> Any:
        return self.layer

    def holding(self, layer: Any) -> Any:
        return self.replace(layer=layer)

    def check(self, *specs: Any, **kwargs: Any) -> None:
        self.layer.check(*specs, **kwargs)

    def weights(self, *specs: Any, **kwargs: Any) -> Mapping[str, Any]:
        weights = inner_weights(self.layer, self.layer.weights(*specs, **kwargs))
        kernel = weights[self._kernel(weights)]
        vector = Weight((1, kernel.shape[-1]), initializers.make("truncated_normal", stddev=0.02), "batch_stats")
        return {**weights, VECTOR: vector}

    def run_inner(self, variables: Variables, args: Any, kwargs: Mapping[str, Any], context: Context) -> Ran:
        state = dict(variables["batch_stats"])
        vector, params = state.pop(VECTOR), variables["params"]
        name, more = self._kernel(params), {}
        if context.train:
            vector, kernel = _normalised(params[name], vector, self.power_iterations)
            params, more = {**params, name: kernel}, {"batch_stats": {VECTOR: vector}}
        ran = self.layer.run({**variables, "params": params, "batch_stats": state}, args, kwargs, context)
        outputs = jax.tree.map(lambda y: y.astype(jax.tree.leaves(args)[0].dtype), ran.outputs)
        return Ran(outputs, ran.masks, merge_trees(dict(ran.state), more), ran.losses)

    def _kernel(self, weights: Mapping[str, Any]) -> str:
        name = next((name for name in KERNELS if name in weights), None)
        if name is None:
            raise GraphTypeError(
                f"{title(self)} normalises a kernel, and the layer has none.",
                received=title(self.layer),
                expected="Dense, a convolution or an Embedding",
            )
        return name


def _normalised(kernel: Array, vector: Array, iterations: int) -> tuple[Array, Array]:
    """The next vector, and the kernel divided by sigma."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    still = lax.stop_gradient(matrix)

    def nearer(_: Any, pair: tuple[Array, Array]) -> tuple[Array, Array]:
        v = _unit(pair[0] @ still.T)
        return _unit(v @ still), v

    start = vector.astype(matrix.dtype), jnp.zeros((1, matrix.shape[0]), matrix.dtype)
    u, v = lax.fori_loop(0, iterations, nearer, start)
    sigma = (v @ matrix @ u.T).reshape((1,) * kernel.ndim)
    is_empty = jnp.all(still == 0)
    sigma = jnp.where(is_empty, jnp.ones_like(sigma), sigma)
    return jnp.where(is_empty, vector, u.astype(vector.dtype)), kernel / sigma


def _unit(x: Array) -> Array:
    return x * lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(x)), jnp.asarray(1e-14, x.dtype)))
