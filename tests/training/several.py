"""Starts several processes that train together, on this machine's loopback, and gathers what they leave."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MPIRUN = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2"]


def environment(devices, **more):
    """Of one process: so many CPU devices, and nothing of a cluster that this machine may be part of."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "OMPI_", "JAX_"))}
    return kept | {"JAX_NUM_CPU_DEVICES": str(devices), "JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "error"} | more


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def started(commands, environments):
    """The processes' exit codes and texts, in order; all of them end, or a TimeoutExpired."""
    options = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    running = [
        subprocess.Popen([sys.executable, *command], env=env, **options)
        for command, env in zip(commands, environments, strict=True)
    ]
    try:
        texts = [process.communicate(timeout=240)[0] for process in running]
        return [(process.returncode, text) for process, text in zip(running, texts, strict=True)]
    finally:
        for process in running:
            process.kill()


def trained(directory, count, devices=2, **task):
    """Each process's exit code, what it printed, and what it left: see worker.py for the tasks."""
    task = {"coordinator": f"127.0.0.1:{free_port()}", "processes": count, "out": str(directory / "run"), **task}
    commands = [["-m", "tests.training.worker", json.dumps(task | {"process": index})] for index in range(count)]
    ends = started(commands, [environment(devices)] * count)
    return [(code, text, left_by(directory, index)) for index, (code, text) in enumerate(ends)]


def left_by(directory, index):
    """The numbers that a process wrote at its end; None where it had none."""
    file = directory / f"run.{index}.json"
    return json.loads(file.read_text()) if file.exists() else None
