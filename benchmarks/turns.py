"""The peers in turn: each workload is built by all, then each makes some steps, again and again.

A machine drifts while it is measured; what is measured close together is comparable, so that the ratio is the result.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.worker import LONG
from benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).parent.parent
MEASURES = ("first_step", "step", "fit", "predict", "memory")


class Peer:
    """A worker process.

    Args:
        name: of the peer.
        python: the interpreter that has it.
        cache: a directory for compiled programs.
    """

    def __init__(self, name: str, python: str, cache: str) -> None:
        self.name = name
        command = [python, "-m", "benchmarks.worker", name, cache]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        hello = self._read()
        self.missing: str | None = hello.get("missing")
        self.versions: dict[str, str] = hello.get("versions", {})

    def ask(self, do: str, **arguments: Any) -> Any:
        """The worker's answer; None where it failed, which `failed` then explains."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            reply = self._read()
        except BrokenPipeError:
            reply = {"error": "the process ended"}
        self.failed: str | None = reply.get("error") or reply.get("missing")
        return reply.get("answer")

    def close(self) -> None:
        """Ends the worker."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"missing": "the process ended"}


@dataclasses.dataclass(frozen=True)
class Effort:
    """How long is measured.

    Args:
        turns: how often each peer has its turn.
        seconds: how long a turn is; a step that takes longer is made once.
        measures: which of MEASURES are taken.
    """

    turns: int = 3
    seconds: float = 1.0
    measures: Sequence[str] = MEASURES


Tell = Callable[[str], None]


def measure(name: str, peers: Sequence[Peer], effort: Effort, tell: Tell) -> dict[str, dict[str, Any]]:
    """One workload by all peers: peer -> what was measured, times in seconds, memory in MiB."""
    found: dict[str, dict[str, Any]] = {}
    for peer in peers:
        tell(f"{name}: {peer.name} builds")
        built = peer.ask("build", workload=name)
        found[peer.name] = {"failed": peer.failed} if built is None else {"first_step": built}
    able = [peer for peer in peers if "failed" not in found[peer.name]]
    for measurement in ("step", "fit", "predict", "memory"):
        if measurement in effort.measures:
            tell(f"{name}: {measurement}")
            _TAKEN[measurement](name, able, effort, found)
    if "first_step" not in effort.measures:
        for row in found.values():
            row.pop("first_step", None)
    return found


def _steps(name: str, peers: Sequence[Peer], effort: Effort, found: dict[str, Any]) -> None:
    times: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for turn in range(effort.turns):
        for peer in peers:
            if turn == 0 or statistics.median(times[peer.name]) < LONG:
                times[peer.name] += peer.ask("step", seconds=effort.seconds) or []
    for peer in peers:
        found[peer.name]["step"] = spread(times[peer.name])


def _fits(name: str, peers: Sequence[Peer], effort: Effort, found: dict[str, Any]) -> None:
    for peer in peers:
        step = found[peer.name].get("step", {}).get("median") or 1.0
        steps = max(1, min(32, int(effort.seconds / step)))
        if step < 4 * effort.seconds:
            # The first fit may compile what a single step does not need.
            times = [peer.ask("fit", steps=steps) for _ in range(3)][1:]
            found[peer.name]["fit"] = spread([value for value in times if value])


def _predictions(name: str, peers: Sequence[Peer], effort: Effort, found: dict[str, Any]) -> None:
    for batch in WORKLOADS[name].predicted:
        times: dict[str, list[float]] = {peer.name: [] for peer in peers}
        for _ in range(2):
            for peer in peers:
                times[peer.name] += peer.ask("predict", batch=batch, seconds=effort.seconds / 4) or []
        for peer in peers:
            found[peer.name].setdefault("predict", {})[str(batch)] = spread(times[peer.name])


def _memory(name: str, peers: Sequence[Peer], effort: Effort, found: dict[str, Any]) -> None:
    for peer in peers:
        found[peer.name]["memory"] = peer.ask("peak")


_TAKEN: Mapping[str, Callable[[str, Sequence[Peer], Effort, dict[str, Any]], None]] = {
    "step": _steps,
    "fit": _fits,
    "predict": _predictions,
    "memory": _memory,
}


def spread(times: Sequence[float]) -> dict[str, float]:
    """Median, quartiles and number of some times.

    >>> spread([3.0, 1.0, 2.0])
    {'median': 2.0, 'low': 1.5, 'high': 2.5, 'count': 3}
    """
    if not times:
        return {"median": float("nan"), "low": float("nan"), "high": float("nan"), "count": 0}
    quartiles = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else [times[0]] * 3
    return {"median": quartiles[1], "low": quartiles[0], "high": quartiles[2], "count": len(times)}


def start(
    names: Sequence[str], pythons: Mapping[str, str], cache: str, tell: Tell
) -> tuple[list[Peer], dict[str, str]]:
    """The peers that are there; and of those that are not, why."""
    peers, missing = [], {}
    for number, name in enumerate(names):
        tell(f"starting {name}")
        # Each has a cache of its own, or one would compile for another.
        peer = Peer(name, pythons.get(name, sys.executable), f"{cache}/{number}")
        if peer.missing is None:
            peers.append(peer)
        else:
            missing[name] = peer.missing
            peer.close()
    return peers, missing
