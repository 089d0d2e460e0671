"""A model in one file: bit for bit there and back, whole or not at all, and files that are no model."""

import contextlib
import json
import os
from pathlib import Path
from textwrap import dedent

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import strategies

from jaxgraphs import layers
from jaxgraphs.errors import GraphError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.io import archive
from jaxgraphs.io.archive import escape, load, save, unescape
from jaxgraphs.symbolic.node import Input

KEY = jax.random.key(0)
SAMPLE = Path(__file__).parent / "samples" / "version_1.safetensors"


def small():
    x = Input((4,), name="x")
    return Graph(x, layers.BatchNormalization(name="norm")(layers.Dense(3, name="dense")(x)), name="small")


GRAPH = small()
VARIABLES = GRAPH.init(KEY)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_another_precision_and_a_mesh(path):  # oracle: the arrays saved, rounded; where they lie
    save(path, GRAPH, VARIABLES)
    half = load(path, dtype="bfloat16")[1]
    kernel = VARIABLES["params"]["dense"]["kernel"]
    np.testing.assert_array_equal(half["params"]["dense"]["kernel"], kernel.astype(jnp.bfloat16))
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:2]), ("data",))

    def rows(where, shape):
        split = where[-1] == "kernel" and shape[0] % 2 == 0
        return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data" if split else None))

    spread = load(path, sharding=rows)[1]["params"]["dense"]
    assert [shard.data.shape for shard in spread["kernel"].addressable_shards] == [(4 // len(mesh.devices), 3)] * len(
        mesh.devices
    )
    np.testing.assert_array_equal(spread["kernel"], kernel)
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    assert load(path, sharding=everywhere)[1]["batch_stats"]["norm"]["mean"].sharding == everywhere
    with pytest.raises(GraphError, match="floating"):
        load(path, dtype="int32")


def test_there_and_back(path):  # oracle: the graph and the variables themselves
    save(path, GRAPH, VARIABLES)
    graph, variables = load(path)
    assert graph.to_json() == GRAPH.to_json()
    assert jax.tree.structure(variables) == jax.tree.structure(VARIABLES)
    jax.tree.map(np.testing.assert_array_equal, variables, VARIABLES)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("dtype", archive._CODES)
def test_every_dtype_keeps_its_bits(path, dtype):  # oracle: the bytes
    raw = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 256, 48).astype(np.uint8)
    array = raw.view(jnp.dtype(dtype))[: 6 if dtype == "complex64" else None].reshape(2, 3, -1)
    extra = {"deep": {"array": array, "scalar": array[0, 0, 0], "empty": array[:0], "columns": array[:, :, :1].T}}
    save(path, GRAPH, {**VARIABLES, "more": extra})
    _, variables = load(path)
    for name, expected in extra["deep"].items():
        actual = np.asarray(variables["more"]["deep"][name])
        assert actual.dtype == expected.dtype
        assert actual.shape == np.shape(expected)
        assert actual.tobytes() == np.ascontiguousarray(expected).tobytes()


def test_another_reader(path):  # oracle: the safetensors package
    save(path, GRAPH, VARIABLES)
    arrays = safetensors.numpy.load_file(path)
    assert set(arrays) == {f"params/{n}" for n in ("dense/kernel", "dense/bias", "norm/scale", "norm/bias")} | {
        "batch_stats/norm/mean",
        "batch_stats/norm/var",
    }
    np.testing.assert_array_equal(arrays["params/dense/kernel"], VARIABLES["params"]["dense"]["kernel"])


@pytest.mark.parametrize("name", ["a/b", "~", "~1", "a~/0~b", "__metadata__", "ß ☃", "'\"\\", "."])
def test_any_name_of_a_layer(path, name):  # oracle: the variables themselves
    x = Input((2,))
    graph = Graph(x, layers.Dense(2, name=name)(x))
    variables = graph.init(KEY)
    save(path, graph, variables)
    assert list(load(path)[1]["params"]) == [name]
    assert unescape(escape((name, name))) == (name, name)


def test_frozen_layers_and_nested_graphs(path):  # oracle: the graph itself
    inner = Sequential([Input((4,)), layers.Dense(4, trainable=False)], name="inner")
    x = Input((4,))
    graph = Graph(x, inner(inner(x)))
    variables = graph.init(KEY)
    save(path, graph, variables)
    again, arrays = load(path)
    data = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(again.apply(arrays, data), graph.apply(variables, data))
    assert not again["inner"].layers[0].trainable


def test_a_graph_without_arrays(path):  # oracle: the closed form
    x = Input((2,))
    save(path, Graph(x, x * 2.0), {})
    graph, variables = load(path)
    np.testing.assert_array_equal(graph.apply(variables, np.ones((1, 2), np.float32)), np.full((1, 2), 2.0))


def test_extra(path):  # oracle: what was given
    extra = {"words": ["a", "ß"], "sizes": [1, 2.5, None]}
    save(path, GRAPH, VARIABLES, extra=extra)
    assert load(path, with_extra=True)[2] == extra
    save(path, GRAPH, VARIABLES)
    assert load(path, with_extra=True)[2] is None


def test_the_stored_sample_of_version_1_keeps_loading():  # oracle: outputs stored beside the arrays when it was written
    graph, variables, extra = load(SAMPLE, with_extra=True)
    outputs = graph.apply(variables, [np.array(extra["text"], np.int32), np.array(extra["image"], np.float32)])
    np.testing.assert_allclose(outputs["answer"], extra["answer"], rtol=1e-5)
    assert graph.name == "sample"
    assert variables["batch_stats"]["norm"]["mean"].dtype == np.float32
    assert variables["params"]["half"]["kernel"].dtype == jnp.bfloat16


