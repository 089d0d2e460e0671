"""The committed results as pictures: ``python -m benchmarks.plot`` reads benchmarks/results and writes docs/images.

``python -m benchmarks.plot speed members`` draws some. Nothing is measured; the same numbers give the same file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import BASE
from benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).parents[1]
RESULTS, IMAGES = ROOT / "benchmarks" / "results", ROOT / "docs" / "images"
OURS, OTHER, GREY = "#c2255c", "#1971c2", "#868e96"
PEERS = {
    "jaxgraphs": ("D", OURS, OURS),
    "jaxgraphs, set up": ("D", OURS, "white"),
    "Flax Linen": ("o", GREY, GREY),
    "Keras on JAX": ("o", OTHER, "white"),
    "Keras on TensorFlow": ("^", "#2f9e44", "white"),
    "PyTorch": ("s", "#e8590c", "white"),
}
"""Marker, edge and filling: ours stand out, and shapes tell what colours may not."""
ON_A_GPU = {
    "jaxgraphs": ("jaxgraphs", "D", OURS, OURS),
    "torch": ("PyTorch", "s", "#e8590c", "white"),
    "torch_compiled": ("PyTorch, compiled", "s", "#e8590c", "#e8590c"),
}
"""Label, marker, edge and filling."""
Results = Mapping[str, Any]


def speed(found: Results) -> Any:
    """Each peer's training step as a ratio to hand-written Linen's, a row for each workload."""
    shown = {name: peers for name, peers in found["results"].items() if _step(peers.get(BASE, {}))}
    figure, axes = _panels(1, (7.6, 1.5 + 0.42 * len(shown)))
    for row, peers in enumerate(shown.values()):
        axes.axhline(row, color="#e9ecef", linewidth=1, zorder=0)
        for peer, (marker, edge, filling) in PEERS.items():
            if step := _step(peers.get(peer, {})):
                looks = {"edgecolors": edge, "facecolors": filling, "zorder": 3 if edge == OURS else 2}
                axes.scatter(step / _step(peers[BASE]), row, s=52, marker=marker, linewidths=1.4, **looks)
    for peer, (marker, edge, filling) in PEERS.items():
        if any(_step(peers.get(peer, {})) for peers in shown.values()):
            axes.plot([], [], marker, color=edge, markerfacecolor=filling, label=peer)
    axes.axvline(1, color=GREY, linewidth=1, zorder=0)
    axes.set_xscale("log")
    axes.set_xticks(ticks := _ticks(axes.get_xlim()), [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(shown)), [WORKLOADS[name].title for name in shown])
    axes.invert_yaxis()
    axes.set_xlabel("time of a training step, as a ratio to hand-written Flax Linen's (further left is faster)")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return figure


def gpu(found: Results) -> Any:
    """Each framework's training step on a GPU as a ratio to hand-written Linen's, by workload and precision."""
    steps = {(row["workload"], row["precision"], row["framework"]): row["seconds"] for row in found["rows"]}
    shown = [key for key in dict.fromkeys(key[:2] for key in steps) if (*key, "linen") in steps]
    figure, axes = _panels(1, (7.6, 1.5 + 0.27 * len(shown)))
    for framework, (label, marker, edge, filling) in ON_A_GPU.items():
        places = [(row, steps.get((*key, framework), 0) / steps[*key, "linen"]) for row, key in enumerate(shown)]
        rows, ratios = zip(*[(row, ratio) for row, ratio in places if ratio], strict=True)
        axes.scatter(ratios, rows, s=40, marker=marker, edgecolors=edge, facecolors=filling, label=label, zorder=2)
    axes.grid(axis="y", color="#e9ecef")
    axes.set_axisbelow(True)
    axes.axvline(1, color=GREY, linewidth=1, zorder=1)
    axes.set_xscale("log")
    axes.set_xticks(ticks := _ticks(axes.get_xlim()), [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(shown)), [f"{WORKLOADS[name].title}, {precision}" for name, precision in shown])
    axes.invert_yaxis()
    axes.set_xlabel(f"training step on one {found['about']['device']}, as a ratio to hand-written Flax Linen's")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return figure


def members(found: Results) -> Any:
    """Ensembles and sweeps in one compiled step, as a ratio to the same runs in turn."""
    labels = [f"{row['kind']}: {row['name']}" for row in found["rows"]]
    figure, axes = _panels(1, (7.6, 0.9 + 0.3 * len(labels)))
    bars = axes.barh(labels, [row["at_once"] / row["in_turn"] for row in found["rows"]], color=OURS)
    told = [f" {row['at_once']:.2g} s, in turn {row['in_turn']:.2g} s" for row in found["rows"]]
    axes.bar_label(bars, told, fontsize=8)
    axes.axvline(1, color=GREY, linewidth=1)
    axes.set_xlim(0, 1.2)
    axes.invert_yaxis()
    axes.set_xlabel("time of all members at once, as a ratio to one after another")
    return figure


def kills(found: Results) -> Any:
    """Kills of each kind of run, those within a save apart; runs that then differ are named."""
    names = list(dict.fromkeys(run["scenario"] for run in found["runs"]))
    total = {name: sum(run["kills"] for run in found["runs"] if run["scenario"] == name) for name in names}
    inside = {name: sum(run["in_saves"] for run in found["runs"] if run["scenario"] == name) for name in names}
    figure, axes = _panels(1, (7.6, 1.4 + 0.32 * len(names)))
    axes.barh(names, list(inside.values()), color=OURS, label="within a save")
    between = [total[name] - inside[name] for name in names]
    axes.barh(names, between, left=list(inside.values()), color="#dee2e6", label="between saves")
    axes.invert_yaxis()
    sums = found["total"]
    axes.set_xlabel(f"kills; of {sums['runs']} finished runs {sums['differing']} differ from the undisturbed one")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


def remat(found: Results) -> Any:
    """Memory and time of a step with all values kept, and with them computed again."""
    rows = found["rows"]
    figure, axes = _panels(2, (7.6, 2.6))
    for place, key, unit, scale in (
        (axes[0], "bytes", "MiB beside state and batch", 2**20),
        (axes[1], "seconds", "s", 1),
    ):
        ways = {"computed again": "all", "all values kept": "none"}
        columns = {label: [rows[name][way][key] / scale for name in rows] for label, way in ways.items()}
        _pairs(place, list(rows), columns, is_labelled=place is axes[0])
        place.set_xlabel(unit)
    axes[1].set_yticklabels([])
    return figure


def keras_applications(found: Results) -> Any:
    """How far outputs are from Keras' own, for each architecture, with its size."""
    names = sorted(found, key=lambda name: found[name]["params"])
    figure, axes = _panels(1, (7.6, 1.2 + 0.17 * len(names)))
    # On this axis there is no 0; outputs that are equal to the last bit stand at the left edge.
    errors = [max(found[name]["relative_error"], 5e-8) for name in names]
    axes.plot(errors, range(len(names)), "o", color=OURS, markersize=4)
    axes.set_yticks(
        range(len(names)), [f"{name}, {found[name]['params'] / 1e6:.1f} million" for name in names], fontsize=7
    )
    axes.set_xscale("log")
    axes.axvline(1.2e-7, color=GREY, linewidth=1, linestyle=":")
    axes.grid(axis="y", color="#f1f3f5")
    told = "largest difference to Keras' outputs, relative to the largest output"
    axes.set_xlabel(f"{told}\n(dotted: float32's step; at the left edge: equal)")
    return figure


