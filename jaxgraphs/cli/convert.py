"""``jaxgraphs convert``: a Keras model as one file of ours, or a model of ours as Keras' weights."""

from __future__ import annotations

import argparse
import json
from typing import Any

from jaxgraphs.io.archive import save
from jaxgraphs.io.keras.read import from_keras
from jaxgraphs.io.keras.verify import listing, outputs_apart
from jaxgraphs.io.keras.write import to_keras_weights


def run(options: argparse.Namespace) -> None:
    """Converts, and compares or lists where asked.

    Raises: GraphError when the file cannot be read or holds what is not supported.
    """
    graph, variables = from_keras(options.source)
    report: dict[str, Any] = {"source": options.source, "layers": len(graph.layers), "params": graph.count_params()}
    if options.verify:
        report["error"] = outputs_apart(options.source, graph, variables)
    if options.out.endswith(".weights.h5"):
        to_keras_weights(graph, variables, options.out)
    else:
        save(options.out, graph, variables)
    report["saved"] = options.out
    if options.layers:
        report["each"] = listing(graph)
    print(json.dumps(report) if options.json else _in_lines(report))


def _in_lines(report: dict[str, Any]) -> str:
    lines = [f"{row['name']:<40} {row['kind']:<24} {row['arrays']}" for row in report.get("each", ())]
    lines.append(f"{report['source']}: {report['layers']} layers, {report['params']:,} parameters")
    if "error" in report:
        lines.append(f"outputs agree with Keras' to {report['error']:.1e}, relative to the largest")
    return "\n".join([*lines, f"saved {report['saved']}"])
