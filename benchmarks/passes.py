"""What each pass costs and gains: a training step with all passes, without one of them, and with none.

Run as ``python -m benchmarks.passes``. All are in one process and take turns; a pass that rewrites nothing in a
workload is left out there.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jaxgraphs as jg
from benchmarks import report
from benchmarks.peers.ours import build, graph_of, versions
from benchmarks.workloads import WORKLOADS, Subject

SMALL = tuple(name for name, workload in WORKLOADS.items() if not workload.is_large)


def fired(workload: str) -> list[str]:
    """The names of the passes that rewrite something when the workload is trained."""
    trainer = jg.Trainer(graph_of(WORKLOADS[workload]), "rmsprop", list(WORKLOADS[workload].losses))
    plan = trainer.plan()
    return [entry.name for entry in (plan.logits, *plan.training.entries) if entry.notes]


def measure(workloads: Sequence[str] = SMALL, turns: int = 3, steps: int = 5) -> dict[str, dict[str, float]]:
    """Workload -> which passes -> seconds of a step."""
    return {name: _measure(name, turns, steps) for name in workloads}


def _measure(name: str, turns: int, steps: int) -> dict[str, float]:
    names = fired(name)
    choices: dict[str, Any] = {"all": "all", "none": None}
    choices |= {f"without {one}": [other for other in names if other != one] for one in names}
    subjects = {label: build(WORKLOADS[name], passes=passes) for label, passes in choices.items()}
    times: dict[str, list[float]] = {label: [] for label in subjects}
    for _ in range(turns):
        for label, subject in subjects.items():
            times[label] += _steps(subject, steps)
    return {label: statistics.median(values) for label, values in times.items()}


def _steps(subject: Subject, count: int) -> list[float]:
    subject.step()
    moments = [time.perf_counter()]
    for _ in range(count):
        subject.step()
        moments.append(time.perf_counter())
    return [after - before for before, after in itertools.pairwise(moments)]


def table(results: dict[str, dict[str, float]]) -> str:
    """The measurements, as ratios to the step with all passes."""
    lines = []
    for name, times in results.items():
        base = times["all"]
        lines.append(f"{WORKLOADS[name].title}: {base * 1e3:.1f} ms with all passes")
        lines += [f"    {label:<28}{seconds / base:>6.2f}" for label, seconds in times.items() if label != "all"]
    return "\n".join(lines)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workloads", nargs="+", default=SMALL, choices=SMALL)
    parser.add_argument("--allocator", action="store_true", help="with an allocator that keeps freed memory")
    parser.add_argument("--save", type=Path, help="write the seconds of a step as JSON")
    given = parser.parse_args()
    if given.allocator:
        jg.setup(allocator=True)
    results = measure(given.workloads)
    print(table(results))
    if given.save:
        more = {"versions": versions(), "allocator": given.allocator}
        report.write(given.save, results, more)


if __name__ == "__main__":
    main()
