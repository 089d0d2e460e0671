"""Words to numbers and back: tokenise, number by frequency, pad to one length."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from jaxgraphs.data.reading import load_json, require_choice
from jaxgraphs.errors import GraphTypeError, GraphValueError

PADDING, UNKNOWN = 0, 1
_RESERVED = 2
_WORD = re.compile(r"\w+(?:['’]\w+)*")


def tokenize(text: str) -> list[str]:
    """The words of `text` in lower case, without punctuation; an apostrophe inside a word stays.

    Words are runs of letters, digits and underscores of any script, after Unicode composition (NFC). Scripts written
    without spaces come out as long runs: cut them into words before.

    >>> tokenize("Where's Mary? In the Garden.")
    ["where's", 'mary', 'in', 'the', 'garden']
    """
    if not isinstance(text, str):
        raise GraphTypeError("Only text can be cut into words.", received=repr(text)[:80], expected="a string")
    return _WORD.findall(unicodedata.normalize("NFC", text).lower())


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Words and their numbers: 0 is padding, 1 any word that is not in it, `words[i]` has number i + 2.

    Args:
        words: the words, without repeats.
    Raises: GraphValueError when a word is repeated; GraphTypeError when one is not a string.

    >>> vocabulary = Vocabulary.from_texts(["the garden", "the hall"])
    >>> vocabulary.words, vocabulary.encode("the green garden"), len(vocabulary)
    (('the', 'garden', 'hall'), [2, 1, 3], 5)
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        if isinstance(self.words, str) or not all(isinstance(word, str) for word in self.words):
            raise GraphTypeError("A vocabulary is made of words.", expected="a tuple of strings")
        object.__setattr__(self, "words", tuple(self.words))
        if len(self._numbers) < len(self.words):
            repeated = next(word for word, count in Counter(self.words).items() if count > 1)
            raise GraphValueError("A word stands twice in the vocabulary.", received=repr(repeated))

    @classmethod
    def from_texts(cls, texts: Iterable[str | Sequence[str]], size: int | None = None) -> Vocabulary:
        """The vocabulary of `texts`: the commonest word first, equally common ones by alphabet.

        Args:
            texts: strings, which are tokenised, or lists of words, which are taken as they are.
            size: the greatest number of numbers, padding and unknown included: the rows an embedding needs.
        Raises: GraphValueError when `size` is under 2.
        """
        if size is not None and size < _RESERVED:
            raise GraphValueError(
                "A vocabulary of this size cannot be.", received=str(size), expected="2 or more: padding and unknown"
            )
        counts = Counter(itertools.chain.from_iterable(map(_words, texts)))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(tuple(ranked if size is None else ranked[: size - _RESERVED]))

    def __len__(self) -> int:
        return len(self.words) + _RESERVED

    def __contains__(self, word: object) -> bool:
        return word in self._numbers

    def encode(self, text: str | Sequence[str]) -> list[int]:
        """The numbers of the words of `text`, a string or a list of words."""
        return [self._numbers.get(word, UNKNOWN) for word in _words(text)]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """The words behind `numbers`: padding is left out, unknown is "[unknown]".

        Raises: GraphValueError for a number that the vocabulary does not reach.

        >>> Vocabulary(("the", "hall")).decode([0, 0, 2, 1, 3])
        ['the', '[unknown]', 'hall']
        """
        return [self._word(int(number)) for number in numbers if number != PADDING]

    def to_json(self) -> str:
        """One line of JSON; `from_json` gives the same vocabulary back."""
        return json.dumps({"words": self.words})

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """The vocabulary that `to_json` wrote.

        Raises: GraphError when `text` is something else.

        >>> Vocabulary.from_json(Vocabulary(("hall",)).to_json()) == Vocabulary(("hall",))
        True
        """
        return cls.from_words(load_json(text, "a vocabulary", ["words"])["words"])

    @classmethod
    def from_words(cls, words: object) -> Vocabulary:
        """A vocabulary of words read from a file, where they may be anything."""
        if not isinstance(words, list):
            raise GraphTypeError(
                "A vocabulary is made of words.", received=repr(words)[:80], expected="a list of strings"
            )
        return cls(tuple(words))

    @functools.cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, start=_RESERVED)}

    def _word(self, number: int) -> str:
        if not 0 < number < len(self):
            raise GraphValueError("No word has this number.", received=str(number), expected=f"0 to {len(self) - 1}")
        return "[unknown]" if number == UNKNOWN else self.words[number - _RESERVED]


def pad(
    sequences: Sequence[Sequence[int]], length: int | None = None, side: Literal["post", "pre"] = "post"
) -> np.ndarray:
    """Sequences of unlike length as one array, filled with 0 behind ("post") or before ("pre") the numbers.

    What is longer than `length` loses numbers at that same side: its end with "post", its beginning with "pre".

    Args:
        sequences: lists of integers.
        length: numbers in a row; by default those of the longest sequence.
    Returns: int32 (n, length).
    Raises: GraphValueError for an unknown side or a negative length.

    >>> pad([[5], [6, 7, 8]], length=2, side="pre").tolist()
    [[0, 5], [7, 8]]
    """
    require_choice("side", side, ("post", "pre"))
    if length is not None and length < 0:
        raise GraphValueError("A length cannot be negative.", received=str(length))
    width = max(map(len, sequences), default=0) if length is None else length
    rows = np.full((len(sequences), width), PADDING, np.int32)
    for row, sequence in zip(rows, sequences, strict=True):
        if side == "post":
            row[: len(sequence)] = sequence[:width]
        elif len(sequence) and width:
            row[-len(sequence) :] = sequence[-width:]
    return rows


def _words(text: str | Sequence[str]) -> Sequence[str]:
    return tokenize(text) if isinstance(text, str) else text
