"""``jaxgraphs train``: a job by name, reported beside its trivial baseline."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from jaxgraphs.cli.distributed import joined
from jaxgraphs.io.archive import save
from jaxgraphs.jobs import JOBS, Options
from jaxgraphs.training.processes import is_first

INTERRUPTED = "interrupted"
"""How a history says so."""
CHOICES = ("data", "task", "size", "model", "epochs", "seed", "resume")


def run(options: argparse.Namespace) -> None:
    """Trains, saves where asked, and reports.

    Raises: GraphError when the job refuses.
    """
    chosen: dict[str, Any] = {name: getattr(options, name) for name in CHOICES}
    chosen |= {"targets": tuple(options.target or ()), "inputs": tuple(options.input or ())}
    is_one_of_several = options.distributed or options.coordinator is not None
    mesh = joined(options.coordinator, options.processes, options.process) if is_one_of_several else None
    outcome = JOBS[options.job].run(Options(**chosen, verbose=0 if options.json else 1, mesh=mesh))
    if mesh is not None and not is_first():
        return
    report, results = dict(outcome.report), dict(outcome.results)
    if options.save:
        save(options.save, outcome.graph, outcome.variables, extra={"job": options.job, **outcome.extra})
        report["saved"], results["saved"] = options.save, options.save
    print(json.dumps(results) if options.json else _in_lines(report))
    if results.get("stopped") == INTERRUPTED:
        # The model was kept and reported as it was then; the exit code tells that it is not the whole.
        raise KeyboardInterrupt


def _in_lines(report: Mapping[str, str]) -> str:
    width = max(map(len, report))
    return "\n".join(["", *(f"{label.ljust(width)}  {text}" for label, text in report.items())])
