"""``jaxgraphs plot``: a model as a picture."""

from __future__ import annotations

import argparse
import json

from jaxgraphs.cli.named import graph_of


def run(options: argparse.Namespace) -> None:
    """Writes the picture in the format of the file's name."""
    graph_of(options.model).plot(options.out)
    print(json.dumps({"written": options.out}) if options.json else f"wrote {options.out}")
