"""Every job: it trains, and what it reports is what its model does on the test rows."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from jaxgraphs.data import digits, pairs, titles
from jaxgraphs.errors import GraphValueError
from jaxgraphs.jobs import JOBS, Options
from jaxgraphs.jobs.fitting import Score

IMAGES = ("inception", "residual", "separable")
QUICK = Options(size=64, epochs=1, batch_size=32, verbose=0)


@pytest.fixture(scope="module")
def mnist_like(tmp_path_factory):
    """A file in MNIST's layout: enlarged digits."""
    data = digits.load()
    arrays = {}
    for name, split, count in (("train", data.train, 80), ("test", data.test, 30)):
        small = (split.inputs[:count, :, :, 0] * 255).astype(np.uint8)
        arrays[f"x_{name}"] = np.pad(small.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))
        arrays[f"y_{name}"] = split.targets[:count]
    folder = tmp_path_factory.mktemp("mnist")
    np.savez(folder / "mnist.npz", **arrays)
    return str(folder)


@pytest.fixture(scope="module")
def titles_csv(tmp_path_factory):
    """A file in the layout of the published titles."""
    words = ("night", "school", "river", "murder", "puppy")
    lines = ["description,release_year,rating,type"]
    for row in range(100):
        kind, rating = ("Movie", "TV Show")[row % 2], ("PG", "R", "R")[row % 3]
        lines.append(f"{words[row % 5]} {words[row % 3]} {kind.lower()},{1990 + row % 30},{rating},{kind}")
    folder = tmp_path_factory.mktemp("titles")
    (folder / "netflix_titles.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return str(folder)


@pytest.mark.parametrize("name", [IMAGES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in IMAGES[1:])])
def test_image_jobs(name):  # oracle: the accuracy of the returned model, counted by hand; the data's own baseline
    outcome, data = JOBS[name].run(QUICK), digits.load()
    probs = np.asarray(jax.jit(outcome.graph.apply)(outcome.variables, data.test.inputs))
    assert np.isclose(outcome.results["accuracy"], np.mean(probs.argmax(-1) == data.test.targets))
    assert outcome.results["train"] == 64
    assert outcome.report["graph"] == f"{name} (small): image -> digit"
    kept = dataclasses.replace(data, train=data.train[:64])
    assert outcome.results["majority"] == kept.baselines()["accuracy"]


def test_social_posts(titles_csv):  # oracle: the scores of the returned model, by hand
    outcome = JOBS["social_posts"].run(dataclasses.replace(QUICK, data=titles_csv))
    data = titles.load(titles_csv)
    found = jax.jit(outcome.graph.apply)(outcome.variables, data.test.inputs)
    results, targets = outcome.results, data.test.targets
    assert np.isclose(results["year_mae"], np.abs(np.asarray(found["year"])[:, 0] - targets["year"]).mean(), rtol=1e-4)
    assert np.isclose(results["kind_accuracy"], np.mean((np.asarray(found["kind"])[:, 0] > 0.5) == targets["kind"]))
    assert np.isclose(results["rating_accuracy"], np.mean(np.asarray(found["rating"]).argmax(-1) == targets["rating"]))
    base = dataclasses.replace(data, train=data.train[:64]).baselines()
    assert results["year_mean_mse"] == base["year"]["mse"]
    assert results["kind_majority"] == base["kind"]["accuracy"]
    assert "table" in outcome.extra
    assert set(outcome.variables) == {"params"}


def test_siamese_reports_the_best_that_is_possible():  # oracle: the data's own
    outcome = JOBS["siamese"].run(QUICK)
    assert outcome.results["best_possible"] == pairs.generate(0, 64).best
    assert outcome.report["graph"] == "siamese_lstm (distance): left, right -> similarity"


@pytest.mark.parametrize("name", ["siamese", pytest.param("separable", marks=pytest.mark.slow)])
def test_jobs_read_mnist(name, mnist_like):  # oracle: the shapes of its file
    outcome = JOBS[name].run(dataclasses.replace(QUICK, data=mnist_like))
    assert (outcome.results["train"], outcome.results["test"]) == (64, 30)
    widths = {tensor.shape[-1] for tensor in outcome.graph.inputs}
    assert widths == {28 if name == "siamese" else 1}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in JOBS if name not in ("question_answering", "social_posts")])
def test_defaults_beat_their_baselines(name):  # oracle: the baseline
    results = JOBS[name].run(Options(verbose=0)).results
    assert results["accuracy"] > results["majority"] + 0.4
    json.dumps(results)


@pytest.mark.slow
def test_social_posts_beats_three_baselines():  # oracle: the baselines
    results = JOBS["social_posts"].run(Options(verbose=0)).results
    assert results["year_mse"] < 0.5 * results["year_mean_mse"]
    assert results["rating_accuracy"] > results["rating_majority"] + 0.2
    assert results["kind_accuracy"] > results["kind_majority"] + 0.2


def test_forms_and_tasks_that_are_not_there():  # oracle: the messages, word for word
    with pytest.raises(GraphValueError) as caught:
        JOBS["siamese"].run(Options(model="twin"))
    assert str(caught.value) == (
        "There is no such form of siamese.\n  received: 'twin'\n  expected: distance or chapter"
    )
    with pytest.raises(GraphValueError) as caught:
        JOBS["residual"].run(Options(task=2))
    assert str(caught.value) == "The data of residual has no tasks.\n  received: task 2\n  fix:      leave the task out"


def test_scores_in_words_and_numbers():  # oracle: written by hand
    year, only = Score("year", "mae", 2.0, 9.5), Score("", "accuracy", 0.9, 0.1)
    assert year.results() == {"year_mae": 2.0, "year_mean_mae": 9.5}
    assert year.line() == ("test year mae", "2.000 (the mean: 9.500)")
    assert only.results() == {"accuracy": 0.9, "majority": 0.1}
    assert only.line() == ("test accuracy", "0.900 (the commonest answer: 0.100)")
