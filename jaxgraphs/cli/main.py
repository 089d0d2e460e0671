"""From the words of a command line to its exit code; errors are one readable block."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from jaxgraphs.cli.arguments import PAGE, parser
from jaxgraphs.cli.distributed import watched
from jaxgraphs.errors import GraphError
from jaxgraphs.startup import setup

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
WISHES = ("cache", "allocator", "host_devices")
"""The options that `jg.setup` knows."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after ``jaxgraphs``; the process' own where left out.
    Returns: the exit code: 0 done, 1 an error that is explained, 2 wrong usage, 130 interrupted.
    """
    words = sys.argv[1:] if argv is None else argv
    if not words:
        print(PAGE, file=sys.stderr)
        return USAGE
    options = parser().parse_args(words)
    if getattr(options, "distributed", False) or getattr(options, "coordinator", None):
        return watched(lambda: _run(options))
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        _start(options)
        options.command(options)
        sys.stdout.flush()
    except (GraphError, OSError, ImportError) as error:
        if options.debug:
            raise
        _explain(_text(error), options)
        return getattr(error, "status", FAILED)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return OK


def _start(options: argparse.Namespace) -> None:
    """Arranges what has to be arranged before JAX is imported, where the options ask for it."""
    wishes = {name: value for name in WISHES if (value := getattr(options, name, None))}
    if wishes:
        setup(**wishes)


def _text(error: Exception) -> str:
    """What went wrong, in words."""
    if isinstance(error, FileNotFoundError):
        return f"There is no such file: {error.filename}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    return str(error)


def _explain(text: str, options: argparse.Namespace) -> None:
    """One readable block."""
    if options.json:
        print(json.dumps({"error": text}))
    else:
        print(f"error: {text}", file=sys.stderr)
