"""What an event can hold: scalars, histograms, images and the session of hyper-parameters, as protocol messages."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxgraphs.errors import GraphTypeError, ShapeMismatchError
from jaxgraphs.training.callbacks.tensorboard.events import tensorboardx

BINS = 30


def scalar(tag: str, value: float) -> Any:
    """One number."""
    return _value(tag=tag, simple_value=float(value))


def histogram(tag: str, values: Any) -> Any | None:
    """How numbers are spread, in bins of one width; None where none of them is finite.

    Args:
        tag: its name.
        values: an array of any shape.
    """
    numbers = np.asarray(values).astype(np.float64).reshape(-1)
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        return None
    counts, edges = np.histogram(numbers, BINS)
    message = tensorboardx("proto.summary_pb2").HistogramProto(
        min=numbers.min(),
        max=numbers.max(),
        num=numbers.size,
        sum=numbers.sum(),
        sum_squares=float(numbers @ numbers),
        bucket_limit=edges[1:].tolist(),
        bucket=counts.tolist(),
    )
    return _value(tag=tag, histo=message)


def image(tag: str, pixels: Any) -> Any:
    """A picture: (height, width, channels); of one, three or four channels, bytes or numbers from 0 to 1."""
    pixels = as_bytes(pixels)
    height, width, channels = pixels.shape
    summary = tensorboardx("proto.summary_pb2").Summary
    message = summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=png(pixels))
    return _value(tag=tag, image=message)


def as_bytes(pixels: Any) -> np.ndarray:
    """A picture as bytes (height, width, channels).

    Raises: ShapeMismatchError when it has another form.
    """
    pixels = np.asarray(pixels)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3, 4):
        raise ShapeMismatchError(
            "A picture has a height, a width and channels.",
            received=str(pixels.shape),
            expected="(height, width), or (height, width, channels) of 1, 3 or 4 channels",
        )
    if pixels.dtype == np.uint8:
        return pixels
    return (np.nan_to_num(pixels.astype(np.float32)).clip(0, 1) * 255).round().astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """Bytes (height, width, channels) as a PNG file.

    Reference: W3C (2003), Portable Network Graphics Specification, second edition.
    """
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    # Each row begins with a 0: its bytes are as they are.
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def hyperparameters(given: Mapping[str, Any], metrics: Sequence[str]) -> list[Any]:
    """The values that tell TensorBoard what a run was made with, and which scalars to show beside that.

    Args:
        given: numbers, texts and booleans by name.
        metrics: the tags of the scalars.
    Raises: GraphTypeError when a hyper-parameter is none of these.
    """
    plugin, api = tensorboardx("proto.plugin_hparams_pb2"), tensorboardx("proto.api_pb2")
    start, infos = plugin.SessionStartInfo(), []
    for name, value in given.items():
        field, kind = _kind_of(name, value)
        setattr(start.hparams[name], field, value)
        infos.append(api.HParamInfo(name=name, type=api.DataType.Value(kind)))
    shown = [api.MetricInfo(name=api.MetricName(tag=tag)) for tag in metrics]
    experiment = api.Experiment(hparam_infos=infos, metric_infos=shown)
    return [
        _hparams("experiment", plugin.HParamsPluginData(experiment=experiment)),
        _hparams("session_start_info", plugin.HParamsPluginData(session_start_info=start)),
    ]


def session_end(seconds: float) -> Any:
    """The value that says that the run has ended."""
    plugin, api = tensorboardx("proto.plugin_hparams_pb2"), tensorboardx("proto.api_pb2")
    info = plugin.SessionEndInfo(status=api.Status.Value("STATUS_SUCCESS"), end_time_secs=seconds)
    return _hparams("session_end_info", plugin.HParamsPluginData(session_end_info=info))


def _kind_of(name: str, value: Any) -> tuple[str, str]:
    if isinstance(value, bool):
        return "bool_value", "DATA_TYPE_BOOL"
    if isinstance(value, (int, float)):
        return "number_value", "DATA_TYPE_FLOAT64"
    if isinstance(value, str):
        return "string_value", "DATA_TYPE_STRING"
    raise GraphTypeError(
        f"The hyper-parameter '{name}' cannot be shown.", received=repr(value), expected="a number, a text or a boolean"
    )


def _hparams(tag: str, content: Any) -> Any:
    metadata = tensorboardx("proto.summary_pb2").SummaryMetadata
    plugin = metadata.PluginData(plugin_name="hparams", content=content.SerializeToString())
    return _value(tag=f"_hparams_/{tag}", metadata=metadata(plugin_data=plugin))


def _value(**fields: Any) -> Any:
    return tensorboardx("proto.summary_pb2").Summary.Value(**fields)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
