"""Spectrograms, with arguments."""

import keras

from jaxgraphs.layers import spectrogram as ours
from tests.layers.case import Case

BOTH = ("params/real_kernel", "params/imag_kernel")
WIDE = {"expand_dims": True, "padding": "same"}
FIRST = {"data_format": "channels_first", "window": "hamming", "periodic": True}


def short_time(mode, weights=BOTH, shape=(2, 40, 3), **options):
    """STFTSpectrogram, of Keras' kernels."""
    return Case(
        f"stft_{mode}_{'_'.join(options)}",
        lambda: ours.STFTSpectrogram(mode, 16, **options),
        lambda: keras.layers.STFTSpectrogram(mode, 16, **options),
        [shape],
        weights,
    )


def mel(name, **options):
    """MelSpectrogram of 800 samples in a second."""
    given = {"sequence_stride": 32, "num_mel_bins": 8, "sampling_rate": 800, **options}
    return Case(
        f"mel_{name}",
        lambda: ours.MelSpectrogram(64, **given),
        lambda: keras.layers.MelSpectrogram(64, **given),
        [(2, 400)],
    )


CASES = [
    short_time("magnitude", frame_step=6, scaling="spectrum"),
    short_time("log", **WIDE),
    short_time("psd", scaling=None, **WIDE),
    short_time("stft", shape=(2, 3, 40), **FIRST),
    short_time("magnitude", shape=(2, 3, 40), expand_dims=True, **FIRST),
    short_time("real", BOTH[:1], window=None),
    short_time("imag", BOTH[1:]),
    mel("decibels"),
    mel("magnitude", power_to_db=False, mag_exp=1.0, sequence_length=48, max_freq=300, window="hamming"),
]
