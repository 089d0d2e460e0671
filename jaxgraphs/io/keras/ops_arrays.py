"""Operations on numbers and the arrangement of arrays, and linear algebra: `keras.ops` beyond the common ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy import linalg, special

from jaxgraphs.io.keras.ops_common import Function, axes, check_sizes, dtype_of, floating, lenient, whole
from jaxgraphs.layers.extremes import largest, smallest


def _reduced(function: Function) -> Function:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return function(jnp.asarray(x), axis=axes(axis), keepdims=keepdims)

    return lenient(reduce)


def _floating(function: Function) -> Function:
    return lenient(lambda x: function(floating(x)))


def _quantile(scale: float) -> Function:
    def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
        return jnp.quantile(floating(x), floating(q) / scale, axis=axes(axis), method=method, keepdims=keepdims)

    return lenient(quantile)


def _nan_quantile(scale: float) -> Function:
    def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
        return jnp.nanquantile(floating(x), floating(q) / scale, axis=axes(axis), method=method, keepdims=keepdims)

    return lenient(quantile)


def _average(x: Any, weights: Any = None, axis: Any = None) -> Any:
    return jnp.average(floating(x), axis=axes(axis), weights=None if weights is None else floating(weights))


def _divide_no_nan(x1: Any, x2: Any) -> Any:
    x1, x2 = floating(x1), floating(x2)
    return jnp.where(x2 == 0, 0.0, x1 / jnp.where(x2 == 0, 1.0, x2))


def _trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    return jnp.trapezoid(floating(y), None if x is None else jnp.asarray(x), dx, axis)


def _diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    check_sizes(n)
    return jnp.diff(a, n, axis)


def _linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0
) -> Any:
    check_sizes(num)
    return jnp.linspace(start, stop, num, endpoint, retstep, dtype_of(dtype, jnp.float32), axis)


def _stacked(function: Function) -> Function:
    return lenient(lambda xs: function(list(xs)))


def _parts(function: Function) -> Function:
    def split(x: Any, indices_or_sections: Any) -> Any:
        parts = indices_or_sections
        return list(function(x, parts if isinstance(parts, int) else tuple(parts)))

    return split


def _array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    parts = indices_or_sections
    return list(jnp.array_split(x, parts if isinstance(parts, int) else tuple(parts), axis))


def _meshgrid(*x: Any, indexing: str = "xy") -> Any:
    return list(jnp.meshgrid(*x, indexing=indexing))


def _full(fill_value: Any, shape: Any, dtype: Any = None) -> Any:
    check_sizes(*shape)
    return jnp.full(tuple(shape), fill_value, dtype_of(dtype, jnp.float32))


def _like(function: Function) -> Function:
    return lambda x, dtype=None: function(x, dtype=dtype_of(dtype, None))


def _full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    return jnp.full_like(x, fill_value, dtype=dtype_of(dtype, None))


def _summed(function: Function) -> Function:
    def along(x: Any, axis: Any = None, dtype: Any = None) -> Any:
        return function(jnp.asarray(x), axis=axis, dtype=dtype_of(dtype, None))

    return along


def _prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    return jnp.prod(jnp.asarray(x), axis=axes(axis), keepdims=keepdims, dtype=dtype_of(dtype, None))


def _extreme(function: Function, with_initial: Function) -> Function:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
        x = jnp.asarray(x)
        if initial is None:
            return function(x, axes(axis), keepdims=keepdims)
        return with_initial(x, axis=axes(axis), keepdims=keepdims, initial=jnp.asarray(initial, x.dtype))

    return reduce


def _saturate_cast(x: Any, dtype: Any) -> Any:
    wanted, x = dtype_of(dtype, jnp.float32), jnp.asarray(x)
    info = jnp.finfo(wanted) if jnp.issubdtype(wanted, jnp.floating) else jnp.iinfo(wanted)
    return jnp.clip(x, float(info.min), float(info.max)).astype(wanted)


def _to_tensor(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None) -> Any:
    return jnp.asarray(x) if dtype is None else jnp.asarray(x).astype(dtype_of(dtype, None))


def _slice(inputs: Any, start_indices: Any, shape: Any) -> Any:
    check_sizes(*shape)
    sizes = [whole_size if size == -1 else size for size, whole_size in zip(shape, inputs.shape, strict=True)]
    return lax.dynamic_slice(inputs, tuple(start_indices), sizes)


def _slice_update(inputs: Any, start_indices: Any, updates: Any) -> Any:
    return lax.dynamic_update_slice(inputs, jnp.asarray(updates, inputs.dtype), tuple(start_indices))


def _scatter(indices: Any, values: Any, shape: Any) -> Any:
    check_sizes(*shape)
    return jnp.zeros(tuple(shape), values.dtype).at[_places(indices)].add(values)


def _scatter_update(inputs: Any, indices: Any, updates: Any, reduction: Any = None) -> Any:
    at, updates = inputs.at[_places(indices)], jnp.asarray(updates, inputs.dtype)
    return {None: at.set, "add": at.add, "max": at.max, "min": at.min, "mul": at.mul}[reduction](updates)


def _places(indices: Any) -> tuple[Any, ...]:
    return tuple(jnp.moveaxis(jnp.asarray(indices), -1, 0))


def _segment(function: Function) -> Function:
    def reduce(data: Any, segment_ids: Any, num_segments: int, sorted: bool = False) -> Any:
        check_sizes(num_segments)
        return function(data, segment_ids, num_segments, indices_are_sorted=sorted)

    return reduce


def _cholesky(x: Any, upper: bool = False) -> Any:
    lower = jnp.linalg.cholesky(floating(x))
    return jnp.swapaxes(lower, -1, -2) if upper else lower


def _cholesky_inverse(x: Any, upper: bool = False) -> Any:
    return jnp.linalg.inv(jnp.swapaxes(x, -1, -2) @ x if upper else x @ jnp.swapaxes(x, -1, -2))


def _solve(a: Any, b: Any) -> Any:
    return jnp.linalg.solve(a, b[..., None])[..., 0] if b.ndim == a.ndim - 1 else jnp.linalg.solve(a, b)


def _solve_triangular(a: Any, b: Any, lower: bool = False) -> Any:
    if b.ndim == a.ndim - 1:
        return linalg.solve_triangular(a, b[..., None], lower=lower)[..., 0]
    return linalg.solve_triangular(a, b, lower=lower)


def _svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    found = jnp.linalg.svd(x, full_matrices, compute_uv)
    return list(found) if compute_uv else found


def _cdist(x: Any, y: Any) -> Any:
    squares = jnp.sum(jnp.square(x[..., :, None, :] - y[..., None, :, :]), axis=-1)
    # The root has no slope at 0.
    return jnp.where(squares == 0, 0.0, jnp.sqrt(jnp.where(squares == 0, 1.0, squares)))


def _pairs(function: Function) -> Function:
    """A Fourier transform whose complex numbers are pairs of real and imaginary parts."""

    def call(x: Any) -> Any:
        found = function(lax.complex(floating(x[0]), floating(x[1])))
        return [found.real, found.imag]

    return call


def _rfft(x: Any, fft_length: int | None = None) -> Any:
    found = jnp.fft.rfft(floating(x), fft_length)
    return [found.real, found.imag]


def _irfft(x: Any, fft_length: int | None = None) -> Any:
    return jnp.fft.irfft(lax.complex(floating(x[0]), floating(x[1])), fft_length)


def _sequences(x: Any, sequence_length: int, sequence_stride: int) -> Any:
    check_sizes(sequence_length, sequence_stride)
    count = (x.shape[-1] - sequence_length) // sequence_stride + 1
    starts = jnp.arange(count)[:, None] * sequence_stride
    return jnp.take(x, starts + jnp.arange(sequence_length)[None, :], axis=-1)


TWO: Mapping[str, Function] = {
    **{"Fmax": jnp.fmax, "Fmin": jnp.fmin, "Fmod": jnp.fmod, "Heaviside": jnp.heaviside, "Gcd": jnp.gcd},
    **{"Lcm": jnp.lcm, "Ldexp": jnp.ldexp, "Nextafter": jnp.nextafter, "Logaddexp2": jnp.logaddexp2},
    **{"BitwiseAnd": jnp.bitwise_and, "BitwiseOr": jnp.bitwise_or, "BitwiseXor": jnp.bitwise_xor},
    **{"BitwiseLeftShift": jnp.left_shift, "LeftShift": jnp.left_shift, "BitwiseRightShift": jnp.right_shift},
    **{"RightShift": jnp.right_shift, "Inner": jnp.inner, "Vdot": jnp.vdot, "Kron": jnp.kron, "Cross": jnp.cross},
    **{"DivideNoNan": _divide_no_nan, "CDist": _cdist, "Isclose": jnp.isclose, "AllClose": jnp.allclose},
    **{"IsIn": jnp.isin, "Append": jnp.append, "Correlate": jnp.correlate},
}
"""The functions of two tensors among them."""
_ONE: Mapping[str, Function] = {
    **{"Fabs": jnp.abs, "BitwiseInvert": jnp.bitwise_not, "BitwiseNot": jnp.bitwise_not, "Conj": jnp.conj},
    **{"Imag": jnp.imag, "Angle": jnp.angle, "Isneginf": jnp.isneginf, "Isposinf": jnp.isposinf},
    **{"Isreal": jnp.isreal, "Signbit": jnp.signbit, "Copy": jnp.asarray, "Array": jnp.asarray},
    **{"Fliplr": jnp.fliplr, "Flipud": jnp.flipud, "Det": jnp.linalg.det, "Inv": jnp.linalg.inv},
}
_FLOATING: Mapping[str, Function] = {
    **{"Cbrt": jnp.cbrt, "Exp2": jnp.exp2, "Deg2rad": jnp.deg2rad, "Rad2deg": jnp.rad2deg, "Sinc": jnp.sinc},
    **{"I0": jnp.i0, "Erfc": special.erfc, "Corrcoef": jnp.corrcoef},
}
_NAN: Mapping[str, Function] = {
    **{"Nanmax": jnp.nanmax, "Nanmin": jnp.nanmin, "Nansum": jnp.nansum, "Nanprod": jnp.nanprod},
    **{"Nanmean": jnp.nanmean, "Nanmedian": jnp.nanmedian, "Nanstd": jnp.nanstd, "Nanvar": jnp.nanvar},
    **{"Ptp": jnp.ptp},
}

ARRAYS: Mapping[str, Function] = {
    **{name: lenient(function) for name, function in (TWO | _ONE).items()},
    **{name: _floating(function) for name, function in _FLOATING.items()},
    **{name: _reduced(function) for name, function in _NAN.items()},
    **{name: _extreme(largest, jnp.max) for name in ("Max", "Amax")},
    **{name: _extreme(smallest, jnp.min) for name in ("Min", "Amin")},
    "Prod": _prod,
    "Cumsum": _summed(jnp.cumsum),
    "Cumprod": _summed(jnp.cumprod),
    "Nancumsum": _summed(jnp.nancumsum),
    "Nancumprod": _summed(jnp.nancumprod),
    "Nanargmax": whole(jnp.nanargmax),
    "Nanargmin": whole(jnp.nanargmin),
    "CountNonzero": whole(lambda x, axis=None: jnp.count_nonzero(x, axes(axis))),
    "Argpartition": whole(jnp.argpartition),
    "SearchSorted": whole(lambda sorted_sequence, values, side="left": jnp.searchsorted(sorted_sequence, values, side)),
    "Digitize": whole(lambda x, bins: jnp.digitize(x, jnp.asarray(bins))),
    "Percentile": _quantile(100.0),
    "Quantile": _quantile(1.0),
    "Nanpercentile": _nan_quantile(100.0),
    "Nanquantile": _nan_quantile(1.0),
    "Average": lenient(_average),
    "NanToNum": lambda x, nan=0.0, posinf=None, neginf=None: jnp.nan_to_num(x, True, nan, posinf, neginf),
    "Trapezoid": lenient(_trapezoid),
    "Trace": lambda x, offset=0, axis1=0, axis2=1: jnp.trace(x, offset, axis1, axis2),
    "Diag": lambda x, k=0: jnp.diag(x, k),
    "Diagflat": lambda x, k=0: jnp.diagflat(x, k),
    "Diff": _diff,
    "Rot90": lambda array, k=1, axes=(0, 1): jnp.rot90(array, k, tuple(axes)),
    "Vander": lenient(lambda x, N=None, increasing=False: jnp.vander(x, N, increasing)),
    "Linspace": lenient(_linspace),
    "Hstack": _stacked(jnp.hstack),
    "Vstack": _stacked(jnp.vstack),
    "Dstack": _stacked(jnp.dstack),
    "Hsplit": _parts(jnp.hsplit),
    "Vsplit": _parts(jnp.vsplit),
    "Dsplit": _parts(jnp.dsplit),
    "ArraySplit": _array_split,
    "Meshgrid": _meshgrid,
    "Select": lenient(lambda condlist, choicelist, default=0: jnp.select(list(condlist), list(choicelist), default)),
    "Full": _full,
    "FullLike": _full_like,
    "ZerosLike": _like(jnp.zeros_like),
    "OnesLike": _like(jnp.ones_like),
    "EmptyLike": _like(jnp.zeros_like),
    "SaturateCast": _saturate_cast,
    "ConvertToTensor": _to_tensor,
    "Slice": _slice,
    "SliceUpdate": _slice_update,
    "Scatter": _scatter,
    "ScatterUpdate": _scatter_update,
    "SegmentSum": _segment(jax.ops.segment_sum),
    "SegmentMax": _segment(jax.ops.segment_max),
    "SegmentMin": _segment(jax.ops.segment_min),
    "SegmentProd": _segment(jax.ops.segment_prod),
    "Cholesky": _cholesky,
    "CholeskyInverse": _cholesky_inverse,
    "Solve": _solve,
    "SolveTriangular": _solve_triangular,
    "SVD": _svd,
    "Qr": lambda x, mode="reduced": list(jnp.linalg.qr(x, mode)),
    "Eigh": lambda x: list(jnp.linalg.eigh(x)),
    "Slogdet": lambda x: list(jnp.linalg.slogdet(x)),
    "Logdet": lambda x: jnp.linalg.slogdet(x)[1],
    "Pinv": lambda x, rcond=None: jnp.linalg.pinv(x, rcond),
    "MatrixRank": whole(lambda x, tol=None: jnp.linalg.matrix_rank(x, tol)),
    "FFT": _pairs(jnp.fft.fft),
    "FFT2": _pairs(jnp.fft.fft2),
    "IFFT2": _pairs(jnp.fft.ifft2),
    "RFFT": _rfft,
    "IRFFT": _irfft,
    "ExtractSequences": _sequences,
    "ViewAsComplex": lambda x: lax.complex(x[..., 0], x[..., 1]),
    "ViewAsReal": lambda x: jnp.stack([x.real, x.imag], -1),
    "Size": lambda x: jnp.asarray(x.size, jnp.int32),
    "Ndim": lambda x: jnp.asarray(x.ndim, jnp.int32),
}
"""Class of `keras.ops` -> function of arrays."""

TYPED = (
    *("Prod", "Cumsum", "Cumprod", "Nancumsum", "Nancumprod", "Linspace", "Full", "FullLike", "ZerosLike", "OnesLike"),
    *("EmptyLike", "SaturateCast", "ConvertToTensor"),
)
"""The operations among them whose dtype is an argument."""
