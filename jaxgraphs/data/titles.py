"""Descriptions of films and shows with three unlike targets: when it came out, its age rating, and film or show."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxgraphs.data.columns import Column, Numbers
from jaxgraphs.data.reading import OnError
from jaxgraphs.data.rows import Row
from jaxgraphs.data.split import Split
from jaxgraphs.data.table import Table, from_rows, parts_of, table
from jaxgraphs.errors import GraphValueError

YEAR_ORIGIN = 2000
_KINDS = ("Movie", "TV Show")
# The shortest text that three convolution stages of the multi-output model take whole is 269 words.
_LENGTH = 300


def load(
    path: str | Path,
    *,
    length: int = _LENGTH,
    vocabulary: int = 50_000,
    min_ratings: int = 10,
    test: float = 0.2,
    seed: int = 0,
    on_error: OnError = "skip",
) -> Table:
    """The published `netflix_titles.csv`, or a file with its columns description, release_year, rating and type.

    A rating counts as a class where at least `min_ratings` training rows have it; other ratings, such as the "74 min"
    that slipped in from the next column, and missing ones make broken rows.

    Args:
        path: the file, or the directory that holds `netflix_titles.csv`.
        length: words of a description; shorter ones are padded behind, longer ones lose their end.
        vocabulary: the greatest size of the vocabulary, padding and unknown included.
        min_ratings: training rows that a rating needs to be a class.
        test: the share of rows kept for testing.
        seed: the same seed deals the same rows to training and testing.
        on_error: "skip" leaves broken rows out and keeps them in `faults`, "raise" names them in an error.
    Returns: Table with the input "posts", int32 (n, length), and the targets "year", float32 (n,), in years after 2000;
        "rating", int32 (n,), of `encoder.classes("rating")`; and "kind", float32 (n,), 0 for a film and 1 for a show.
    Raises: GraphError when the file or a column is not there.

    >>> load("nowhere.csv")
    Traceback (most recent call last):
    jaxgraphs.errors.GraphValueError: There is no file to read.
      where:    nowhere.csv
      received: nothing there
    """
    file = Path(path) / "netflix_titles.csv" if Path(path).is_dir() else Path(path)
    inputs, targets = _columns(length, vocabulary, min_ratings)
    return _named(table(file, inputs, targets, test=test, seed=seed, on_error=on_error))


def generate(
    seed: int = 0, train: int = 4_000, test: int = 1_000, *, length: int = _LENGTH, vocabulary: int = 50_000
) -> Table:
    """Made-up descriptions whose words tell the three targets, with noise: the same type as `load` gives.

    Each text has a word of its decade, one of its rating and one of its kind among words that tell nothing; a tenth of
    the ratings and kinds is drawn anew and the year is spread by some years, so that no model can be perfect.

    Args:
        seed: the same seed gives the same texts, whatever the versions of Python and numpy.
        train, test: how many texts; both positive.
        length, vocabulary: as in `load`.
    Returns: Table, as `load`.
    Raises: GraphValueError when a count is not positive.

    >>> posts = generate(train=100, test=10, length=20)
    >>> posts.train.inputs["posts"].shape, sorted(posts.test.targets)
    ((100, 20), ['kind', 'rating', 'year'])
    """
    if train < 1 or test < 1:
        raise GraphValueError("A count of texts must be positive.", received=f"train={train}, test={test}")
    draw = random.Random(seed)
    rows = [Row(line, _invented(draw)) for line in range(1, train + test + 1)]
    parts = parts_of(*_columns(length, vocabulary, 1))
    return _named(from_rows(("titles", rows[:train]), ("titles", rows[train:]), *parts, on_error="skip"))


def _columns(length: int, vocabulary: int, min_ratings: int) -> tuple[dict[str, Column], dict[str, Column]]:
    inputs = {"posts": Column("description", "text", length=length, vocabulary=vocabulary)}
    targets = {
        "year": Column("release_year", "number"),
        "rating": Column("rating", "category", min_count=min_ratings),
        "kind": Column("type", "category"),
    }
    return inputs, targets


def _named(titles: Table) -> Table:
    """The table with its targets as the outputs need them."""
    kinds = titles.encoder.classes("kind")
    if kinds != _KINDS:
        raise GraphValueError("The types are not films and shows.", received=str(kinds), expected=" and ".join(_KINDS))
    (year,) = titles.encoder.targets["year"]
    # A network starts near 0, and 2,000 years from there is far for a loss that squares.
    since = dataclasses.replace(year, encoder=Numbers(mean=YEAR_ORIGIN, scale=1.0, filling=YEAR_ORIGIN))
    encoder = dataclasses.replace(titles.encoder, targets={**titles.encoder.targets, "year": (since,)})
    train, test = _targets(titles.train), _targets(titles.test)
    return dataclasses.replace(titles, train=train, test=test, encoder=encoder)


def _targets(split: Split) -> Split:
    targets = split.targets
    year, kind = targets["year"] - np.float32(YEAR_ORIGIN), targets["kind"].astype(np.float32)
    return dataclasses.replace(split, targets={"year": year, "rating": targets["rating"], "kind": kind})


_DECADES = {
    1980: ("cassette", "videotape", "arcade", "walkman"),
    1990: ("pager", "grunge", "dial", "modem"),
    2000: ("ringtone", "blog", "forum", "camcorder"),
    2010: ("smartphone", "selfie", "podcast", "startup"),
}
_RATINGS = {
    "G": ("puppy", "picnic", "lullaby", "kite"),
    "PG": ("school", "treasure", "camp", "wizard"),
    "PG-13": ("rival", "heist", "crush", "monster"),
    "R": ("murder", "cartel", "revenge", "prison"),
}
_FORMS = {"Movie": ("feature", "night", "journey", "ending"), "TV Show": ("season", "episodes", "weekly", "series")}
_FILLERS = (
    "a", "the", "in", "with", "and", "young", "old", "town", "city", "family", "friend", "stranger", "finds", "loses",
    "follows", "secret", "house", "river", "winter", "summer", "must", "while", "their", "after", "two", "new", "life",
)  # fmt: skip


def _invented(draw: random.Random) -> dict[str, object]:
    decade, rating, form = (_pick(draw, tuple(choices)) for choices in (_DECADES, _RATINGS, _FORMS))
    told = [_pick(draw, _DECADES[decade]), _pick(draw, _RATINGS[rating]), _pick(draw, _FORMS[form])]
    words = [_pick(draw, _FILLERS) for _ in range(12 + int(draw.random() * 12))]
    for word in told:
        words.insert(int(draw.random() * len(words)), word)
    if draw.random() < 0.1:
        rating, form = _pick(draw, tuple(_RATINGS)), _pick(draw, tuple(_FORMS))
    return {
        "description": " ".join(words),
        "release_year": decade + int(draw.random() * 10),
        "rating": rating,
        "type": form,
    }


def _pick(draw: random.Random, options: Sequence):
    # Only random() is promised to give one sequence on every version of Python.
    return options[int(draw.random() * len(options))]
