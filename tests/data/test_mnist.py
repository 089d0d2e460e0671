"""MNIST's npz, whole and broken."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from jaxgraphs.data import mnist
from jaxgraphs.errors import GraphValueError


def arrays(**changed):
    rng = np.random.default_rng(0)
    made = {
        "x_train": rng.integers(0, 256, (5, 28, 28), np.uint8),
        "y_train": np.array([0, 1, 9, 3, 3], np.uint8),
        "x_test": rng.integers(0, 256, (2, 28, 28), np.uint8),
        "y_test": np.array([3, 0], np.uint8),
    }
    return {name: array for name, array in (made | changed).items() if array is not None}


def test_images_and_labels(tmp_path):  # oracle: the arrays saved
    made = arrays()
    np.savez_compressed(tmp_path / "mnist.npz", **made)
    for path in (tmp_path, tmp_path / "mnist.npz"):
        data = mnist.load(path)
        assert (data.train.inputs.shape, data.train.inputs.dtype) == ((5, 28, 28, 1), np.float32)
        np.testing.assert_allclose(data.test.inputs[..., 0] * 255, made["x_test"], rtol=1e-6)
        assert (data.train.targets.tolist(), data.train.targets.dtype) == ([0, 1, 9, 3, 3], np.int32)
    assert data.baselines() == {"accuracy": 0.5}


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"y_test": None}, "y_test"),
        ({"x_train": np.zeros((28, 28, 5), np.uint8)}, r"x_train: \(28, 28, 5\) uint8 is not \(n, 28, 28\) uint8"),
        ({"x_train": np.zeros((5, 28, 28))}, "x_train: .* float64 is not"),
        ({"y_train": np.zeros((5, 1), np.uint8)}, r"y_train: \(5, 1\) uint8 is not \(n,\) integers"),
        ({"y_train": np.zeros(4, np.uint8)}, "x_train has 5 images, y_train 4 labels"),
        ({"y_test": np.array([3, 10])}, "labels 3 to 10 are not digits"),
        ({"y_test": np.array(["a", {}], object)}, "no npz of arrays"),
    ],
)
def test_other_arrays_are_refused(changed, text, tmp_path):  # oracle: the words of the message
    np.savez(tmp_path / "mnist.npz", **arrays(**changed))
    with pytest.raises(GraphValueError, match=text):
        mnist.load(tmp_path)


def test_all_misfits_at_once(tmp_path):  # oracle: both names in the message
    np.savez(tmp_path / "mnist.npz", **arrays(x_train=np.zeros((5, 28)), y_test=np.zeros(2)))
    with pytest.raises(GraphValueError, match=r"(?s)x_train: .*y_test: "):
        mnist.load(tmp_path)


def claimed(shape):
    """The bytes of an npy whose header claims `shape`, with next to nothing behind it."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue() + b"\0"


def test_files_that_are_no_npz(tmp_path):  # oracle: the words of the message
    path = tmp_path / "mnist.npz"
    np.savez(path, **arrays())
    whole = path.read_bytes()
    for data in (b"", b"nonsense", whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(GraphValueError, match="no npz of arrays"):
            mnist.load(path)


def test_headers_are_not_believed(tmp_path):  # oracle: the words of the message
    for shape, text in (((1 << 40, 28, 28), "too large"), ((100, 28, 28), "no npz of arrays")):
        with zipfile.ZipFile(tmp_path / "mnist.npz", "w") as archive:
            for name in arrays():
                archive.writestr(f"{name}.npy", claimed(shape))
        with pytest.raises(GraphValueError, match=text):
            mnist.load(tmp_path)


def test_real_images(real_data):  # oracle: the published counts, and a digit per label
    data = mnist.load(real_data)
    assert (len(data.train), len(data.test)) == (60_000, 10_000)
    assert data.test.targets[:5].tolist() == [7, 2, 1, 0, 4]
    assert (data.train.inputs.min(), data.train.inputs.max()) == (0, 1)
    assert data.baselines() == {"accuracy": 0.1135}
