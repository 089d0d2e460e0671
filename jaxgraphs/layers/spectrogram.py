"""Sounds as spectrograms: which frequencies a signal has, window after window."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgraphs.errors import GraphValueError, ShapeMismatchError
from jaxgraphs.layers import initializers
from jaxgraphs.layers.base import Array, Layer, Weight, Weights, describes, positive, single_input
from jaxgraphs.layers.convolve import convolve
from jaxgraphs.layers.core import check_floating
from jaxgraphs.layers.norm import widen
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title

_MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")
_TINY = 1e-7
# The mel scale: m = 1127 ln(1 + f / 700 Hz).
_MEL_FACTOR, _MEL_BREAK = 1127.0, 700.0


@describes
class STFTSpectrogram(Layer):
    """The short-time Fourier transform of each channel of a signal, as a convolution whose kernels are learned.

    Args:
        mode: "stft" gives real and imaginary parts one after the other, "real", "imag" and "angle" one of these, "psd"
            the power, "magnitude" its root, "log" the logarithm of that.
        frame_length, frame_step, fft_length: in samples; the step is half a frame, and the transform as long as the
            next power of two, where they are left out.
        window: "hann", "hamming" or another name that SciPy knows, or as many numbers as a frame has.
        periodic: whether the window is one period of a periodic function.
        scaling: divides the window: "density" by its root of summed squares, "spectrum" by its sum, None by 1.
        padding: "valid" or "same".
        expand_dims: whether frequencies have an axis of their own.
        data_format: "channels_last" or "channels_first".
    Shapes: (batch, time, channels) -> (batch, frames, channels * frequencies), or with `expand_dims` (batch, frames,
        frequencies, channels); channels_first (batch, channels, time) -> (batch, channels * frequencies, frames), or
        (batch, channels, frames, frequencies); real_kernel and imag_kernel (frame_length, 1, fft_length // 2 + 1).
    Raises: GraphError when the input is no such signal, or an argument is senseless.

    >>> from jaxgraphs.symbolic.node import Input
    >>> STFTSpectrogram(frame_length=16)(Input((64, 2))).shape
    (None, 7, 18)
    """

    mode: str = "log"
    frame_length: int = 256
    frame_step: int | None = None
    fft_length: int | None = None
    window: Any = "hann"
    periodic: bool = False
    scaling: str | None = "density"
    padding: str = "valid"
    expand_dims: bool = False
    data_format: str | None = None

    def validate(self) -> None:
        positive(self, frame_length=self.frame_length, frame_step=self._step, fft_length=self._bins)
        known = {"mode": _MODES, "scaling": ("density", "spectrum", None), "padding": ("valid", "same")}
        known["data_format"] = ("channels_last", "channels_first", None)
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                raise GraphValueError(
                    f"{title(self)} does not know this {name}.",
                    received=repr(getattr(self, name)),
                    expected=", ".join(map(repr, choices)),
                )
        if self._step > self.frame_length or self._bins < self.frame_length:
            raise GraphValueError(
                f"{title(self)} needs frames that are no shorter than a step, and no longer than the transform.",
                received=f"frame_length={self.frame_length}, frame_step={self._step}, fft_length={self._bins}",
            )

    @property
    def _step(self) -> int:
        return self.frame_length // 2 if self.frame_step is None else self.frame_step

    @property
    def _bins(self) -> int:
        return 2 ** math.ceil(math.log2(max(self.frame_length, 1))) if self.fft_length is None else self.fft_length

    @property
    def _is_first(self) -> bool:
        return self.data_format == "channels_first"

    def check(self, *specs: Any, **_: Any) -> None:
        spec = single_input(self, specs)
        check_floating(self, spec)
        if spec.rank != 3:
            raise ShapeMismatchError(
                f"{title(self)} reads signals with channels.",
                expected="three axes, such as (batch, time, channels)",
                fix="layers.Reshape((-1, 1)) gives a signal its one channel",
            )

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        shape = (self.frame_length, 1, self._bins // 2 + 1)
        options = {"window": self.window, "scaling": self.scaling, "periodic": self.periodic}
        sides = [side for side in ("real", "imag") if self.mode not in ("real", "imag") or self.mode == side]
        return {f"{side}_kernel": Weight(shape, initializers.make("stft", side=side, **options)) for side in sides}

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        x = x if self._is_first else jnp.swapaxes(x, 1, 2)
        signals = x.reshape(-1, x.shape[2], 1)
        parts = {
            name: self._channels(
                convolve(signals, kernel.astype(x.dtype), strides=(self._step,), padding=self.padding, dilation=(1,)),
                x.shape[1],
            )
            for name, kernel in weights.items()
        }
        if len(parts) == 1:
            return self._laid_out(next(iter(parts.values())))
        real, imag = parts["real_kernel"], parts["imag_kernel"]
        if self.mode == "angle":
            return self._laid_out(jnp.arctan2(imag, real))
        if self.mode == "stft":
            return self._laid_out(jnp.concatenate([real, imag], axis=-1))
        return self._strength(jnp.square(real) + jnp.square(imag))

    def _strength(self, power: Array) -> Array:
        if self.mode == "psd":
            # What is in the upper half of the frequencies too, which a real signal has twice.
            return self._laid_out(power + jnp.pad(power[..., 1:-1], ((0, 0), (0, 0), (0, 0), (1, 1))))
        magnitude = self._laid_out(jnp.sqrt(jnp.maximum(power, _TINY)))
        return magnitude if self.mode == "magnitude" else jnp.log(jnp.maximum(magnitude, _TINY))

    def _channels(self, x: Array, channels: int) -> Array:
        """(batch * channels, frames, frequencies) as (batch, channels, frames, frequencies)."""
        return x.reshape(-1, channels, *x.shape[1:])

    def _laid_out(self, x: Array) -> Array:
        """(batch, channels, frames, frequencies) as the output is to be."""
        if self.expand_dims:
            return x if self._is_first else jnp.transpose(x, (0, 2, 3, 1))
        batch, channels, frames, bins = x.shape
        if self._is_first:
            return jnp.swapaxes(x, 2, 3).reshape(batch, channels * bins, frames)
        return jnp.swapaxes(x, 1, 2).reshape(batch, frames, channels * bins)


@describes
class MelSpectrogram(Layer):
    """The power of a signal in bands that are even on the mel scale, window after window, by default in decibels.

    Args:
        fft_length, sequence_stride, sequence_length: of the transform, the step and the window, in samples; the window
            is as long as the transform where it is left out.
        window: "hann", "hamming", or as many numbers as the window has.
        sampling_rate: samples in a second.
        num_mel_bins, min_freq, max_freq: how many bands, from and to which frequency in Hz; half the sampling rate.
        power_to_db: whether the output is 10 log10(power / ref_power), and no more than `top_db` below its largest.
        top_db, min_power, ref_power: in decibels, and powers.
        mag_exp: the exponent of the magnitude; 2 is power.
    Shapes: (batch, ..., samples) -> (batch, ..., num_mel_bins, frames).
    Raises: GraphError when the window is longer than the transform, or a size is not positive.

    >>> from jaxgraphs.symbolic.node import Input
    >>> MelSpectrogram(fft_length=64, sequence_stride=32, num_mel_bins=8)(Input((320,))).shape
    (None, 8, 11)
    """

    fft_length: int = 2048
    sequence_stride: int = 512
    sequence_length: int | None = None
    window: Any = "hann"
    sampling_rate: int = 16000
    num_mel_bins: int = 128
    min_freq: float = 20.0
    max_freq: float | None = None
    power_to_db: bool = True
    top_db: float = 80.0
    mag_exp: float = 2.0
    min_power: float = 1e-10
    ref_power: float = 1.0

    def validate(self) -> None:
        sizes = {name: getattr(self, name) for name in ("fft_length", "sequence_stride", "num_mel_bins")}
        positive(self, **sizes, sequence_length=self._window_length)
        if self._window_length > self.fft_length:
            raise GraphValueError(
                f"{title(self)} needs a transform that is no shorter than its window.",
                received=f"sequence_length={self.sequence_length}, fft_length={self.fft_length}",
            )

    @property
    def _window_length(self) -> int:
        return self.sequence_length or self.fft_length

    def check(self, *specs: Any, **_: Any) -> None:
        if single_input(self, specs).rank < 2:
            raise ShapeMismatchError(f"{title(self)} reads signals.", expected="(batch, samples)")

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        kept = x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.dtype("float32")
        signal = widen(x.astype(kept))
        bands = jnp.matmul(jnp.power(self._magnitude(signal), self.mag_exp), self._bands(signal.dtype))
        bands = self._decibels(bands) if self.power_to_db else bands
        return jnp.swapaxes(bands, -1, -2).astype(kept)

    def _magnitude(self, x: Array) -> Array:
        """(..., frames, frequencies) of frames that are centred, the signal reflected at its ends."""
        half, size = self.fft_length // 2, self.fft_length
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)], mode="reflect")
        before = (size - self._window_length) // 2
        window = initializers.window_of(self.window, self._window_length, True)
        window = jnp.asarray(np.pad(window, (before, size - self._window_length - before)), x.dtype)
        starts = self.sequence_stride * jnp.arange((x.shape[-1] - size) // self.sequence_stride + 1)
        places = jnp.expand_dims(starts, 1) + jnp.expand_dims(jnp.arange(size), 0)
        frames = jnp.take(x, places, axis=-1)
        return jnp.abs(jnp.fft.rfft(frames * window.reshape((1,) * (frames.ndim - 1) + (-1,))))

    def _bands(self, dtype: Any) -> Array:
        """(frequencies, bands): triangles over the frequencies, each from one centre of a band to the next but one."""
        top = self.sampling_rate / 2 if self.max_freq is None else self.max_freq
        mels = _mel(jnp.linspace(0.0, self.sampling_rate / 2, self.fft_length // 2 + 1, dtype=dtype)).reshape(-1, 1)
        ends = _mel(jnp.asarray([self.min_freq, top], dtype))
        edges = jnp.linspace(ends[0], ends[1], self.num_mel_bins + 2).reshape(1, -1)
        low, centre, high = edges[:, :-2], edges[:, 1:-1], edges[:, 2:]
        triangles = jnp.minimum((mels - low) / (centre - low), (high - mels) / (high - centre))
        # The constant part of the signal is in no band.
        return jnp.maximum(triangles, 0.0) * (jnp.arange(mels.shape[0]) > 0).astype(dtype).reshape(-1, 1)

    def _decibels(self, power: Array) -> Array:
        reference = 10.0 * math.log10(max(abs(self.ref_power), self.min_power))
        level = 10.0 * jnp.log10(jnp.maximum(power, self.min_power)) - reference
        return jnp.maximum(level, jnp.max(level) - self.top_db)


def _mel(frequencies: Array) -> Array:
    return _MEL_FACTOR * jnp.log(1.0 + frequencies / _MEL_BREAK)
