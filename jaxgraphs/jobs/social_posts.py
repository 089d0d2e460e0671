"""Three unlike predictions from one text: when a film came out, its age rating, and whether it is a film or a show."""

from __future__ import annotations

import dataclasses

from jaxgraphs.data import titles
from jaxgraphs.data.table import Table
from jaxgraphs.graph.graph import Graph
from jaxgraphs.jobs.base import Job, Options, Outcome
from jaxgraphs.jobs.fitting import Recipe, fit, form_of
from jaxgraphs.models.social_posts import social_posts

LOSSES = {"year": "mse", "rating": "sparse_categorical_crossentropy", "kind": "binary_crossentropy"}
# The chapter's: an error in years squared is large, a binary cross-entropy is small. Here the years still drown the
# rest, being spread more widely than its ages: by themselves the weights find their balance.
WEIGHTS = {"year": 0.25, "rating": 1.0, "kind": 10.0}
FORMS = {"gradnorm": "gradnorm", "uncertainty": "uncertainty", "chapter": WEIGHTS}
EMBEDDED = Recipe(LOSSES, rate=0.003, epochs=14, batch_size=32)
# Real descriptions are soon learned by heart: fewer words, fewer and smaller steps.
REAL = Recipe(LOSSES, rate=0.001, epochs=5, batch_size=32)
REAL_VOCABULARY = 3_000
SIZE, TEST, EMBEDDING, FILTERS = 4_000, 1_000, 64, 32


def train(options: Options) -> Outcome:
    """Trains the chapter's graph of three outputs, their losses balanced, or with the chapter's weights.

    Raises: GraphError when the data cannot be read or an option does not fit.
    """
    form = form_of(options, "social_posts", list(FORMS))
    recipe = dataclasses.replace(EMBEDDED if options.data is None else REAL, loss_weights=FORMS[form])
    table, source = _read(options)
    graph = three_outputs(_vocabulary(table), len(table.encoder.classes("rating")))
    return fit(options, graph, table, recipe, source=source, form=form, extra={"table": table.encoder.to_json()})


def three_outputs(vocabulary: int, ratings: int) -> Graph:
    """The chapter's graph, its outputs under the names of the data's targets."""
    posts = social_posts(vocabulary, ratings, EMBEDDING, FILTERS)
    return Graph(posts.inputs, dict(zip(LOSSES, posts.flat_outputs, strict=True)), name="social_posts")


def _vocabulary(table: Table) -> int:
    """How many rows the embedding needs: test rows have no numbers of their own."""
    return 1 + max(int(split.inputs["posts"].max()) for split in (table.train, table.test))


def _read(options: Options) -> tuple[Table, str]:
    """The texts, and where they come from in words."""
    if options.data is None:
        table = titles.generate(options.seed, options.size or SIZE, TEST)
        return table, f"embedded descriptions, seed {options.seed}"
    table = titles.load(options.data, vocabulary=REAL_VOCABULARY, seed=options.seed)
    kept = table.train if options.size is None else table.train[: options.size]
    return dataclasses.replace(table, train=kept), str(options.data)


SOCIAL_POSTS = Job(
    "social_posts", "year, rating and kind of a film from its description: three outputs", tuple(FORMS), train
)
