"""Several processes on loopback, by JAX's distributed runtime: the numbers of one process alone, and their ends."""

import functools
import json

import jax
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs.io.archive import load
from jaxgraphs.training.checkpointing.store import Store
from jaxgraphs.training.processes import Share
from tests.training.runs import classifier, rows, trainer_of, watchers
from tests.training.several import environment, free_port, started, trained

X, Y = rows(22)
FIT = {"epochs": 3, "verbose": 0, "validation_data": (X[:7], Y[:7])}
ROWS_READ = 3 * (24 + 8) // 2
"""By each of two processes in three epochs: 22 rows in batches of 8 and 7 to validate on, filled up to 24 and to 8."""


@functools.cache
def alone(dropout=0.25, **options):
    """Numbers of one process on one device."""
    trainer = trainer_of(classifier(normalised=True, dropout=dropout), "adam", **options)
    state, history = trainer.fit(trainer.init(jax.random.key(0)), X, Y, batch_size=8, callbacks=watchers(), **FIT)
    return history.history, trainer.evaluate(state, X, Y), trainer.predict(state, X)


def assert_as_alone(left, expected):
    history, logs, predictions = expected
    assert left["history"].keys() == history.keys()
    for name, values in history.items():
        np.testing.assert_allclose(left["history"][name], values, rtol=1e-5)
    for name, value in logs.items():
        assert left["logs"][name] == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(left["predictions"], predictions, rtol=1e-5, atol=1e-6)


def assert_all_as_alone(ends, expected):
    assert [code for code, _, _ in ends] == [0] * len(ends), [text for _, text, _ in ends]
    for _, _, left in ends:
        assert_as_alone(left, expected)


def test_two_processes_are_one(tmp_path):  # oracle: one process on one device; who reads, prints and writes what
    ends = trained(tmp_path, 2)
    assert_all_as_alone(ends, alone())
    texts = [text for _, text, _ in ends]
    assert ["epoch 3/3" in text for text in texts] == [True, False]
    assert len((tmp_path / "run.csv").read_text().splitlines()) == 4
    assert load(tmp_path / "run.safetensors")[0].count_params() == classifier(normalised=True).count_params()
    assert [left["read"] for _, _, left in ends] == [ROWS_READ] * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "devices", "task"),
    [
        (4, 1, {}),
        (4, 2, {"rules": "fsdp", "tensorboard": True}),
        (2, 1, {"trainer": {"steps_per_call": 2}, "rules": "fsdp"}),
        (4, 1, {"rules": "tensor", "mesh": {"data": 2, "model": 2}}),
        (2, 2, {"rules": "tensor", "mesh": {"model": 2, "data": 2}}),
    ],
    ids=str,
)
def test_layouts_over_processes(tmp_path, count, devices, task):  # oracle: one process on one device
    ends = trained(tmp_path, count, devices, **task)
    assert_all_as_alone(ends, alone())
    if "rules" in task:
        assert all(left["bytes"][1] < left["bytes"][0] for _, _, left in ends)


@pytest.mark.slow
def test_pmap_over_processes(tmp_path):  # oracle: one process on one device; each device draws its own dropout
    assert_all_as_alone(trained(tmp_path, 2, strategy="pmap", dropout=0.0), alone(dropout=0.0))


