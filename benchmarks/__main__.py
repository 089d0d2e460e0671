"""jaxgraphs beside hand-written Flax, Keras 3 and PyTorch: ``python -m benchmarks``.

Each framework is a process that is kept alive, and they take turns. Those that are not installed are left out by name;
``--python "PyTorch=/path/to/python"`` names an interpreter that has one.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import report, turns
from benchmarks.worker import PEERS
from benchmarks.workloads import WORKLOADS

RESULTS = Path(__file__).parent / "results"
QUICK = ("question_answering", "residual_block")


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, shows and writes."""
    given = _parser().parse_args(argv)
    began = time.monotonic()
    workloads = given.workloads or (list(QUICK) if given.quick else list(WORKLOADS))
    effort = (
        turns.Effort(2, 0.3, given.measures)
        if given.quick
        else turns.Effort(given.turns, given.seconds, given.measures)
    )
    pythons = dict(pair.split("=", 1) for pair in given.python)
    results: dict[str, Any] = {}
    more: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as cache, _Progress(len(workloads)) as progress:
        peers, missing = turns.start(given.peers, pythons, cache, progress.tell)
        more |= {"versions": {peer.name: peer.versions for peer in peers}, "missing": missing, "turns": effort.turns}
        with contextlib.ExitStack() as stack:
            for peer in peers:
                stack.callback(peer.close)
            for name in workloads:
                results[name] = turns.measure(name, peers, effort, progress.tell)
                # What was measured stays when the rest is interrupted.
                report.write(given.out, results, more | {"seconds": time.monotonic() - began})
                progress.advance()
    more["seconds"] = time.monotonic() - began
    if given.parts and not given.quick:
        more["graph_size"], more["passes"] = _parts()
    report.show(results)
    for name, why in missing.items():
        print(f"left out: {name} ({why})")
    report.write(given.out, results, more)
    picture = given.out.with_suffix(".png")
    drawn = report.plot(results, picture)
    print(f"wrote {given.out}" + (f" and {picture}" if drawn else "; no plot, for matplotlib is not there"))
    return 0


def _parts() -> tuple[Any, Any]:
    from benchmarks import graph_size, passes

    return {size: graph_size.measure(size) for size in graph_size.SIZES}, passes.measure()


class _Progress:
    """What is being done, on one line."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
        self.bar = Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True))
        self.task = self.bar.add_task("", total=total)

    def __enter__(self) -> _Progress:
        self.bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.stop()

    def tell(self, text: str) -> None:
        self.bar.update(self.task, description=text)

    def advance(self) -> None:
        self.bar.advance(self.task)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two workloads for about a minute")
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), metavar="NAME", help=", ".join(WORKLOADS))
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=_usual(), metavar="NAME", help=_names(PEERS))
    parser.add_argument(
        "--measures",
        nargs="+",
        choices=turns.MEASURES,
        default=turns.MEASURES,
        metavar="NAME",
        help=_names(turns.MEASURES),
    )
    parser.add_argument("--turns", type=int, default=3, help="how often each peer has its turn")
    parser.add_argument("--seconds", type=float, default=0.7, help="how long a turn is; a longer step is made once")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help="the interpreter of a peer")
    parser.add_argument("--out", type=Path, default=RESULTS / "peers.json", help="where the results are written")
    parser.add_argument(
        "--parts", action="store_true", help="also graph size against build and trace time, and each pass on and off"
    )
    return parser


def _usual() -> list[str]:
    return [name for name in PEERS if name != "jaxgraphs, no passes"]


def _names(things: Any) -> str:
    return ", ".join(things)


if __name__ == "__main__":
    raise SystemExit(main())
