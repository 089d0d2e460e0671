"""The log directory opened in TensorBoard itself."""

import struct
import urllib.parse
import zlib

import numpy as np
import pytest

from jaxgraphs.training.callbacks import Callback, TensorBoard
from jaxgraphs.training.callbacks.probe import weights_in_order
from tests.training.callbacks.tensorboard.runs import data, fit, real_text, text_and_picture
from tests.training.callbacks.tensorboard.server import CHROMIUM, screenshot, serving

SCALARS = ["loss", "half_loss", "size_loss", "half_accuracy"]


class Pictures(Callback):
    """Shows the first inputs at the beginning, through the callback's own method."""

    def __init__(self, board):
        self.board = board

    def on_epoch_begin(self, run):
        self.board.image("inputs", data()[0][1][:2], run.epoch)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(server, history, state, folder) of one run."""
    logs, folder = tmp_path_factory.mktemp("logs"), tmp_path_factory.mktemp("server")
    board = TensorBoard(
        logs,
        histogram_freq=1,
        write_images=True,
        write_steps_per_second=True,
        update_freq=2,
        embeddings_freq=1,
        embeddings_metadata={"words": {"word": real_text()[2], "rank": range(50)}},
        embeddings_sprites={"words": np.random.default_rng(0).random((50, 8, 8))},
        hparams={"units": 8, "optimizer": "adam", "augmented": False},
    )
    state, history = fit([board, Pictures(board)])
    with serving(logs, folder) as server:
        yield server, history, state, folder


def check_scalars(served):  # oracle: the history
    server, history, *_ = served
    tags = server.json("plugin/scalars/tags")
    assert set(tags["train"]) >= {f"epoch_{name}" for name in [*SCALARS, "learning_rate", "steps_per_second"]}
    assert set(tags["validation"]) >= {f"epoch_{name}" for name in SCALARS}
    for name in SCALARS:
        for run, values in (("train", history.history[name]), ("validation", history.history[f"val_{name}"])):
            shown = server.json("plugin/scalars/scalars", run=run, tag=f"epoch_{name}")
            assert [step for _, step, _ in shown] == [0, 1, 2]
            np.testing.assert_allclose([value for *_, value in shown], values, rtol=1e-6)
    rates = server.json("plugin/scalars/scalars", run="train", tag="epoch_learning_rate")
    np.testing.assert_allclose([value for *_, value in rates], 0.001, rtol=1e-6)


def check_scalars_of_batches(served):  # oracle: the number of steps; the last running mean is the epoch's
    server, history, state, _ = served
    shown = server.json("plugin/scalars/scalars", run="train", tag="batch_loss")
    assert [step for _, step, _ in shown] == list(range(2, int(state.step) + 1, 2))
    steps = int(state.step) // 3
    if steps % 2 == 0:
        assert shown[steps // 2 - 1][2] == pytest.approx(history.history["loss"][0], rel=1e-6)
    by_step = server.json("plugin/scalars/scalars", run="validation", tag="evaluation_loss_vs_iterations")
    assert [step for _, step, _ in by_step] == [steps, 2 * steps, 3 * steps]


def check_histograms(served):  # oracle: the weights themselves
    server, _, state, _ = served
    tags = server.json("plugin/histograms/tags")["train"]
    weights = dict(weights_in_order(text_and_picture(), state.variables))
    assert {f"{name}/histogram" for name in weights} <= set(tags)
    assert {f"{name}/gradient" for name in weights} <= set(tags)
    assert {"encoder/conv/output", "encoder:1/conv/output", "words/output", "half/output"} <= set(tags)
    for name, array in weights.items():
        last = server.json("plugin/histograms/histograms", run="train", tag=f"{name}/histogram")[-1]
        buckets = np.array(last[2])
        assert last[1] == 2
        assert buckets[:, 2].sum() == pytest.approx(array.size)
        assert buckets[:, 1].max() == pytest.approx(float(array.max()), abs=1e-6)


def check_graph(served):  # oracle: the graph's own calls, shapes and edges
    text = served[0].get("plugin/graphs/graph", run="train", conceptual="false").decode()
    for name, kind in [("text", "Input"), ("words", "Embedding"), ("encoder/conv", "Conv2D"), ("half", "Dense")]:
        assert f'name: "{name}"\n  op: "{kind}"' in text
    assert 'name: "encoder_call_1/code"' in text
    assert 'input: "words"' in text
    assert "size: 6" in text
    assert "train" in served[0].json("plugin/graphs/info")


def check_projector(served):  # oracle: the embedding, its words, its pictures
    server, _, state, _ = served
    (entry,) = server.json("plugin/projector/info", run="train")["embeddings"]
    assert (entry["tensorName"], entry["tensorShape"]) == ("words", [50, 6])
    assert entry["sprite"]["singleImageDim"] == [8, 8]
    vectors = np.frombuffer(server.get("plugin/projector/tensor", run="train", name="words"), np.float32)
    np.testing.assert_allclose(vectors.reshape(50, 6), state.params["words"]["embedding"], rtol=1e-5)
    lines = server.get("plugin/projector/metadata", run="train", name="words").decode().splitlines()
    assert lines[:3] == ["word\trank", "<rare>\t0", f"{real_text()[2][1]}\t1"]
    width, height, _ = read_png(server.get("plugin/projector/sprite_image", run="train", name="words"))
    assert (width, height) == (64, 64)


def check_images(served):  # oracle: the pictures that were given, byte for byte
    server, *_ = served
    tags = server.json("plugin/images/tags")["train"]
    assert {"encoder/conv/kernel/image", "half/kernel/image", "inputs/0", "inputs/1"} <= set(tags)
    (entry, *_) = server.json("plugin/images/images", run="train", tag="inputs/1", sample=0)
    query = dict(urllib.parse.parse_qsl(entry["query"]))
    width, height, pixels = read_png(server.get("plugin/images/individualImage", **query))
    expected = (data()[0][1][1, :, :, 0] * 255).round().astype(np.uint8)
    assert (width, height) == (6, 6)
    np.testing.assert_array_equal(pixels[:, 1:], expected)


def check_hyperparameters(served):  # oracle: what was given
    server, history, *_ = served
    experiment = server.post("plugin/hparams/experiment", {"experimentName": ""})
    assert {info["name"] for info in experiment["hparamInfos"]} == {"units", "optimizer", "augmented"}
    assert {info["name"]["tag"] for info in experiment["metricInfos"]} == {
        *(f"hparam/{name}" for name in SCALARS),
        *(f"hparam/val_{name}" for name in SCALARS),
    }
    names = [{"hparam": name} for name in ("units", "optimizer", "augmented")]
    ask = {
        "experimentName": "",
        "allowedStatuses": ["STATUS_SUCCESS"],
        "colParams": [*names, {"metric": {"group": "", "tag": "hparam/val_loss"}}],
        "startIndex": 0,
        "sliceSize": 10,
    }
    (group,) = server.post("plugin/hparams/session_groups", ask)["sessionGroups"]
    assert group["hparams"] == {"units": 8.0, "optimizer": "adam", "augmented": False}
    shown = {metric["name"]["tag"]: metric["value"] for metric in group["metricValues"]}
    assert shown == pytest.approx({f"hparam/{name}": each[-1] for name, each in history.history.items()}, rel=1e-6)


CHECKS = (
    check_scalars,
    check_scalars_of_batches,
    check_histograms,
    check_graph,
    check_projector,
    check_images,
    check_hyperparameters,
)


# One test, so that one worker starts the server, once.
def test_the_server_has_each_kind(served):  # oracle: what each of the checks names
    for check in CHECKS:
        check(served)
    if CHROMIUM is not None:
        check_a_picture(served, "timeseries")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("page", ["scalars", "graphs", "distributions", "images"])
def test_a_browser_shows_other_pages(served, page):  # oracle: a picture in which something is drawn
    check_a_picture(served, page)


def check_a_picture(served, page):
    server, *_, folder = served
    screenshot(f"{server.url}/#{page}", folder / f"{page}.png", folder)
    width, height, pixels = read_png((folder / f"{page}.png").read_bytes())
    assert (width, height) == (1400, 900)
    colours, counts = np.unique(pixels[:, 1:][::7], return_counts=True)
    assert len(colours) > 30, f"only {colours} are there"
    assert counts.max() < 0.99 * counts.sum()


def read_png(data):
    """Width, height, and the rows as bytes, each with its filter's number before it."""
    width, height = struct.unpack(">II", data[16:24])
    compressed, place = b"", 8
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        compressed += data[place + 8 : place + 8 + length] if kind == b"IDAT" else b""
        place += 12 + length
    return width, height, np.frombuffer(zlib.decompress(compressed), np.uint8).reshape(height, -1)
