"""Checkpoints in a directory: there wholly or not at all."""

import os

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.training.checkpointing.store import Damaged, Store

ARRAYS = {
    "a/b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "half": np.asarray(jnp.asarray([1.5, 2.5], jnp.bfloat16)),
    "count": np.asarray(3, np.int32),
    "flag": np.asarray([True, False]),
    "a.b/c%2F": np.asarray([[7]], np.uint32),
}


def test_what_is_written_is_read(tmp_path):  # oracle: what was written
    Store(tmp_path).write("epoch-1", ARRAYS, {"run.json": '{"é": 1}'})
    arrays, texts = Store(tmp_path).read("epoch-1")
    assert texts["run.json"] == '{"é": 1}'
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(np.asarray(arrays[name], array.dtype), array)


def test_every_changed_file_is_found(tmp_path):  # oracle: one bit of each file in turn
    store = Store(tmp_path)
    store.write("epoch-1", ARRAYS, {"run.json": "{}"})
    files = [path for path in (tmp_path / "epoch-1").rglob("*") if path.is_file() and path.stat().st_size]
    assert len(files) > 5
    for file in files:
        content = file.read_bytes()
        file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        with pytest.raises(Damaged, match=f"{file.relative_to(tmp_path / 'epoch-1').as_posix()} (has|is)"):
            store.check("epoch-1")
        file.write_bytes(content)
    store.check("epoch-1")


def test_a_write_that_fails_leaves_all_as_it_was(tmp_path, monkeypatch):  # oracle: the directory before
    store = Store(tmp_path)
    store.write("epoch-1", ARRAYS, {})
    for name in ("fsync", "rename"):

        def fail(*args):
            raise OSError("full")

        with monkeypatch.context() as patched:
            patched.setattr(os, name, fail)
            with pytest.raises(OSError, match="full"):
                store.write("epoch-2", ARRAYS, {})
        assert [path.name for path in tmp_path.iterdir()] == ["epoch-1"]
    store.check("epoch-1")


def test_a_write_replaces_one_of_that_name(tmp_path):  # oracle: the later one
    for text in ("1", "2"):
        Store(tmp_path).write("epoch-1", ARRAYS, {"run.json": text})
    assert Store(tmp_path).read("epoch-1")[1]["run.json"] == "2"
    assert Store(tmp_path).names() == ["epoch-1"]


def test_what_was_left_unfinished_is_swept(tmp_path):  # oracle: the directory
    (tmp_path / ".unfinished-epoch-3" / "arrays").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    store = Store(tmp_path)
    assert store.names() == []
    store.sweep()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