@pytest.mark.slow
def test_streams_of_each_process(tmp_path):  # oracle: one process that reads the same batches; 6 rows are 3 and 3
    trainer = trainer_of(classifier(normalised=True), "adam")
    batches = [(X[start : start + 8], Y[start : start + 8]) for start in range(0, 22, 8)]
    state, history = trainer.fit(trainer.init(jax.random.key(0)), batches, callbacks=watchers(), **FIT)
    expected = history.history, trainer.evaluate(state, X, Y), trainer.predict(state, X)
    assert_all_as_alone(trained(tmp_path, 2, stream=True, dropout=0.0), expected)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_others_and_the_run_goes_on(tmp_path, victim):
    # oracle: the message, the checkpoints, and the run that nothing ended, on other numbers of processes and devices
    end = {"process": victim, "step": 7, "signal": "SIGKILL"}
    ends = trained(tmp_path, 2, rules="fsdp", resume=str(tmp_path / "saved"), end=end)
    code, text, left = ends[1 - victim]
    assert (ends[victim][0], left) == (-9, None)
    if victim:
        assert code == 75, text
        assert "PeerLost: Another process of this run has ended or cannot be reached." in text
    else:
        # JAX's own words: the one that is gone led the others.
        assert code != 0
        assert "another task died" in text
    store = Store(tmp_path / "saved")
    assert store.names()
    for name in store.names():
        store.check(name)
    for count, devices, task in ((4, 1, {"rules": "fsdp"}), (1, 3, {})):
        copy = tmp_path / str(count)
        copy.mkdir()
        (copy / "saved").symlink_to(tmp_path / "saved")
        resumed = trained(copy, count, devices, resume=str(tmp_path / "saved"), **task)
        assert_all_as_alone(resumed, alone())


@pytest.mark.slow
def test_one_that_is_terminated_lets_all_save(tmp_path):  # oracle: the status, the step, and the run that nothing ended
    end = {"process": 1, "step": 5, "signal": "SIGTERM"}
    saved = str(tmp_path / "saved")
    ends = trained(tmp_path, 2, resume=saved, end=end)
    assert [code for code, _, _ in ends] == [75, 75], [text for _, text, _ in ends]
    assert Store(tmp_path / "saved").names()[-1] in ("epoch-00001-batch-00000003", "epoch-00002-batch-00000000")
    assert_all_as_alone(trained(tmp_path, 2, resume=saved), alone())


SLURM = {"SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_NTASKS": "2"}
MPI = {"OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://127.0.0.1:34911", "OMPI_COMM_WORLD_SIZE": "2"}


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["slurm", "mpi"])
def test_found_by_itself(tmp_path, cluster):  # oracle: one process; the variables that the launchers set
    port = {"JAX_COORDINATOR_PORT": str(free_port())}
    environments = []
    for index in range(2):
        place = str(index)
        own = {
            "slurm": SLURM | {"SLURM_PROCID": place, "SLURM_LOCALID": place},
            "mpi": MPI | {"OMPI_COMM_WORLD_RANK": place, "OMPI_COMM_WORLD_LOCAL_RANK": place},
        }[cluster]
        environments.append(environment(1, **port, **own))
    command = ["-m", "tests.training.worker", json.dumps({"out": str(tmp_path / "run")})]
    ends = started([command] * 2, environments)
    assert [code for code, _ in ends] == [0, 0], ends
    assert_as_alone(json.loads((tmp_path / "run.1.json").read_text()), alone())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("somewhere", 2, 0), "The coordinator is a host and a port.\n  received: 'somewhere'"),
        (
            ("127.0.0.1:1", 2, 2),
            "The number of a process does not fit.\n  received: process 2 of 2\n  expected: 0 to 1",
        ),
        ((None, None, None), "This process did not find the others of its run."),
    ],
)
def test_errors_of_joining(arguments, text, monkeypatch):  # oracle: the message
    monkeypatch.setattr(jax.distributed, "initialize", refuse)
    with pytest.raises(jg.GraphError) as caught:
        jg.sharding.initialize(*arguments)
    assert str(caught.value).startswith(text)


def refuse(*args, **options):
    raise ValueError("coordinator_address should be defined.")


def test_shares_make_up_a_batch():  # oracle: all rows, each once
    shares = [Share(6, held) for held in ((0, 3), (1, 4), (2, 5))]
    assert sorted(np.concatenate([share.rows(12) for share in shares]).tolist()) == list(range(12))
    assert [share.filled(13) for share in shares] == [18] * 3
    assert {share.whole(4) for share in shares} == {12}
