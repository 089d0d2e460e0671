"""The benchmarks measure the same thing everywhere, and say what they measured."""

import json
from functools import partial

import jax
import numpy as np
import pytest

import jaxgraphs as jg
from benchmarks import plot, report, turns
from benchmarks.peers import linen
from benchmarks.peers.ours import graph_of
from benchmarks.workloads import WORKLOADS


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=lambda workload: workload.name)
def test_linen_has_the_same_model(workload):  # oracle: parameters and outputs, counted on both sides
    graph = graph_of(workload)
    x, y = workload.data(2)
    model = linen.MODELS[workload.name]()
    variables = jax.eval_shape(partial(model.init, train=False), jax.random.key(0), x)
    assert sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(variables)) == graph.count_params()
    outputs = jax.eval_shape(partial(model.apply, train=False), variables, x)
    specs = jax.eval_shape(graph.apply, jax.eval_shape(graph.init, jax.random.key(0)), x)
    assert [leaf.shape for leaf in outputs] == [leaf.shape for leaf in jax.tree.leaves(specs)]
    assert len(outputs) == len(y) == len(workload.losses)


def test_a_peer_that_is_not_there_is_left_out_by_name(tmp_path):  # oracle: the name, and a reason
    broken = tmp_path / "python"
    broken.write_text('#!/bin/sh\necho \'{"missing": "No module named torch"}\'\n')
    broken.chmod(0o755)
    peers, missing = turns.start(["PyTorch"], {"PyTorch": str(broken)}, str(tmp_path), lambda _: None)
    assert (peers, missing) == ([], {"PyTorch": "No module named torch"})


def times(step):
    return {"step": turns.spread([step] * 4), "first_step": {"cold": 2.0, "warm": 1.0}, "memory": 512.0}


def test_the_report(tmp_path):  # oracle: by hand
    results = {"siamese_lstm": {"jaxgraphs": times(0.02), "Flax Linen": times(0.04), "PyTorch": {"failed": "no room"}}}
    ours, _, torch = report.rows(results)
    assert ours[:4] == ["siamese LSTM", "jaxgraphs", "20", "0.50"]
    assert torch[2] == "failed: no room"
    assert report.ratios(results).splitlines()[2:] == [
        "| siamese LSTM | 0.50, 0.50 (Flax Linen) |",
        "| geometric mean | 0.50 |",
    ]
    report.write(tmp_path / "results" / "r.json", results, {"versions": {"jaxgraphs": {"jaxgraphs": jg.__version__}}})
    written = json.loads((tmp_path / "results" / "r.json").read_text("utf-8"))
    assert written["machine"]["cores"] >= 1
    assert written["results"]["siamese_lstm"]["jaxgraphs"]["step"]["median"] == 0.02
    assert report.markdown(written["results"]).count("\n") == 4


@pytest.mark.parametrize("name", plot.PICTURES)
def test_pictures_are_of_the_committed_results(name):  # oracle: the hash of the JSON
    # Where this fails, `python -m benchmarks.plot` draws them anew.
    drawn = plot.IMAGES / f"{name}.svg"
    assert plot.mark((plot.RESULTS / plot.PICTURES[name][0]).read_bytes()) in drawn.read_text("utf-8")


def test_pictures_are_drawn_from_numbers(tmp_path):  # oracle: the peers' names, and the same file again
    found = {"results": {"siamese_lstm": {"Flax Linen": times(2.0), "jaxgraphs": times(1.0)}}}
    (tmp_path / "peers.json").write_text(json.dumps(found))
    texts = []
    for _ in range(2):
        plot.main(["speed", "--results", str(tmp_path), "--images", str(tmp_path)])
        texts.append((tmp_path / "speed.svg").read_text("utf-8"))
    assert texts[0] == texts[1]
    assert "<!-- siamese LSTM -->" in texts[0]
    assert "<!-- Keras on JAX -->" not in texts[0]
