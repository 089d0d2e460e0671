"""``jaxgraphs summary``: the table of a model's layers."""

from __future__ import annotations

import argparse
import dataclasses
import json

from jaxgraphs.cli.named import graph_of


def run(options: argparse.Namespace) -> None:
    """Prints the table, or its rows as JSON."""
    summary = graph_of(options.model).summary(cost=options.cost)
    if options.json:
        print(json.dumps([dataclasses.asdict(row) for row in summary.rows], default=str))
    else:
        print(summary)
