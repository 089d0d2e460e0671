"""One column of a table as an array: its kind, what its training rows teach, and how new values are read."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, Protocol, cast

import numpy as np

from jaxgraphs.data.reading import Unreadable, has_bad_bytes, require_choice
from jaxgraphs.data.text import Vocabulary, pad, tokenize
from jaxgraphs.errors import GraphTypeError, GraphValueError

Kind = Literal["number", "integer", "category", "text"]
KINDS: tuple[Kind, ...] = ("number", "integer", "category", "text")
_NO_NUMBER = frozenset({"", "na", "n/a", "nan", "null", "none"})
_INT32 = np.iinfo(np.int32)
_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True)
class Column:
    """How one column of a file is read.

    Args:
        name: its name in the file.
        kind: "number" (float32), "integer" (int32, as it stands), "category" (int32 class) or "text" (int32 words);
            None infers it from the training rows, see `infer_kind`.
        length: of a text, the words in a row; by default those of the longest training text.
        vocabulary: of a text, the greatest size of its vocabulary, padding and unknown included.
        standardize: of a number, whether to take off the training mean and divide by the training deviation;
            None does so for inputs and not for targets.
        fill: of a number or integer, what stands for a missing one, "mean" or a number; with None its row is broken.
        min_count: of a category, the training rows that it needs; rarer ones count as never seen.
    Raises: GraphTypeError when the name is no string; GraphValueError for an unknown kind or a number out of range.
    """

    name: str
    kind: Kind | None = None
    length: int | None = None
    vocabulary: int | None = None
    standardize: bool | None = None
    fill: float | Literal["mean"] | None = None
    min_count: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise GraphTypeError("A column is named by a string.", received=repr(self.name), expected='Column("age")')
        if self.kind is not None:
            require_choice("kind", self.kind, KINDS)
        for field in ("length", "vocabulary", "min_count"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise GraphValueError(f"{field} of column {self.name!r} must be positive.", received=str(value))
        if isinstance(self.fill, str) and self.fill != "mean":
            raise GraphValueError(f"fill={self.fill!r} is not known.", expected='a number, "mean" or None')
        if self.kind == "integer" and self.fill == "mean":
            raise GraphValueError("A mean is seldom an integer.", where=self.name, fix='kind="number", or fill=0')


class Encoder(Protocol):
    """What the training rows taught about one column; a frozen dataclass of plain values."""

    def array(self, values: Sequence[Any]) -> np.ndarray:
        """Values that `read` gave, as an array (n, width)."""
        ...

    def __str__(self) -> str:
        """What the numbers in that array are, in words."""
        ...


@dataclasses.dataclass(frozen=True)
class Numbers:
    """(value - mean) / scale; a missing value (nan) stands at `filling`."""

    mean: float
    scale: float
    filling: float

    def array(self, values: Sequence[Any]) -> np.ndarray:
        numbers = np.array(values, np.float64).reshape(-1, 1)
        filled = np.where(np.isnan(numbers), self.filling, numbers)
        return ((filled - self.mean) / self.scale).astype(np.float32)

    def __str__(self) -> str:
        if (self.mean, self.scale) == (0.0, 1.0):
            return "numbers as they stand"
        return f"numbers, less their mean {self.mean:.4g}, in deviations of {self.scale:.4g}"


@dataclasses.dataclass(frozen=True)
class Integers:
    """The integers as they stand."""

    def array(self, values: Sequence[Any]) -> np.ndarray:
        return np.array(values, np.int32).reshape(-1, 1)

    def __str__(self) -> str:
        return "integers as they stand"


@dataclasses.dataclass(frozen=True)
class Categories:
    """The number of each category by alphabet; with `unknown`, 0 is any other one, and they count from 1."""

    categories: tuple[str, ...]
    unknown: bool

    def __contains__(self, value: object) -> bool:
        return value in self._numbers

    def array(self, values: Sequence[Any]) -> np.ndarray:
        return np.array([self._numbers.get(value, 0) for value in values], np.int32).reshape(-1, 1)

    def __str__(self) -> str:
        count = len(self.categories)
        shown = ", ".join([*self.categories[:6], *(["..."] if count > 6 else [])])
        if not self.unknown:
            return f"{count} classes from 0: {shown}"
        return f"{count} categories from 1, 0 for any other: {shown}; Embedding({count + 1}, ...) reads them"

    @functools.cached_property
    def _numbers(self) -> dict[str, int]:
        return {category: number for number, category in enumerate(self.categories, start=int(self.unknown))}


@dataclasses.dataclass(frozen=True)
class Texts:
    """The numbers of the words, padded behind to `length`; longer texts lose their end."""

    words: tuple[str, ...]
    length: int

    def array(self, values: Sequence[Any]) -> np.ndarray:
        return pad([self.vocabulary.encode(words) for words in values], self.length)

    def __str__(self) -> str:
        return f"words, {self.length} in a row; Embedding({len(self.vocabulary)}, ...) reads them"

    @functools.cached_property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the training texts."""
        return Vocabulary(self.words)


