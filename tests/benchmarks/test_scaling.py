"""The benchmarks of scaling run, on small graphs, and say what they measured."""

import json

import pytest

from benchmarks import gpu, members, remat


@pytest.mark.slow
def test_remat_needs_less_memory(tmp_path):  # oracle: fewer bytes than without, as XLA plans them
    saved = tmp_path / "remat.json"
    ways = next(iter(remat.main(["--tiny", "--save", str(saved)])["rows"].values()))
    assert 0 < ways["all"]["bytes"] < ways["none"]["bytes"]
    assert next(iter(json.loads(saved.read_text())["rows"].values())).keys() == {"none", "all"}


@pytest.mark.slow
def test_members_at_once_and_in_turn(capsys):  # oracle: a row for each kind, whose ratio is that of its times
    rows = members.main(["--tiny", "--rounds", "1"])["rows"]
    assert [row["kind"] for row in rows] == ["ensemble", "sweep"]
    assert all(row["ratio"] == row["at_once"] / row["in_turn"] for row in rows)
    assert capsys.readouterr().out.count("in turn") == 2


@pytest.mark.slow
def test_gpu_rows(tmp_path):  # oracle: the operations of two LSTMs and a dense layer, counted by hand
    results = gpu.main(["--tiny", "--frameworks", "jaxgraphs", "linen", "torch", "--save", str(tmp_path / "gpu.json")])
    assert {row["precision"] for row in results["rows"]} == {"float32", "bfloat16"}
    assert {"jaxgraphs", "linen"} <= {row["framework"] for row in results["rows"]}
    matrices = 2 * (128 + 32) * 4 * 32 * 100 * 2 + 2 * 64
    for row in results["rows"]:
        assert row["flops"] == pytest.approx(3 * 2 * matrices, rel=0.1)
        assert row["seconds"] > 0
    assert results["about"]["jax"]


def test_processes_of_one_row_are_joined():  # oracle: by hand
    each = {"framework": "linen", "workload": "xception", "precision": "float32", "memory": 7}
    rows = [each | {"seconds": s, "fastest": s - 1, "slowest": s + 1, "ready": 10 * s} for s in (2.0, 5.0, 3.0)]
    (row,) = gpu.joined(rows)
    assert row == each | {"seconds": 3.0, "fastest": 1.0, "slowest": 6.0, "ready": 50.0, "processes": [2.0, 5.0, 3.0]}


def test_share_of_a_known_peak():  # oracle: half of the H100's 989.4 TFLOP/s
    row = gpu.shared({"seconds": 2.0, "precision": "bfloat16"}, int(989.4e12), "NVIDIA H100 80GB HBM3")
    assert row["share_of_peak"] == pytest.approx(0.5)
    assert gpu.shared({"seconds": 2.0, "precision": "float32"}, 1, "cpu")["share_of_peak"] is None
