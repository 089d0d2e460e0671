"""Whether two sequences come from one source: one LSTM reads both."""

from __future__ import annotations

from jaxgraphs.data import mnist, pairs
from jaxgraphs.jobs.base import Job, Options, Outcome
from jaxgraphs.jobs.fitting import Recipe, fit, form_of
from jaxgraphs.models.siamese_lstm import siamese_lstm

RECIPE = Recipe("binary_crossentropy", rate=0.005, epochs=15, batch_size=64)
# The chapter's form adds up what it sees on either side, and so cannot tell likeness; squared differences can.
FORMS = ("distance", "chapter")
SIZE = 4_000


def train(options: Options) -> Outcome:
    """Trains the chapter's shared LSTM, with squared differences or joined ends as in the chapter.

    Raises: GraphError when the data cannot be read or an option does not fit.
    """
    form = form_of(options, "siamese", FORMS)
    data, source = _read(options)
    features = data.train.inputs["left"].shape[-1]
    graph = siamese_lstm(features, by_distance=form == "distance")
    notes = {} if data.best is None else {"best_possible": data.best}
    return fit(options, graph, data, RECIPE, source=source, form=form, notes=notes)


def _read(options: Options) -> tuple[pairs.Pairs, str]:
    """The pairs, and where they come from in words."""
    if options.data is None:
        made = pairs.generate(options.seed, options.size or SIZE)
        return made, f"embedded pairs of sequences, seed {options.seed}"
    digits = mnist.load(options.data)
    kept = digits.train if options.size is None else digits.train[: options.size]
    train_pairs, test_pairs = (pairs.of_classes(split, options.seed) for split in (kept, digits.test))
    return pairs.Pairs(train_pairs, test_pairs), f"{options.data}, pairs of digits read row by row"


SIAMESE = Job("siamese", "whether two sequences have one source: one LSTM for both", FORMS, train)
