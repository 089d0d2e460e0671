"""Runs that are killed at random moments, again and again, and must end as if nothing had happened.

    python -m benchmarks.kills --kills 200 --out benchmarks/results/kills.json

A child process trains with `resume=`; SIGKILL ends it at a random moment: while it starts, between two steps, in a
step, in a callback, in the midst of writing a checkpoint. It is started again until it ends by itself. Then params,
model state, optimizer state, history, what the callbacks remember and the files that they wrote must equal, bit for
bit, those of the same training without any checkpoint or kill.

Children are forked from a process that has imported everything and computed nothing, so that a start takes a second.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import jax

import jaxgraphs as jg
from benchmarks.kill_runs import SCENARIOS, train

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["benchmarks.kill_runs", "orbax.checkpoint", "jaxgraphs.training.trainer", "grain"])
PATIENCE = 300.0


class Dies(jg.callbacks.Callback):
    """Kills its own process at the event of a number: a hook of a callback, or a call that commits files."""

    def __init__(self, at: int) -> None:
        self.left = at
        for hook in ("train_begin", "epoch_begin", "epoch_end", "batch_begin", "batch_end", "train_end"):
            setattr(self, f"on_{hook}", lambda run: self._count())
        for name in ("fsync", "rename", "replace", "unlink"):
            setattr(os, name, self._counted(getattr(os, name)))

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._count()
            return function(*args, **kwargs)

        return counted


class _Tells(jg.callbacks.Callback):
    """Says when training begins."""

    def __init__(self, connection: Connection) -> None:
        self.connection: Connection | None = connection

    def on_batch_begin(self, run: Any) -> None:
        if self.connection is not None:
            self.connection.send("training")
        self.connection = None


def _child(name: str, folder: Path, die_at: int, is_saved: bool, connection: Connection) -> None:
    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_compilation_cache_dir", str(Path(tempfile.gettempdir()) / "jaxgraphs-kills"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    callbacks = (_Tells(connection), *((Dies(die_at),) if die_at else ()))
    connection.send(json.dumps(train(name, folder, is_saved=is_saved, callbacks=callbacks)))


def run_child(
    name: str,
    folder: Path,
    *,
    die_at: int = 0,
    kill_after: float | None = None,
    of: str = "start",
    is_saved: bool = True,
) -> dict[str, Any] | None:
    """Starts the training once more; its result, or None where it was killed.

    Args:
        die_at: the event at which it kills itself; never where 0.
        kill_after: the seconds after which it is killed, counted from its "start" or from its first step, "training".
    """
    ours, theirs = FORKING.Pipe(duplex=False)
    child = FORKING.Process(target=_child, args=(name, folder, die_at, is_saved, theirs))
    child.start()
    theirs.close()
    try:
        if of == "training":
            _received(ours)
        if kill_after is not None and not (child.join(kill_after) or child.exitcode is not None):
            child.kill()
        said = [text for text in iter(partial(_received, ours), None) if text != "training"]
        child.join(PATIENCE)
    finally:
        child.kill()
        child.join()
        ours.close()
    if child.exitcode not in (0, -signal.SIGKILL):
        raise SystemExit(f"the child of {name} failed with status {child.exitcode}")
    return json.loads(said[-1]) if child.exitcode == 0 else None


def _received(connection: Connection) -> str | None:
    """What the child says next; None where it is gone."""
    try:
        if connection.poll(PATIENCE):
            return connection.recv()
    except EOFError:
        return None
    raise SystemExit("a child hangs")


def survive(name: str, kills: int, generator: random.Random, expected: dict[str, Any], report: Any) -> dict[str, Any]:
    """One run that is killed up to `kills` times; how it went.

    A third of the kills come at a random time from the start, a third from the first step, a third at a random event,
    of which many lie within a save.
    """
    made = in_saves = 0
    with tempfile.TemporaryDirectory() as place:
        folder, result = Path(place), None
        while result is None:
            result = run_child(name, folder, **(_moment(generator) if made < kills else {}))
            if result is None:
                made += 1
                in_saves += any((folder / "run").glob(".unfinished-*"))
                report(made)
    differing = [part for part in expected if result[part] != expected[part]]
    return {"scenario": name, "kills": made, "in_saves": in_saves, "differing": differing}


def _moment(generator: random.Random) -> dict[str, Any]:
    kind = generator.randrange(3)
    if kind == 0:
        return {"die_at": generator.randrange(1, 60)}
    return {"kill_after": generator.uniform(0.0, 1.0 if kind == 1 else 2.0), "of": ("training", "start")[kind - 1]}


def expected_of(name: str) -> dict[str, Any]:
    """What the run without checkpoints and kills gives."""
    with tempfile.TemporaryDirectory() as place:
        result = run_child(name, Path(place), is_saved=False)
    assert result is not None
    return result


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--per-run", type=int, default=8, help="kills of one run before it may end")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where the result is written, as JSON")
    given = parser.parse_args()
    began, generator, runs = time.monotonic(), random.Random(given.seed), []
    expected = {name: expected_of(name) for name in SCENARIOS}
    while (made := sum(run["kills"] for run in runs)) < given.kills:
        name = list(SCENARIOS)[len(runs) % len(SCENARIOS)]
        show = partial(_show, name, made, given.kills)
        runs.append(survive(name, min(given.per_run, given.kills - made), generator, expected[name], show))
        print(f"\n{name}: {', '.join(runs[-1]['differing']) or 'nothing'} differs", flush=True)
        if given.out:
            # After each run, so that the benchmark itself may be ended.
            about = {"seed": given.seed, "seconds": round(time.monotonic() - began), "jax": jax.__version__}
            text = json.dumps({"total": _total(runs), **about, "runs": runs}, indent=1)
            given.out.write_text(text + "\n", "utf-8")
    total = _total(runs)
    print("\n| kills | within a save | runs | runs that differ |\n|---|---|---|---|")
    print(f"| {' | '.join(map(str, total.values()))} |")
    sys.exit(1 if total["differing"] else 0)


def _show(name: str, before: int, wanted: int, kills: int) -> None:
    print(f"\r{before + kills} of {wanted} kills, {name}   ", end="", flush=True)


def _total(runs: list[dict[str, Any]]) -> dict[str, int]:
    sums = {name: sum(run[name] for run in runs) for name in ("kills", "in_saves")}
    return {**sums, "runs": len(runs), "differing": sum(bool(run["differing"]) for run in runs)}


if __name__ == "__main__":
    main()
