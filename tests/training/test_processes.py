"""Several processes on loopback, by JAX's distributed runtime: the numbers of one process alone, and their ends."""

import functools
import json
import shutil
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs.io.archive import load
from jaxgraphs.training.checkpointing.store import Store
from jaxgraphs.training.processes import Share
from tests.training.runs import classifier, rows, trainer_of, watchers
from tests.training.several import MPIRUN, ROOT, environment, free_port, left_by, started, trained

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
@pytest.mark.parametrize(("count", "victim"), [(2, 0), (2, 1), (4, 2)])
def test_a_killed_process_ends_the_others_and_the_run_goes_on(tmp_path, count, victim):
    # oracle: the message, the checkpoints, and the run that nothing ended, on other numbers of processes and devices
    end = {"process": victim, "step": 7, "signal": "SIGKILL"}
    ends = trained(tmp_path, count, rules="fsdp", resume=str(tmp_path / "saved"), end=end)
    assert ends.pop(victim)[0] == -9
    for code, text, left in ends:
        assert left is None
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
    for others, devices, task in ((6 - count, 1, {"rules": "fsdp"}), (1, 3, {})):
        copy = tmp_path / str(others)
        copy.mkdir()
        (copy / "saved").symlink_to(tmp_path / "saved")
        resumed = trained(copy, others, devices, resume=str(tmp_path / "saved"), **task)
        assert_all_as_alone(resumed, alone())


@pytest.mark.slow
def test_one_that_is_terminated_lets_all_save(tmp_path):  # oracle: the status, the step, and the run that nothing ended
    end = {"process": 1, "step": 5, "signal": "SIGTERM"}
    saved = str(tmp_path / "saved")
    ends = trained(tmp_path, 2, resume=saved, end=end)
    assert [code for code, _, _ in ends] == [75, 75], [text for _, text, _ in ends]
    assert Store(tmp_path / "saved").names()[-1] in ("epoch-00001-batch-00000003", "epoch-00002-batch-00000000")
    assert_all_as_alone(trained(tmp_path, 2, resume=saved), alone())


SLURM = {"SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "127.0.0.1,node[002-004]", "SLURM_NTASKS": "2"}
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


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mpirun") is None, reason="Open MPI is not there")
@pytest.mark.parametrize("version", [4, 5])
def test_open_mpi_starts_them(tmp_path, version):  # oracle: one process; mpirun itself, nothing said about addresses
    if version == 5:
        pytest.importorskip("mpi4py")
    # From version 5 the launcher no longer leaves its address in the environment.
    changed = ["env", "-u", "OMPI_MCA_orte_hnp_uri"] if version == 5 else []
    task = json.dumps({"out": str(tmp_path / "run")})
    command = [*MPIRUN, *changed, sys.executable, "-m", "tests.training.worker", task]
    done = subprocess.run(command, cwd=ROOT, env=environment(1), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    for index in range(2):
        assert_as_alone(left_by(tmp_path, index), alone())


KUBERNETES = """\
from types import SimpleNamespace as Thing
from jax._src.clusters.k8s_cluster import K8sCluster

def incluster(): K8sCluster._namespace = classmethod(lambda cls: "default")
labels = {"job-name": "train"}
owner = Thing(controller=True, kind="Job")
pod = Thing(metadata=Thing(name="train-0", labels=labels, owner_references=[owner]), spec=Thing(subdomain="pods"))
job = Thing(metadata=Thing(name="train", labels=%s), spec=Thing(parallelism=2))
def pods(namespace, field_selector): return Thing(items=[pod] if field_selector.startswith("status.podIP=127.") else [])
def core(): return Thing(list_namespaced_pod=pods)
def batch(): return Thing(read_namespaced_job=lambda name, namespace: job)
config = Thing(load_incluster_config=incluster)
client = Thing(CoreV1Api=core, BatchV1Api=batch, exceptions=Thing(ApiException=LookupError))
"""
"""In the place of Kubernetes' client: one pod of one Job, which is all that JAX asks about."""


def in_a_pod(directory, index, labels="{}"):
    """The environment of one pod of an indexed Job, of which `directory` holds the client."""
    (directory / "kubernetes.py").write_text(KUBERNETES % labels)
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "localhost", "JOB_COMPLETION_INDEX": str(index)}
    return environment(1, PYTHONPATH=str(directory), **pod)


@pytest.mark.slow
def test_pods_find_their_number_by_themselves(tmp_path):  # oracle: one process; JAX's own reading of an indexed Job
    task = json.dumps({"out": str(tmp_path / "run"), "coordinator": f"127.0.0.1:{free_port()}"})
    environments = [in_a_pod(tmp_path, index) for index in range(2)]
    ends = started([["-m", "tests.training.worker", task]] * 2, environments)
    assert [code for code, _ in ends] == [0, 0], ends
    for index in range(2):
        assert_as_alone(left_by(tmp_path, index), alone())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "host"), [("{}", "train-0.pods"), ("{'jobset.sigs.k8s.io/jobset-name': 'set'}", "train-0.set")]
)
def test_pods_look_for_the_first_of_them(tmp_path, labels, host):  # oracle: Kubernetes' names of an indexed Job's pods
    code = (
        "import socket, jaxgraphs as jg\n"
        "socket.gethostbyname = lambda name: print('looks for', name, flush=True) or '127.0.0.1'\n"
        "try: jg.sharding.initialize(timeout=1)\n"
        "except jg.GraphError as error: print(error)"
    )
    ((_, text),) = started([["-c", code]], [in_a_pod(tmp_path, 1, labels)])
    assert f"looks for {host}" in text


def test_what_a_cluster_says_is_passed_on(
    monkeypatch,
):  # oracle: JAX's advice, to its last line, and any client's error
    advice = "Pods within a job need a headless service.\nAdd the following:\nkind: Service"
    for error, last in (
        (RuntimeError(advice), "kind: Service"),
        (LookupError("no account"), "LookupError: no account"),
    ):
        monkeypatch.setattr(jax.distributed, "initialize", lambda *args, error=error, **options: refuse(error))
        with pytest.raises(jg.GraphError, match="did not find the others") as caught:
            jg.sharding.initialize()
        assert caught.value.received is not None
        assert caught.value.received.endswith(last)


def test_a_port_that_is_taken():  # oracle: the message; JAX would end the process without one
    with socket.create_server(("127.0.0.1", 0)) as held:
        address = f"127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(jg.GraphError, match="Process 0 cannot listen on the coordinator's port") as caught:
            jg.sharding.initialize(address, 2, 0)
    assert address in str(caught.value)


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
    error = ValueError("coordinator_address should be defined.")
    monkeypatch.setattr(jax.distributed, "initialize", lambda *args, **options: refuse(error))
    with pytest.raises(jg.GraphError) as caught:
        jg.sharding.initialize(*arguments)
    assert str(caught.value).startswith(text)


def refuse(error):
    raise error


def test_shares_make_up_a_batch():  # oracle: all rows, each once
    shares = [Share(6, held) for held in ((0, 3), (1, 4), (2, 5))]
    assert sorted(np.concatenate([share.rows(12) for share in shares]).tolist()) == list(range(12))
    assert [share.filled(13) for share in shares] == [18] * 3
    assert {share.whole(4) for share in shares} == {12}
