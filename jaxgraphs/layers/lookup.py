"""Words and other values looked up in a vocabulary: read on the host, and encoded in the graph.

JAX has no arrays of texts. A layer that reads texts therefore has two halves: `read` makes them whole numbers before
they are given to the graph; there the layer encodes these, one-hot and the like, or passes them on. What looks numbers
up does all of it in the graph.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.errors import DTypeMismatchError, GraphKeyError, GraphTypeError, GraphValueError
from jaxgraphs.layers.base import Array, Layer, Weights, describes, positive, single_input
from jaxgraphs.layers.hashing import fingerprint64, siphash64
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title

# A place in a row with nothing in it; it is encoded as nothing.
_NOTHING = -1
_MODES = {"binary": "multi_hot", "tf-idf": "tf_idf"}
_PUNCTUATION = re.compile(rb"[!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']")


class _Encoder(Layer):
    """A layer of whole numbers below `depth`; its field `output_mode` says what becomes of them."""

    output_mode: str
    sparse: bool
    modes: ClassVar[tuple[str, ...]] = ("int", "one_hot", "multi_hot", "count")

    @property
    def depth(self) -> int:
        """How many different numbers there are."""
        raise GraphTypeError(f"{title(self)} does not say how many numbers it reads to.")

    def validate(self) -> None:
        object.__setattr__(self, "output_mode", _MODES.get(self.output_mode, self.output_mode))
        if self.output_mode not in self.modes or self.sparse:
            raise GraphValueError(
                f"{title(self)} knows {len(self.modes)} output modes, all dense.",
                received=f"output_mode={self.output_mode!r}, sparse={self.sparse}",
                expected=f"{', '.join(map(repr, self.modes))}, and sparse=False",
            )

    def check(self, *specs: Any, **_: Any) -> None:
        if not jnp.issubdtype(single_input(self, specs).dtype, jnp.integer):
            raise DTypeMismatchError(
                f"{title(self)} takes whole numbers.",
                expected="an integer dtype",
                fix='Input((1,), dtype="int32")',
            )

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return self.encode(x)

    def encode(self, x: Array) -> Array:
        """The numbers as the output mode wants them."""
        if self.output_mode == "int":
            return x
        drops = self.output_mode == "one_hot" and x.ndim > 1 and isinstance(x.shape[-1], int) and x.shape[-1] == 1
        hot = jax.nn.one_hot(x[..., 0] if drops else x, self.depth, dtype=self.compute_dtype or jnp.float32)
        if self.output_mode == "one_hot":
            return hot
        axis = 1 if x.ndim > 1 else 0
        return jnp.max(hot, axis=axis) if self.output_mode == "multi_hot" else jnp.sum(hot, axis=axis)


class HostLayer(_Encoder):
    """A layer that reads values on the host: its input in the graph is what `read` gives."""

    def read(self, values: Any) -> np.ndarray:
        """Texts as the int32 array that the graph takes in their place."""
        raise GraphTypeError(f"{title(self)} does not say how it reads.")

    def read_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """The shape of what `read` gives for texts of a shape; unknown sizes are None."""
        return tuple(shape)


class _Vocabulary(_Encoder):
    """A layer with a list of values, each of which has its number."""

    vocabulary: Any
    idf_weights: Any
    max_tokens: int | None
    num_oov_indices: int
    mask_token: Any
    oov_token: Any
    pad_to_max_tokens: bool
    modes: ClassVar[tuple[str, ...]] = ("int", "one_hot", "multi_hot", "count", "tf_idf")

    def validate(self) -> None:
        super().validate()
        positive(self, **({} if self.max_tokens is None else {"max_tokens": self.max_tokens}))
        if self.vocabulary is None or isinstance(self.vocabulary, str) or len(self.vocabulary) == 0:
            raise GraphValueError(
                f"{title(self)} needs its vocabulary inline.",
                received=repr(self.vocabulary)[:80],
                expected="a list; a path or an address is never opened",
            )
        object.__setattr__(self, "vocabulary", tuple(self.vocabulary))
        if len(set(self.tokens)) != len(self.tokens):
            raise GraphValueError(f"A value is twice in the vocabulary of {title(self)}.")
        if self.max_tokens is not None and self._start + len(self.tokens) > self.max_tokens:
            raise GraphValueError(
                f"{title(self)} has a longer vocabulary than max_tokens.",
                received=f"{self._start + len(self.tokens)} with what is reserved",
                expected=f"at most {self.max_tokens}",
            )
        if self.output_mode == "tf_idf" and self._frequencies.size != self._start + len(self.tokens):
            raise GraphValueError(
                f"{title(self)} needs one idf weight for each value of its vocabulary.",
                received=f"{np.size(self.idf_weights) if self.idf_weights is not None else 'none'}",
                expected=f"{len(self.vocabulary)}",
            )

    @property
    def tokens(self) -> tuple[Any, ...]:
        """The vocabulary without what is reserved for masks and unknown values."""
        return self.vocabulary[self._start :] if self._is_whole else self.vocabulary

    @property
    def depth(self) -> int:
        """How many different numbers there are; `max_tokens` where the rest is to be kept free."""
        size = self._start + len(self.tokens)
        return self.max_tokens if self.pad_to_max_tokens and self.max_tokens is not None else size

    @property
    def _has_mask(self) -> bool:
        return self.mask_token is not None and self.output_mode == "int"

    @property
    def _start(self) -> int:
        return int(self._has_mask) + self.num_oov_indices

    @property
    def _is_whole(self) -> bool:
        """Whether the vocabulary has the reserved values in front."""
        reserved = (self.mask_token,) * self._has_mask + (self.oov_token,) * self.num_oov_indices
        return bool(reserved) and self.vocabulary[: self._start] == reserved

    @property
    def _frequencies(self) -> np.ndarray:
        given = np.asarray([] if self.idf_weights is None else self.idf_weights, np.float32)
        # Unknown values weigh as much as the known ones do on average.
        unknown = [] if self._is_whole or not given.size else [given.mean()] * self._start
        return np.concatenate([np.asarray(unknown, np.float32), given])

    def encode(self, x: Array) -> Array:
        if self.output_mode != "tf_idf":
            return super().encode(x)
        hot = jax.nn.one_hot(x, self.depth, dtype=self.compute_dtype or jnp.float32)
        factors = np.pad(self._frequencies, (0, self.depth - self._frequencies.size))
        return jnp.sum(hot, axis=1 if x.ndim > 1 else 0) * jnp.asarray(factors, hot.dtype).reshape(
            (1,) * (x.ndim - 1) + (-1,)
        )


@describes
class StringLookup(_Vocabulary, HostLayer):
    """Texts as their numbers in a vocabulary.

    Args:
        max_tokens: an upper bound on the vocabulary's length; with `pad_to_max_tokens` the width of what is encoded.
        num_oov_indices: how many numbers are kept for texts that are not in it, told apart by their hash.
        mask_token: a text that means nothing: 0 with output mode "int", else left out.
        oov_token: stands in `vocabulary` for those not in it, where the vocabulary has it.
        vocabulary: the texts, in order.
        idf_weights: for "tf_idf", one number for each.
        invert, encoding, salt: as in Keras; only False and "utf-8" are known.
        output_mode: "int", "one_hot", "multi_hot", "count" or "tf_idf".
    Shapes: what `read` gives, int32, is of the texts' shape; the graph encodes the last axis.
    Raises: GraphError for a vocabulary that is missing, a path, or has a text twice.

    >>> layer = StringLookup(vocabulary=["cat", "dog"])
    >>> layer.read([["dog", "bird"]]).tolist()
    [[2, 0]]
    """

    max_tokens: int | None = None
    num_oov_indices: int = 1
    mask_token: Any = None
    oov_token: Any = "[UNK]"
    vocabulary: Any = None
    idf_weights: Any = None
    invert: bool = False
    output_mode: str = "int"
    pad_to_max_tokens: bool = False
    sparse: bool = False
    encoding: str = "utf-8"
    salt: Any = None

    def validate(self) -> None:
        super().validate()
        _forward_only(self, self.invert)

    def read(self, values: Any) -> np.ndarray:
        array = _texts(values)
        words = [text.decode("utf-8", "replace") for text in array.ravel().tolist()]
        numbers = _numbers(self, words, lambda word: _bin(word.encode(), self.num_oov_indices, self.salt))
        return np.fromiter(numbers, np.int32, array.size).reshape(array.shape)


@describes
class IntegerLookup(_Vocabulary):
    """Whole numbers as their places in a vocabulary; computed in the graph.

    Args: as for `StringLookup`, with numbers for texts; oov_method is "floormod", by which numbers that are not in the
        vocabulary are told apart where `num_oov_indices` is above 1.
    Shapes: (batch, ...) -> the same, int32; other output modes encode the last axis.
    Raises: GraphError for a vocabulary that is missing, a path, or has a number twice or beyond int32.

    >>> from jaxgraphs.symbolic.node import Input
    >>> IntegerLookup(vocabulary=[10, 20, 30], output_mode="count")(Input((5,), dtype="int32")).shape
    (None, 4)
    """

    max_tokens: int | None = None
    num_oov_indices: int = 1
    mask_token: Any = None
    oov_token: Any = -1
    vocabulary: Any = None
    vocabulary_dtype: str = "int64"
    idf_weights: Any = None
    invert: bool = False
    output_mode: str = "int"
    sparse: bool = False
    pad_to_max_tokens: bool = False
    oov_method: str = "floormod"
    salt: Any = None

    def validate(self) -> None:
        super().validate()
        _forward_only(self, self.invert)
        if self.num_oov_indices > 1 and self.oov_method != "floormod":
            raise GraphValueError(f"{title(self)} cannot hash in the graph.", received=f"{self.oov_method=}"[5:])
        wrong = [token for token in self.tokens if not isinstance(token, int) or abs(token) > 2**31 - 1]
        if wrong:
            raise GraphValueError(f"{title(self)} looks up whole numbers of 32 bits.", received=repr(wrong[:3]))

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        order = np.argsort(np.asarray(self.tokens))
        sorted_tokens = jnp.asarray(np.asarray(self.tokens)[order], jnp.int32)
        numbers = jnp.asarray(order + self._start, jnp.int32)
        x = x.astype(jnp.int32)
        place = jnp.minimum(jnp.searchsorted(sorted_tokens, x), len(order) - 1)
        # Without a number for unknown values Keras fails; here they come out as nothing.
        unknown = jnp.mod(x, self.num_oov_indices) + int(self._has_mask) if self.num_oov_indices else _NOTHING
        found = jnp.where(sorted_tokens[place] == x, numbers[place], unknown)
        if self.mask_token is not None:
            found = jnp.where(x == self.mask_token, 0 if self.output_mode == "int" else _NOTHING, found)
        return self.encode(found)


@describes
class BinLayer(HostLayer):
    """What sorts values into a number of bins."""

    num_bins: int

    def validate(self) -> None:
        super().validate()
        positive(self, num_bins=self.num_bins)

    @property
    def depth(self) -> int:
        """How many bins there are."""
        return self.num_bins


@describes
class Hashing(BinLayer):
    """Texts or whole numbers as bins, by their hash.

    Args:
        num_bins: how many bins.
        mask_value: a value that means nothing and has bin 0 to itself.
        salt: None sorts by FarmHash; one number or two are SipHash's key.
        output_mode: "int", "one_hot", "multi_hot" or "count".
    Shapes: what `read` gives, int32, is of the values' shape; the graph encodes the last axis.

    >>> Hashing(num_bins=3).read([["A"], ["B"], ["C"]]).ravel().tolist()
    [1, 0, 1]
    """

    mask_value: Any = None
    salt: Any = None
    output_mode: str = "int"
    sparse: bool = False

    def read(self, values: Any) -> np.ndarray:
        array = np.asarray(values)
        is_number = array.dtype.kind in "iuf"
        texts = [str(int(value)).encode() for value in array.ravel()] if is_number else _texts(values).ravel().tolist()
        masked = self.mask_value is not None and self.num_bins > 1
        mask = str(self.mask_value).encode()
        bins = [
            0 if masked and text == mask else masked + _bin(text, self.num_bins - masked, self.salt) for text in texts
        ]
        return np.asarray(bins, np.int32).reshape(array.shape)


@describes
class TextVectorization(_Vocabulary, HostLayer):
    """Texts as rows of the numbers of their words.

    Args:
        max_tokens, vocabulary, idf_weights, pad_to_max_tokens: as for `StringLookup`; 0 is padding, 1 unknown.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation", None, or a function text -> text.
        split: "whitespace", "character", None, or a function text -> list of texts.
        ngrams: a number, up to which runs of words count as words too; or a tuple of the numbers.
        output_mode: "int" gives the words in order; "multi_hot", "count" and "tf_idf" one number for each known word.
        output_sequence_length: of the rows with "int"; None is the longest of each batch.
        ragged, encoding: as in Keras; only False and "utf-8" are known.
    Shapes: what `read` gives, int32, is (batch, words).

    >>> TextVectorization(vocabulary=["the", "cat"], output_sequence_length=4).read(["The cat sat!"]).tolist()
    [[2, 3, 1, 0]]
    """

    max_tokens: int | None = None
    standardize: Any = "lower_and_strip_punctuation"
    split: Any = "whitespace"
    ngrams: Any = None
    output_mode: str = "int"
    output_sequence_length: int | None = None
    pad_to_max_tokens: bool = False
    vocabulary: Any = None
    idf_weights: Any = None
    sparse: bool = False
    ragged: bool = False
    encoding: str = "utf-8"

    num_oov_indices: ClassVar[int] = 1
    mask_token: ClassVar[Any] = ""
    oov_token: ClassVar[Any] = "[UNK]"

    def validate(self) -> None:
        super().validate()
        known = (None, "lower", "strip_punctuation", "lower_and_strip_punctuation")
        if self.ragged or not (callable(self.standardize) or self.standardize in known):
            raise GraphValueError(
                f"{title(self)} is asked for what it does not know.",
                received=f"standardize={self.standardize!r}, ragged={self.ragged}",
                expected=f"{', '.join(map(repr, known))} or a function, and ragged=False",
            )
        if not (callable(self.split) or self.split in (None, "whitespace", "character")):
            raise GraphValueError(
                f"{title(self)} cannot split texts so.",
                received=f"split={self.split!r}",
                expected="'whitespace', 'character', None, or a function",
            )

    def read_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (shape[0], self.output_sequence_length)

    def read(self, values: Any) -> np.ndarray:
        array = _texts(values)
        if array.ndim > 1 and array.shape[-1] != 1:
            raise GraphValueError(f"{title(self)} reads one text for each example.", received=str(array.shape))
        rows = [list(_numbers(self, self._words(text), lambda _: 0)) for text in array.ravel().tolist()]
        width = self.output_sequence_length or max(map(len, rows), default=0)
        filling = 0 if self.output_mode == "int" else _NOTHING
        padded = [[*row[:width], *[filling] * (width - len(row))] for row in rows]
        return np.asarray(padded, np.int32).reshape(len(rows), width)

    def _words(self, text: bytes) -> list[str]:
        words = [word.decode("utf-8", "replace") for word in self._parts(self._standard(text))]
        if self.ngrams is None:
            return words
        widths = range(1, self.ngrams + 1) if isinstance(self.ngrams, int) else self.ngrams
        return [" ".join(words[start : start + width]) for width in widths for start in range(len(words) - width + 1)]

    def _standard(self, text: bytes) -> bytes:
        if callable(self.standardize):
            return str(self.standardize(text.decode("utf-8", "replace"))).encode()
        # TensorFlow, whose rules these are, lowers the letters of ASCII alone.
        text = text.lower() if self.standardize in ("lower", "lower_and_strip_punctuation") else text
        is_stripped = self.standardize in ("strip_punctuation", "lower_and_strip_punctuation")
        return _PUNCTUATION.sub(b"", text) if is_stripped else text

    def _parts(self, text: bytes) -> list[bytes]:
        split: Any = self.split
        if callable(split):
            parts: Any = split(text.decode("utf-8", "replace"))
            return [str(part).encode() for part in parts]
        if self.split == "character":
            return [character.encode() for character in text.decode("utf-8", "replace")]
        return text.split() if self.split == "whitespace" else [text]


@describes
class Discretization(_Encoder):
    """Numbers as the bins that they fall into; computed in the graph.

    Args:
        bin_boundaries: the ends of the bins, rising: a number at an end belongs to the bin above.
        output_mode: "int", "one_hot", "multi_hot" or "count".
        num_bins, epsilon: Keras' for adapting; not used.
    Shapes: (batch, ...) -> the same, int32; encoded as `Hashing` does.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Discretization([0.0, 1.0], output_mode="one_hot")(Input((1,))).shape
    (None, 3)
    """

    bin_boundaries: Any = None
    num_bins: int | None = None
    epsilon: float = 0.01
    output_mode: str = "int"
    sparse: bool = False

    def validate(self) -> None:
        super().validate()
        if self.bin_boundaries is None or list(self.bin_boundaries) != sorted(self.bin_boundaries):
            raise GraphValueError(
                f"{title(self)} needs the boundaries of its bins, rising.",
                received=f"bin_boundaries={self.bin_boundaries!r}"[:100],
                fix="Discretization(bin_boundaries=[0.0, 1.0])",
            )
        object.__setattr__(self, "bin_boundaries", tuple(self.bin_boundaries))

    @property
    def depth(self) -> int:
        """How many bins there are."""
        return len(self.bin_boundaries) + 1

    def check(self, *specs: Any, **_: Any) -> None:
        single_input(self, specs)

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        ends = jnp.asarray(self.bin_boundaries, jnp.float32)
        bins = jnp.searchsorted(ends, x.astype(jnp.float32), side="right").astype(jnp.int32)
        return self.encode(bins)


def _numbers(layer: Any, values: Sequence[str], unknown: Callable[[str], int]) -> Iterator[int]:
    """The number of each text in a layer's vocabulary; a mask is 0, or nothing where rows are encoded."""
    is_int = layer.output_mode == "int"
    first = int(is_int and layer.mask_token is not None)
    known = {token: index for index, token in enumerate(layer.tokens, first + layer.num_oov_indices)}
    for value in values:
        if layer.mask_token is not None and value == layer.mask_token:
            yield 0 if is_int else _NOTHING
            continue
        number = known.get(value)
        if number is None and not layer.num_oov_indices:
            raise GraphKeyError(
                f"{title(layer)} was given a text that is not in its vocabulary.",
                received=repr(value)[:80],
                fix="num_oov_indices=1 reserves a number for such texts",
            )
        yield first + unknown(value) if number is None else number


def _forward_only(layer: Layer, invert: bool) -> None:
    if invert:
        raise GraphValueError(
            f"{title(layer)} is to give values for numbers, which is no array.",
            received="invert=True",
            fix="[layer.vocabulary[i] for i in ids] after the graph",
        )


def _texts(values: Any) -> np.ndarray:
    """Texts as bytes, in an array of objects."""
    array = np.asarray(values, dtype=object)
    flat = [encoded(value) for value in array.ravel()]
    texts = np.empty(array.size, object)
    texts[:] = flat
    return texts.reshape(array.shape)


def encoded(value: Any) -> bytes:
    """A text as bytes."""
    if isinstance(value, (str, bytes)):
        return value.encode() if isinstance(value, str) else value
    raise GraphTypeError("A text was expected.", received=repr(value)[:80], fix='[["one"], ["two"]]')


def _bin(text: bytes, count: int, salt: Any) -> int:
    if count < 2:
        return 0
    if salt is None:
        return fingerprint64(text) % count
    first, second = salt if isinstance(salt, (tuple, list)) else (salt, salt)
    return siphash64(text, (first, second)) % count