def test_nothing_half_written_is_left(path, monkeypatch):  # oracle: the file from before
    save(path, GRAPH, VARIABLES)
    before = path.read_bytes()
    monkeypatch.setattr(archive.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(GraphError, match=r"The file cannot be written: No space left on device\."):
        save(path, GRAPH, VARIABLES)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


REFUSED = [
    (
        lambda path: save(path, GRAPH, {"params": {}}),
        """\
        The variables lack 6 of the arrays of Graph 'small'.
          received: collections ['params']
          expected: params/dense/kernel: (4, 3) float32
                    params/dense/bias: (3,) float32
                    params/norm/scale: (3,) float32
                    params/norm/bias: (3,) float32
                    batch_stats/norm/mean: (3,) float32
                    batch_stats/norm/var: (3,) float32
          fix:      graph.init(key) makes variables for this graph""",
    ),
    (
        lambda path: save(path, GRAPH, {**VARIABLES, "rng": {"key": KEY}}),
        """\
        A variable cannot be written to the file.
          where:    rng/key
          received: key<fry>
          expected: an array of bool, uint8, int8, uint16, int16, uint32, int32, uint64, int64, float16, bfloat16, \
float32, float64, complex64""",
    ),
    (
        lambda path: save(path, GRAPH, VARIABLES, extra={1, 2}),
        """\
        The extra has no form in JSON.
          received: Object of type set is not JSON serializable
          expected: numbers, texts, None, and lists and dicts of these""",
    ),
]


@pytest.mark.parametrize(("call", "text"), REFUSED)
def test_what_is_not_saved(path, call, text):  # oracle: the message, word for word; and no file
    with pytest.raises(GraphError) as caught:
        call(path)
    assert str(caught.value) == dedent(text)
    assert not os.listdir(path.parent)


def test_no_such_file(path):  # oracle: the message
    with pytest.raises(GraphError, match=r"The file cannot be read: No such file or directory\."):
        load(path)
    with pytest.raises(GraphError, match=r"The file cannot be written: No such file or directory\."):
        save(path.parent / "missing" / "model.safetensors", GRAPH, VARIABLES)


def file_with(change, arrays=b"", keep=True):
    """The bytes of a model's file with its header changed and bytes put in place of, or after, its arrays."""
    whole = b"".join(archive._pieces(dict(archive._leaves((), VARIABLES)), METADATA))
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    header = change(header) or header
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + (whole[8 + length :] if keep else b"") + arrays


METADATA = {"format": "jaxgraphs", "version": "1", "graph": GRAPH.to_json(), "extra": "null"}
WHOLE = file_with(lambda header: None)
KERNEL = "params/dense/kernel"
HOSTILE = {
    "empty": b"",
    "seven bytes": WHOLE[:7],
    "a header longer than the file": (2**60).to_bytes(8, "little") + WHOLE[8:],
    "cut short": WHOLE[:-1],
    "one byte more": WHOLE + b"\0",
    "a pickle": b"\x80\x04\x95" + WHOLE,
    "a list": file_with(lambda header: b"[]"),
    "deep": file_with(lambda header: b"[" * 10**6),
    "no metadata": file_with(lambda header: header.pop("__metadata__") and header),
    "another format": file_with(lambda header: header["__metadata__"].update(format="pt")),
    "a newer version": file_with(lambda header: header["__metadata__"].update(version="2")),
    "no graph": file_with(lambda header: header["__metadata__"].update(graph="{}")),
    "an extra that is none": file_with(lambda header: header["__metadata__"].update(extra="{")),
    "an array missing": file_with(lambda header: header.pop(KERNEL) and header),
    "an array of another shape": file_with(lambda header: header[KERNEL].update(shape=[3, 4])),
    "a shape without end": file_with(lambda header: header[KERNEL].update(shape=[2**40, 2**40])),
    "a negative size": file_with(lambda header: header[KERNEL].update(shape=[-4, -3])),
    "an unknown dtype": file_with(lambda header: header[KERNEL].update(dtype="O")),
    "offsets beyond the end": file_with(lambda header: header[KERNEL].update(data_offsets=[10**9, 10**9 + 48])),
    "offsets backwards": file_with(lambda header: header[KERNEL].update(data_offsets=[48, 0])),
    "arrays that overlap": file_with(lambda header: header.update(other=header[KERNEL])),
    "a name twice": file_with(lambda header: json.dumps(header).replace("dense/bias", "dense/kernel").encode()),
    "an array in a layer's place": file_with(
        lambda header: {**header, "params/dense": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(path, name):  # oracle: an error of ours, not of Python's
    path.write_bytes(HOSTILE[name])
    with pytest.raises(GraphError):
        load(path, with_extra=True)


def test_a_file_that_was_only_changed_by_the_test_loads(
    path,
):  # oracle: the variables; so that the errors above have their cause
    path.write_bytes(WHOLE)
    jax.tree.map(np.testing.assert_array_equal, load(path)[1], VARIABLES)


@hypothesis.settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(
    strategies.lists(
        strategies.tuples(strategies.integers(0, len(WHOLE) - 1), strategies.integers(0, 7)), min_size=1, max_size=3
    )
)
def test_flipped_bits(path, flips):  # oracle: a model, or an error of ours
    data = bytearray(WHOLE)
    for place, bit in flips:
        data[place] ^= 1 << bit
    path.write_bytes(bytes(data))
    with contextlib.suppress(GraphError):
        load(path)
