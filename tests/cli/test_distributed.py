"""``jaxgraphs train --distributed``: the numbers of one process, and the end of those whose peers are gone."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from tests.training.several import MPIRUN, ROOT, environment, free_port, started

JOB = ["-m", "jaxgraphs", "train", "--size", "64", "--json"]


def commands(count, *more):
    """The words of each process's command."""
    port = free_port()
    together = ["--distributed", "--coordinator", f"127.0.0.1:{port}", "--processes", str(count)]
    return [[*JOB, *together, "--process", str(index), *more] for index in range(count)]


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):  # oracle: one process, and who prints and saves
    saved = tmp_path / "model.safetensors"
    both = started(commands(2, "--epochs", "2", "--save", str(saved)), [environment(1)] * 2)
    (alone,) = started([[*JOB, "--epochs", "2"]], [environment(1)])
    assert [code for code, _ in both] == [0, 0], both
    results, expected = json.loads(both[0][1].splitlines()[-1]), json.loads(alone[1].splitlines()[-1])
    assert {name: results[name] for name in ("accuracy", "majority", "epochs", "parameters")} == {
        name: expected[name] for name in ("accuracy", "majority", "epochs", "parameters")
    }
    assert "accuracy" not in both[1][1]
    assert saved.exists()


def in_a_job(index):
    """The environment of one of two tasks of a job under SLURM, which gives the job a number and JAX a port by it."""
    own = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
    return environment(1, **own, SLURM_PROCID=str(index), SLURM_LOCALID=str(index))


@pytest.mark.slow
def test_under_slurm_nothing_is_said(tmp_path):  # oracle: one result of two processes
    words = [*JOB, "--distributed", "--epochs", "1"]
    ends = started([words] * 2, [in_a_job(index) for index in range(2)])
    assert [code for code, _ in ends] == [0, 0], ends
    assert json.loads(ends[0][1].splitlines()[-1])["epochs"] == 1
    assert '"accuracy"' not in ends[1][1]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mpirun") is None, reason="Open MPI is not there")
def test_under_open_mpi_nothing_is_said():  # oracle: one result of two processes that mpirun started
    command = [*MPIRUN, sys.executable, *JOB, "--distributed", "--epochs", "1"]
    done = subprocess.run(command, cwd=ROOT, env=environment(1), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [result["epochs"] for result in results] == [1]


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_the_one_that_is_left_says_so(tmp_path, victim):  # oracle: the message, the status; the run goes on
    more = ["--epochs", "500", "--resume", str(tmp_path / "run")]
    words = [[word for word in command if word != "--json"] for command in commands(2, *more)]
    options = {"cwd": ROOT, "env": environment(1), "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    both = [subprocess.Popen([sys.executable, *command], **options) for command in words]
    try:
        assert both[0].stdout is not None
        next(line for line in both[0].stdout if line.startswith("epoch 2/"))
        both[victim].send_signal(signal.SIGKILL)
        text, _ = both[1 - victim].communicate(timeout=120)
    finally:
        for process in both:
            process.kill()
            process.wait()
            process.stdout.close()
    assert both[1 - victim].returncode == 75, text
    assert "error: Another process of this run has ended or cannot be reached." in text
    assert "--resume" in text or "resume=" in text
    ends = started(commands(2, "--epochs", "4", "--resume", str(tmp_path / "run")), [environment(1)] * 2)
    assert [code for code, _ in ends] == [0, 0], ends


def test_an_address_that_is_none():  # oracle: the message, and the exit code of the child
    command = [sys.executable, "-m", "jaxgraphs", "train", "--distributed", "--coordinator", "here"]
    done = subprocess.run(command, cwd=ROOT, env=environment(1), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: The coordinator is a host and a port.\n  received: 'here'")
