"""A file of one's own: any named columns predict any others, through a graph that is made to fit them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxgraphs import layers
from jaxgraphs.data.columns import Categories, Column, Encoder, Numbers, Texts
from jaxgraphs.data.rows import column_names, read_rows
from jaxgraphs.data.table import Table, TableEncoder, table
from jaxgraphs.errors import GraphKeyError, GraphValueError, did_you_mean
from jaxgraphs.graph.graph import Graph
from jaxgraphs.jobs.base import Job, Options, Outcome
from jaxgraphs.jobs.fitting import Recipe, fit, form_of
from jaxgraphs.symbolic.node import Input, SymbolicTensor

FORM = "merged"
VOCABULARY, WORDS, WIDTH, HIDDEN = 5_000, 64, 16, 64
RECIPE = Recipe(loss=None, rate=0.001, epochs=20, batch_size=32)
_YES_OR_NO = frozenset({"0", "1", "0.0", "1.0", "true", "false"})


def train(options: Options) -> Outcome:
    """Trains a graph with an input for each column and an output for each target.

    Raises: GraphError when the file or a column is not there, or nothing says what to predict.
    """
    form = form_of(options, "table", [FORM], takes_columns=True)
    data = _read(options)
    graph = graph_for(data.encoder)
    kept = data.train if options.size is None else data.train[: options.size]
    recipe = dataclasses.replace(RECIPE, loss={name: loss_for(data.encoder, name) for name in data.encoder.targets})
    # Numbers are learned, and their errors told, in deviations; this says how much one is in the file's unit.
    numbers = {name: own for name, own in _encoders(data.encoder).items() if isinstance(own, Numbers)}
    scales = {f"deviation of {name}": own.scale for name, own in numbers.items()}
    outcome = fit(
        options,
        graph,
        dataclasses.replace(data, train=kept),
        recipe,
        source=str(options.data),
        form=form,
        extra={"table": data.encoder.to_json()},
        notes=scales,
    )
    return _with_faults(outcome, data)


def graph_for(encoder: TableEncoder) -> Graph:
    """Each column read as its kind is, side by side, through one hidden layer, to an output for each target."""
    inputs = {name: _input(name, own[0].encoder) for name, own in encoder.inputs.items()}
    read = [_reading(tensor, encoder.inputs[name][0].encoder) for name, tensor in inputs.items()]
    merged = layers.concatenate(read) if len(read) > 1 else read[0]
    hidden = layers.Dropout(0.2)(layers.Dense(HIDDEN, activation="relu", name="hidden")(merged))
    outputs = {name: _output(own)(hidden) for name, own in _encoders(encoder).items()}
    return Graph(inputs, outputs, name="table")


def loss_for(encoder: TableEncoder, target: str) -> str:
    """What fits a target: the squared error of numbers, the cross-entropy of classes."""
    own = _encoders(encoder)[target]
    if not isinstance(own, Categories):
        return "mse"
    return "binary_crossentropy" if len(own.categories) == 2 else "sparse_categorical_crossentropy"


def _read(options: Options) -> Table:
    if options.data is None or not options.targets:
        raise GraphValueError(
            "A table needs a file, and a column of it to predict.",
            fix="jaxgraphs train table --data FILE.csv --target COLUMN",
        )
    names = column_names(options.data)
    unknown = next((name for name in (*options.targets, *options.inputs) if name not in names), None)
    if unknown is not None:
        raise GraphKeyError(
            f"There is no column {unknown!r}.", where=options.data, expected=did_you_mean(unknown, names)
        )
    inputs = options.inputs or tuple(name for name in names if name and name not in options.targets)
    return table(
        options.data,
        inputs={name: Column(name, fill="mean", vocabulary=VOCABULARY, length=WORDS) for name in inputs},
        targets={name: _target(options.data, name) for name in options.targets},
        seed=options.seed,
        on_error="skip",
    )


def _target(path: str, name: str) -> Column:
    """A target; 0 and 1 are the answers no and yes, and not two numbers."""
    rows, _ = read_rows(path, [name])
    values = {str(row.values[name]).strip().lower() for row in rows if row.values[name] not in (None, "")}
    return Column(name, "category" if values <= _YES_OR_NO else None, standardize=True)


def _encoders(encoder: TableEncoder) -> Mapping[str, Encoder | None]:
    return {name: own.encoder for name, (own,) in encoder.targets.items()}


def _is_number(encoder: Any) -> bool:
    return isinstance(encoder, Numbers)


def _input(name: str, encoder: Any) -> SymbolicTensor:
    width = encoder.length if isinstance(encoder, Texts) else 1
    return Input((width,), dtype="float32" if _is_number(encoder) else "int32", name=name)


def _reading(tensor: SymbolicTensor, encoder: Any) -> SymbolicTensor:
    """One vector for a column: a number as it stands, a category's own, the most that any words of a text say."""
    if isinstance(encoder, Categories):
        return layers.Flatten()(layers.Embedding(len(encoder.categories) + 1, WIDTH)(tensor))
    if isinstance(encoder, Texts):
        words = layers.Embedding(len(encoder.vocabulary), WIDTH)(tensor)
        return layers.GlobalMaxPooling1D()(layers.Conv1D(WIDTH, 3, padding="same", activation="relu")(words))
    return tensor


def _output(encoder: Any) -> Any:
    if not isinstance(encoder, Categories):
        return layers.Dense(1)
    count = len(encoder.categories)
    return layers.Dense(1, activation="sigmoid") if count == 2 else layers.Dense(count, activation="softmax")


def _with_faults(outcome: Outcome, data: Table) -> Outcome:
    """The rows that were left out are told."""
    if not data.faults:
        return outcome
    told = f"{len(data.faults):,} rows, the first: {data.faults[0]}"
    return dataclasses.replace(
        outcome,
        report={"left out": told, **outcome.report},
        results={**outcome.results, "left_out": len(data.faults)},
    )


TABLE = Job("table", "columns of a file of one's own, predicted from its others", (FORM,), train)
