"""``jaxgraphs datasets``: the data that the jobs read. Nothing is downloaded; JAX is not needed to say so."""

from __future__ import annotations

import argparse
import dataclasses
import json


@dataclasses.dataclass(frozen=True)
class Source:
    """Data that a job reads.

    Args:
        name: short.
        holds: in words.
        files: what `--data` points at; empty for data that the package makes or finds by itself.
        origin: who publishes it, under which licence.
        jobs: that read it.
        reader: the function of `jaxgraphs.data`.
    """

    name: str
    holds: str
    files: str
    origin: str
    jobs: tuple[str, ...]
    reader: str


PICTURES = ("inception", "residual", "separable")
SOURCES = (
    Source("stories", "short stories with questions, bAbI's tasks 1, 2, 3 and 6 in kind", "", "made by the package",
           ("question_answering",), "data.stories.generate"),
    Source("babi", "20 tasks of stories with questions", "a directory with en or en-10k",
           "Weston et al. (2015), CC BY 3.0", ("question_answering",), "data.babi.load"),
    Source("titles", "descriptions of films and shows: year, age rating, kind", "netflix_titles.csv, or its directory",
           "Kaggle's netflix-shows, CC0", ("social_posts",), "data.titles.load"),
    Source("descriptions", "the same three targets, told by made-up words", "", "made by the package",
           ("social_posts",), "data.titles.generate"),
    Source("mnist", "70,000 pictures of digits, 28 x 28", "mnist.npz in Keras' layout, or its directory",
           "LeCun et al. (1998)", (*PICTURES, "siamese"), "data.mnist.load"),
    Source("digits", "1,797 pictures of digits, 8 x 8", "", "scikit-learn's, from UCI, CC BY 4.0", PICTURES,
           "data.digits.load"),
    Source("pairs", "pairs of sequences of one source or of two", "", "made by the package", ("siamese",),
           "data.pairs.generate"),
    Source("table", "any file with named columns", "FILE.csv, .jsonl or .parquet, and --target COLUMN", "yours",
           ("table",), "data.table"),
)  # fmt: skip


def run(options: argparse.Namespace) -> None:
    """Prints what there is."""
    if options.json:
        print(json.dumps([dataclasses.asdict(source) for source in SOURCES]))
    else:
        print("\n".join(map(_in_lines, SOURCES)))


def _in_lines(source: Source) -> str:
    used = f"jaxgraphs train {'|'.join(source.jobs)}" if source.jobs else "from Python"
    given = f" --data PATH ({source.files})" if source.files and source.jobs else ""
    return f"{source.name:<13}{source.holds}; {source.origin}\n{'':<13}{used}{given}; jaxgraphs.{source.reader}"