PICTURES: Mapping[str, tuple[str, Callable[[Results], Any]]] = {
    "speed": ("peers.json", speed),
    "gpu": ("gpu.json", gpu),
    "members": ("members.json", members),
    "kills": ("kills.json", kills),
    "remat": ("remat.json", remat),
    "keras_applications": ("keras_applications.json", keras_applications),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Draws all pictures, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=(*PICTURES, []), metavar="NAME", help=", ".join(PICTURES))
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the JSON is")
    parser.add_argument("--images", type=Path, default=IMAGES, help="where the pictures go")
    given = parser.parse_args(argv)
    for name in given.names or PICTURES:
        draw(name, given.results, given.images)
        print(f"wrote {given.images / name}.svg")
    return 0


def draw(name: str, results: Path, images: Path) -> None:
    """Writes one picture; the same file for the same numbers."""
    import matplotlib as mpl

    file, picture = PICTURES[name]
    text = (results / file).read_bytes()
    # White behind it, for pages that are dark.
    settings = {"svg.hashsalt": name, "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with mpl.rc_context(settings):
        metadata = {"Date": None, "Description": mark(text)}
        picture(json.loads(text)).savefig(images / f"{name}.svg", facecolor="white", metadata=metadata)


def mark(text: bytes) -> str:
    """What a picture carries of the results that it shows, so that one can tell whether it is of the latest."""
    return f"results {hashlib.sha256(text).hexdigest()[:16]}"


def _panels(count: int, size: tuple[float, float]) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(1, count, width_ratios=[1] * count)


def _pairs(
    axes: Any, labels: Sequence[str], columns: Mapping[str, Sequence[float]], *, is_labelled: bool = True
) -> None:
    """Two bars for each label, the first ours."""
    for number, ((name, values), colour) in enumerate(zip(columns.items(), (OURS, "#adb5bd"), strict=True)):
        places = [row + 0.36 * number for row in range(len(labels))]
        axes.barh(places, values, 0.34, color=colour, label=name if is_labelled else None)
    axes.set_yticks([row + 0.18 for row in range(len(labels))], labels)
    axes.invert_yaxis()
    if is_labelled:
        axes.figure.legend(loc="outside upper center", ncols=2, frameon=False)


def _ticks(limits: tuple[float, float]) -> list[float]:
    return [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if limits[0] <= tick <= limits[1]]


def _step(found: Mapping[str, Any]) -> float:
    return found.get("step", {}).get("median") or 0.0


if __name__ == "__main__":
    raise SystemExit(main())
