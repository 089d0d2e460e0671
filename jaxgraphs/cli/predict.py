"""``jaxgraphs predict``: a saved model asked about a story, about rows of a file, or about arrays."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxgraphs.errors import GraphError, GraphValueError
from jaxgraphs.io.archive import load
from jaxgraphs.jobs.answering import answer, answerer_of
from jaxgraphs.jobs.asking import ask_arrays, ask_rows
from jaxgraphs.writing import replacing

STORY = "--story 'Mary is in the hall.' --question 'Where is Mary?'"


def run(options: argparse.Namespace) -> None:
    """Prints or writes what the model says.

    Raises: GraphError when the model cannot be asked in this way, or the file does not fit it.
    """
    saved = load(options.file, with_extra=True)
    # What turns rows into inputs may be saved by itself, as the first steps do.
    extra = saved[2] if isinstance(saved[2], Mapping) else {"table": saved[2]} if isinstance(saved[2], str) else {}
    if "questions" in extra and options.data is not None:
        raise GraphValueError(
            "This model answers questions about stories.", received=f"--data {options.data}", fix=STORY
        )
    if "questions" in extra:
        return _converse(options, saved)
    if options.data is None:
        raise GraphValueError(
            f"{options.file} holds a model that does not answer questions about stories.",
            fix="give it --data FILE: rows with named columns, or arrays as .npy or .npz",
        )
    if options.data.endswith((".npy", ".npz")):
        return _put(ask_arrays(saved[0], saved[1], options.data), options)
    if "table" not in extra:
        raise GraphValueError(
            "The model was saved without what turns rows into its inputs.",
            received=options.data,
            fix="give it arrays by input name, as .npy or .npz",
        )
    return _put(ask_rows(saved[0], saved[1], extra["table"], options.data), options)


def _converse(options: argparse.Namespace, saved: Any) -> None:
    story = options.story or _ask("story: ")
    question = options.question or _ask("question: ")
    answerer = answerer_of(saved, options.file)
    unknown = answerer.unknown_words(story, question)
    if unknown:
        print(f"words that the model has not learned: {', '.join(unknown)}", file=sys.stderr)
    began = time.monotonic()
    answers = answer(answerer, story, question)
    seconds = time.monotonic() - began
    if options.json:
        found = [{"answer": word, "probability": p} for word, p in answers]
        print(json.dumps({"answers": found, "seconds": seconds}))
    else:
        print("\n".join(f"{probability:.3f}  {word}" for word, probability in answers))


def _ask(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError as error:
        raise GraphError(f"No {prompt.rstrip(': ')} was given.", fix=STORY) from error


def _put(columns: Mapping[str, Any], options: argparse.Namespace) -> None:
    """The predictions where they are wanted: one column an output, one line a row."""
    if options.out is None:
        print(json.dumps(_lists(columns)) if options.json else _table(columns))
        return
    if options.out.endswith(".npz"):
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {name: np.asarray(values) for name, values in columns.items()}
        np.savez(buffer, **arrays)
        content = buffer.getvalue()
    elif options.out.endswith(".csv"):
        content = _table(columns).encode()
    else:
        raise GraphValueError("Predictions are written as .csv or .npz.", received=options.out)
    with replacing(options.out) as beside:
        beside.write_bytes(content)
    count = len(next(iter(columns.values())))
    done = {"written": options.out, "rows": count}
    print(json.dumps(done) if options.json else f"wrote {count:,} rows to {options.out}")


def _lists(columns: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: np.asarray(values).tolist() for name, values in columns.items()}


def _table(columns: Mapping[str, Any]) -> str:
    """CSV; an output of several numbers has a column for each."""
    named: dict[str, Sequence[Any]] = {}
    for name, values in columns.items():
        flat = np.asarray(values).reshape(len(values), -1)
        for index in range(flat.shape[1]):
            named[name if flat.shape[1] == 1 else f"{name}_{index}"] = flat[:, index].tolist()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(named)
    writer.writerows(zip(*named.values(), strict=True))
    return text.getvalue()
