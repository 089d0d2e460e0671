"""``jaxgraphs convert``: a Keras model as one file of ours, or a model of ours for Keras, JAX alone or ONNX."""

from __future__ import annotations

import argparse
import json
from typing import Any

from jaxgraphs.cli.named import KERAS, OURS, read
from jaxgraphs.errors import GraphValueError
from jaxgraphs.io.archive import save
from jaxgraphs.io.keras.verify import listing, outputs_apart
from jaxgraphs.io.keras.write import to_keras_weights
from jaxgraphs.writing import check_place

PROGRAMS = (".stablehlo", ".onnx")
ENDINGS = (*OURS, ".weights.h5", *PROGRAMS)
"""What can be written."""


def run(options: argparse.Namespace) -> None:
    """Converts, and compares or lists where asked.

    Raises: GraphError when the file cannot be read or holds what is not supported.
    """
    _check(options)
    graph, variables = read(options.source)
    report: dict[str, Any] = {"source": options.source, "layers": len(graph.layers), "params": graph.count_params()}
    if options.verify:
        report["error"] = outputs_apart(options.source, graph, variables)
    if options.out.endswith(".weights.h5"):
        to_keras_weights(graph, variables, options.out)
    elif options.out.endswith(PROGRAMS):
        graph.export(variables, options.out)
    else:
        save(options.out, graph, variables)
    report["saved"] = options.out
    if options.layers:
        report["each"] = listing(graph)
    print(json.dumps(report) if options.json else _in_lines(report))


def _check(options: argparse.Namespace) -> None:
    """Raises GraphValueError for a file that cannot be made, before anything is read."""
    if not options.out.endswith(ENDINGS):
        raise GraphValueError(
            "The ending says what is to be written.", received=options.out, expected=", ".join(ENDINGS)
        )
    if options.verify and not options.source.endswith(KERAS):
        raise GraphValueError(
            "Only a file of Keras' can be compared with Keras.", received=options.source, fix="leave out --verify"
        )
    check_place(options.out)


def _in_lines(report: dict[str, Any]) -> str:
    lines = [f"{row['name']:<40} {row['kind']:<24} {row['arrays']}" for row in report.get("each", ())]
    lines.append(f"{report['source']}: {report['layers']} layers, {report['params']:,} parameters")
    if "error" in report:
        lines.append(f"outputs agree with Keras' to {report['error']:.1e}, relative to the largest")
    return "\n".join([*lines, f"saved {report['saved']}"])