ENCODERS: dict[str, type] = {"number": Numbers, "integer": Integers, "category": Categories, "text": Texts}


def infer_kind(values: Sequence[object]) -> Kind:
    """The kind of a column by its values: "number", "category" or "text"; "integer" has to be asked for.

    It is a number where nine tenths of the values that are there are numbers, a category where there are at most 100
    different values and each stands twice on average, and a text otherwise.

    >>> infer_kind(["1.5", "2", None]), infer_kind(["red", "blue", "red", "red"]), infer_kind(["so it goes", "on"])
    ('number', 'category', 'text')
    """
    present = [value for value in values if not _is_missing(value)]
    numeric = sum(_is_number(value) for value in present)
    if numeric and numeric >= 0.9 * len(present):
        return "number"
    different = {str(value).strip() for value in present}
    return "category" if len(different) <= min(100, len(present) / 2) else "text"


def read(column: Column, value: object, *, target: bool) -> Any:
    """One value of `column`, whose kind is settled, as the encoder takes it.

    Returns: a float (nan where a missing one is to be filled), an int, a string or a list of words.
    Raises: Unreadable with the reason.
    """
    if isinstance(value, list | dict | tuple):
        raise Unreadable(f"{column.name} holds a {type(value).__name__}, not one value")
    if column.kind in ("number", "integer"):
        return _read_number(column, value, target)
    text = "" if _is_missing(value) else str(value).strip()
    if has_bad_bytes(text):
        raise Unreadable(f"{column.name} is not Unicode text")
    if target and not text:
        raise Unreadable(f"{column.name} is missing")
    return tokenize(text) if column.kind == "text" else text


def fit(column: Column, values: Sequence[Any], *, target: bool) -> Encoder:
    """What the training rows teach about a column whose kind is settled; `values` are what `read` gave."""
    if column.kind == "number":
        return _fit_numbers(column, values, target)
    if column.kind == "integer":
        return Integers()
    if column.kind == "category":
        counts = Counter(value for value in values if value)
        return Categories(tuple(sorted(name for name in counts if counts[name] >= column.min_count)), not target)
    words = Vocabulary.from_texts(values, column.vocabulary).words
    return Texts(words, column.length or max(1, *map(len, values)))


def _fit_numbers(column: Column, values: Sequence[float], target: bool) -> Numbers:
    present = np.array([value for value in values if not math.isnan(value)] or [0.0])
    mean = float(present.mean())
    filling = mean if column.fill in (None, "mean") else float(cast(float, column.fill))
    if column.standardize or (column.standardize is None and not target):
        return Numbers(mean, float(present.std()) or 1.0, filling)
    return Numbers(0.0, 1.0, filling)


def _read_number(column: Column, value: object, target: bool) -> float | int:
    if _is_missing(value) or str(value).strip().lower() in _NO_NUMBER:
        if target:
            raise Unreadable(f"{column.name} is missing")
        if column.fill is None:
            raise Unreadable(f'{column.name} is missing; its Column may fill it, with fill="mean" or a number')
        return math.nan if column.kind == "number" else _integer(column, column.fill)
    return _number(column, value) if column.kind == "number" else _integer(column, value)


def _number(column: Column, value: object) -> float:
    if not _is_number(value):
        raise Unreadable(f"{column.name} is {str(value)[:40]!r}, not a number")
    number = float(cast(str, value))
    if abs(number) > _FLOAT32_MAX:
        raise Unreadable(f"{column.name} is {str(value)[:40]}, which float32 does not hold")
    return number


def _integer(column: Column, value: object) -> int:
    number = _number(column, value)
    if not number.is_integer() or not _INT32.min <= number <= _INT32.max:
        raise Unreadable(f"{column.name} is {str(value)[:40]}, not an integer that int32 holds")
    return int(number)


def _is_missing(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _is_number(value: object) -> bool:
    """Whether float() takes the value; its underscores between digits are Python's, not a file's."""
    try:
        float(cast(Any, value))
    except (TypeError, ValueError, OverflowError):
        return False
    return "_" not in str(value)
