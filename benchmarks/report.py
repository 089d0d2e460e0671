"""What was measured as a table, as a picture, and as JSON beside the machine and the versions.

Run as ``python -m benchmarks.report FILE`` it prints the tables of a page from the JSON.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.workloads import WORKLOADS

BASE = "Flax Linen"
Results = Mapping[str, Mapping[str, Mapping[str, Any]]]


def machine() -> dict[str, Any]:
    """Where it was measured."""
    names = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    total = [int(line.split()[1]) // 2**20 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": total[0] if total else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").split("\n")
    except OSError:
        return []


def rows(results: Results) -> list[list[str]]:
    """One line for each workload and peer: step, its ratio to Linen's, and the rest."""
    lines = []
    for name, peers in results.items():
        base = _median(peers.get(BASE, {}))
        for peer, found in peers.items():
            if "failed" in found:
                lines.append([WORKLOADS[name].title, peer, f"failed: {found['failed'][:40]}"] + [""] * 7)
                continue
            step = _median(found)
            ratio = f"{step / base:.2f}" if base and step else ""
            first = found.get("first_step", {})
            predict = {int(size): _ms(value.get("median")) for size, value in found.get("predict", {}).items()}
            lines.append(
                [
                    *(WORKLOADS[name].title, peer, _ms(step), ratio, _ms(found.get("fit", {}).get("median"))),
                    *(_s(first.get("cold")), _s(first.get("warm"))),
                    *(predict.get(1, ""), next((f"{text} ({size})" for size, text in predict.items() if size > 1), "")),
                    f"{found['memory']:.0f}" if found.get("memory") else "",
                ]
            )
    return lines


HEADINGS = (
    *("workload", "peer", "step ms", "to Linen", "fit ms/step", "first s", "cached s"),
    *("predict 1 ms", "predict ms (batch)", "peak MiB"),
)


def markdown(results: Results) -> str:
    """The table for a page."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows(results))])


def ratios(results: Results) -> str:
    """The training steps of jaxgraphs to Linen's and to the quickest of all peers', as a table for a page."""
    peers = list(dict.fromkeys(peer for found in results.values() for peer in found))
    ours = [peer for peer in peers if peer.startswith("jaxgraphs")]
    lines = ["| training step | " + " | ".join(f"{peer}: to Linen, to the best peer" for peer in ours) + " |"]
    lines.append("|" + "---|" * (len(ours) + 1))
    every: dict[str, list[float]] = {peer: [] for peer in ours}
    for name, found in results.items():
        others = {peer: step for peer in found if peer not in ours and (step := _median(found[peer]))}
        best = min(others, key=lambda peer: others[peer], default="")
        cells = []
        for peer in ours:
            step = _median(found.get(peer, {}))
            every[peer] += [step / others[BASE]] if step and BASE in others else []
            cells.append(f"{_over(step, others.get(BASE))}, {_over(step, others.get(best))} ({best})")
        lines.append(f"| {WORKLOADS[name].title} | {' | '.join(cells)} |")
    means = [f"{math.exp(sum(map(math.log, each)) / len(each)):.2f}" if each else "" for each in every.values()]
    return "\n".join([*lines, f"| geometric mean | {' | '.join(means)} |"])


def _over(step: float, base: float | None) -> str:
    return f"{step / base:.2f}" if step and base else "?"


def main(path: str) -> None:
    """Prints the tables."""
    written = json.loads(Path(path).read_text("utf-8"))
    print(ratios(written["results"]), markdown(written["results"]), sep="\n\n")


def show(results: Results) -> None:
    """The table in a terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*HEADINGS)
    previous = None
    for row in rows(results):
        if previous not in (None, row[0]):
            table.add_section()
        table.add_row(row[0] if row[0] != previous else "", *row[1:])
        previous = row[0]
    Console(width=160).print(table)


def plot(results: Results, path: Path) -> bool:
    """Each peer's step as a ratio to Linen's, by workload; False where matplotlib is not there."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.add_subplot()
    shown = {name: peers for name, peers in results.items() if _median(peers.get(BASE, {}))}
    names = list(dict.fromkeys(peer for peers in shown.values() for peer in peers))
    width = 0.8 / max(len(names), 1)
    for number, peer in enumerate(names):
        ratios = [(_median(peers.get(peer, {})) or float("nan")) / _median(peers[BASE]) for peers in shown.values()]
        axes.bar([place + number * width for place in range(len(shown))], ratios, width, label=peer)
    axes.axhline(1.0, color="0.4", linewidth=0.8)
    axes.set_xticks(
        [place + 0.4 - width / 2 for place in range(len(shown))], [WORKLOADS[name].title for name in shown], fontsize=8
    )
    axes.set_ylabel("training step, ratio to Flax Linen")
    axes.legend(fontsize=7, ncols=len(names), loc="upper center", bbox_to_anchor=(0.5, 1.12), frameon=False)
    figure.savefig(path, dpi=100)
    return True


def write(path: Path, results: Results, more: Mapping[str, Any]) -> None:
    """The JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine(), **more, "results": results}, indent=1) + "\n", "utf-8")


def _median(found: Mapping[str, Any]) -> float:
    value = found.get("step", {}).get("median")
    return value if value and value == value else 0.0


def _ms(seconds: float | None) -> str:
    return (
        "" if not seconds or seconds != seconds else f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:.0f}"
    )


def _s(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f}"


if __name__ == "__main__":
    main(sys.argv[1])
