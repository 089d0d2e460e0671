"""First values of weights under Keras' names and with Keras' defaults."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.errors import GraphValueError, did_you_mean

Array = jax.Array
Init = Callable[..., Array]
_INITIALIZERS = jax.nn.initializers


@dataclasses.dataclass(frozen=True)
class Initializer:
    """A named way to fill an array: ``initializer(key, shape, dtype)``.

    Args:
        name: as Keras spells it in snake case.
        config: its arguments by name.
        function: (key, shape, dtype) -> array.
    """

    name: str
    config: Mapping[str, Any]
    function: Init = dataclasses.field(repr=False, compare=False)

    def __call__(self, key: Array, shape: Any, dtype: Any = jnp.float32) -> Array:
        """The first values, of `shape` and `dtype`."""
        return self.function(key, tuple(shape), dtype)

    def __hash__(self) -> int:
        return hash((self.name, repr(self.config)))


def make(name: str, **config: Any) -> Initializer:
    """An initializer by Keras' snake-case name with arguments.

    >>> make("constant", value=2.0)(jax.random.key(0), (2,)).tolist()
    [2.0, 2.0]
    """
    if name not in _BUILDERS:
        raise GraphValueError(
            "There is no such initializer.", received=repr(name), expected=did_you_mean(name, list(_BUILDERS))
        )
    try:
        return Initializer(name, config, _BUILDERS[name](**config))
    except TypeError as error:
        raise GraphValueError(
            f"The initializer {name!r} does not take these arguments.", received=repr(config)
        ) from error


def get(initializer: Any) -> Init | None:
    """The initializer of a Keras name, ``glorot_uniform`` or ``GlorotUniform``; a function is itself, None is None.

    Raises: GraphValueError for a name that is not known.
    """
    if initializer is None or callable(initializer):
        return cast(Any, initializer)
    if isinstance(initializer, (int, float)):
        return make("constant", value=float(initializer))
    if not isinstance(initializer, str):
        raise GraphValueError("An initializer is a name or a function.", received=repr(initializer))
    return make(_CLASS_NAMES.get(initializer, initializer))


def _variance_scaling(
    scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal", **_: Any
) -> Init:
    distribution = {"untruncated_normal": "normal"}.get(distribution, distribution)
    is_known = mode in ("fan_in", "fan_out", "fan_avg") and distribution in ("normal", "truncated_normal", "uniform")
    if not is_known or isinstance(scale, bool) or not isinstance(scale, (int, float)) or not scale > 0:
        raise GraphValueError(
            "VarianceScaling has no such way to draw.",
            received=f"scale={scale!r}, mode={mode!r}, distribution={distribution!r}",
            expected="a positive scale; 'fan_in', 'fan_out' or 'fan_avg'; 'normal', 'truncated_normal' or 'uniform'",
        )

    def init(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        # Keras takes the size of a vector for both fans; JAX asks for two axes.
        wide = shape if len(shape) > 1 else (*shape, *shape)
        if len(shape) > 1:
            return _INITIALIZERS.variance_scaling(scale, mode, distribution)(key, wide, dtype)  # pyright: ignore
        fan = float(shape[0]) if shape else 1.0
        if distribution == "uniform":
            limit = (3.0 * scale / fan) ** 0.5
            return jax.random.uniform(key, shape, dtype, -limit, limit)
        deviation = (scale / fan) ** 0.5
        if distribution == "normal":
            return deviation * jax.random.normal(key, shape, dtype)
        return deviation / 0.87962566103423978 * jax.random.truncated_normal(key, -2, 2, shape, dtype)

    return init


def _random_normal(mean: float = 0.0, stddev: float = 0.05, **_: Any) -> Init:
    return lambda key, shape, dtype: mean + stddev * jax.random.normal(key, shape, dtype)


def _truncated_normal(mean: float = 0.0, stddev: float = 0.05, **_: Any) -> Init:
    return lambda key, shape, dtype: mean + stddev * jax.random.truncated_normal(key, -2, 2, shape, dtype)


def _random_uniform(minval: float = -0.05, maxval: float = 0.05, **_: Any) -> Init:
    return lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, minval, maxval)


def _constant(value: Any = 0.0) -> Init:
    return lambda key, shape, dtype: jnp.broadcast_to(jnp.asarray(value, dtype), shape)


def _orthogonal(gain: float = 1.0, **_: Any) -> Init:
    draw = _INITIALIZERS.orthogonal(gain)

    def init(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        # LAPACK has no half precision.
        wide = jnp.float32 if jnp.dtype(dtype).itemsize < 4 else dtype
        return draw(key, shape, wide).astype(dtype)

    return init


def _identity(gain: float = 1.0) -> Init:
    return lambda key, shape, dtype: gain * jnp.eye(*shape, dtype=dtype)


def _stft(side: str = "real", window: Any = "hann", scaling: Any = "density", periodic: bool = False) -> Init:
    """Kernels (window, 1, frequencies) of a short-time Fourier transform: cosines, or sines, under a window."""
    wave = {"real": jnp.cos, "imag": jnp.sin}[side]

    def init(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        length, _, bins = shape
        shade = jnp.asarray(window_of(window, length, periodic), dtype).reshape(-1, 1, 1)
        sums = {"density": lambda: jnp.sqrt(jnp.sum(jnp.square(shade))), "spectrum": lambda: jnp.sum(jnp.abs(shade))}
        scale = sums[scaling]() if scaling is not None and window is not None else jnp.ones((), dtype)
        frequency = jnp.arange(bins, dtype=dtype).reshape(1, 1, -1) / ((bins - 1) * 2)
        turns = -2.0 * jnp.arange(length, dtype=dtype).reshape(-1, 1, 1) * frequency
        return wave(turns * math.pi) * shade / scale

    return init


def window_of(window: Any, length: int, periodic: bool) -> np.ndarray:
    """A window by one of SciPy's names, as the numbers given, or, for None, one that leaves a signal as it is.

    Raises: GraphValueError when there is no such window, or it has another length.
    """
    from scipy import signal

    try:
        given = signal.get_window(window, length, periodic) if isinstance(window, str) else window
    except ValueError as error:
        raise GraphValueError("There is no such window.", received=repr(window), fix="'hann' or 'hamming'") from error
    shade = np.ones(length) if given is None else np.asarray(given)
    if shade.shape != (length,):
        raise GraphValueError("A window has another length.", received=str(shade.shape), expected=f"({length},)")
    return shade


def _scaled(scale: float, mode: str, distribution: str) -> Callable[..., Init]:
    return lambda **_: _variance_scaling(scale, mode, distribution)


_BUILDERS: Mapping[str, Callable[..., Init]] = {
    "zeros": lambda: _constant(0.0),
    "ones": lambda: _constant(1.0),
    "constant": _constant,
    "random_normal": _random_normal,
    "random_uniform": _random_uniform,
    "truncated_normal": _truncated_normal,
    "variance_scaling": _variance_scaling,
    "glorot_uniform": _scaled(1.0, "fan_avg", "uniform"),
    "glorot_normal": _scaled(1.0, "fan_avg", "truncated_normal"),
    "he_uniform": _scaled(2.0, "fan_in", "uniform"),
    "he_normal": _scaled(2.0, "fan_in", "truncated_normal"),
    "lecun_uniform": _scaled(1.0, "fan_in", "uniform"),
    "lecun_normal": _scaled(1.0, "fan_in", "truncated_normal"),
    "orthogonal": _orthogonal,
    "identity": _identity,
    "stft": _stft,
}

_CLASS_NAMES: Mapping[str, str] = {
    **{"".join(word.capitalize() for word in name.split("_")): name for name in _BUILDERS},
    **{"zero": "zeros", "one": "ones", "normal": "random_normal", "uniform": "random_uniform"},
    **{"OrthogonalInitializer": "orthogonal", "IdentityInitializer": "identity", "STFT": "stft"},
}

_EVEN: Mapping[str, tuple[float, str]] = {
    "glorot_uniform": (1.0, "fan_avg"),
    "he_uniform": (2.0, "fan_in"),
    "lecun_uniform": (1.0, "fan_in"),
}


def range_of(initializer: Initializer, shape: tuple[int, ...]) -> tuple[float, float, float] | None:
    """(low, high, scale) of what draws evenly from low to high and multiplies by scale; None for others.

    >>> range_of(make("random_uniform"), (2, 3)), range_of(make("zeros"), (2, 3))
    ((-0.05, 0.05, 1.0), None)
    """
    if initializer.name == "random_uniform":
        return initializer.config.get("minval", -0.05), initializer.config.get("maxval", 0.05), 1.0
    if initializer.name not in _EVEN or len(shape) < 2:
        return None
    scale, mode = _EVEN[initializer.name]
    window = math.prod(shape[:-2])
    fans = {"fan_in": shape[-2] * window, "fan_avg": (shape[-2] * window + shape[-1] * window) / 2}
    # In float32 from the variance on, as JAX has it.
    return -1.0, 1.0, float(np.sqrt(np.float32(3.0) * np.float32(scale / fans[mode])))


def constant_of(initializer: Initializer) -> float | None:
    """The one number that `initializer` fills arrays with; None where there is none.

    >>> constant_of(make("ones")), constant_of(make("glorot_uniform"))
    (1.0, None)
    """
    value: Any = {"zeros": 0.0, "ones": 1.0}.get(initializer.name, initializer.config.get("value", 0.0))
    is_one = initializer.name in ("zeros", "ones", "constant") and isinstance(value, (int, float))
    return float(value) if is_one else None
