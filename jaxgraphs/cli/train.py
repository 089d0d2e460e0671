"""``jaxgraphs train``: a job by name, reported beside its trivial baseline."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

from jaxgraphs.cli.distributed import joined
from jaxgraphs.errors import GraphKeyError, did_you_mean
from jaxgraphs.io.archive import save
from jaxgraphs.jobs import JOBS, Options
from jaxgraphs.training.processes import is_first

CHOICES = ("data", "task", "size", "model", "epochs", "seed", "resume")


def run(options: argparse.Namespace) -> None:
    """Trains, saves where asked, and reports.

    Raises: GraphError when there is no such job, or the job refuses.
    """
    if options.job not in JOBS:
        raise GraphKeyError(
            f"There is nothing to train called {options.job!r}.", expected=did_you_mean(options.job, list(JOBS))
        )
    chosen = {name: getattr(options, name) for name in CHOICES}
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


def _in_lines(report: Mapping[str, str]) -> str:
    width = max(map(len, report))
    return "\n".join(["", *(f"{label.ljust(width)}  {text}" for label, text in report.items())])
