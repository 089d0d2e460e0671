"""Texts and numbers looked up, against Keras 3.15 on TensorFlow 2.21, whose answers are stored beside this file.

The layers of Keras that read texts need TensorFlow, which the tests do without.
"""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs import layers
from jaxgraphs.errors import GraphError
from jaxgraphs.layers.lookup import HostLayer
from jaxgraphs.symbolic.context import Context

EXPECTED = json.loads((Path(__file__).parent / "samples" / "lookup.json").read_text("utf-8"))
WORDS = ["A", "B", "C", "D", "E", "", "a longer text than sixteen", "x" * 40, "y" * 64, "z" * 65, "ß☃ snow", "q" * 130]
KINDS, NUMBERS = [["a", "c", "zz"], ["b", "", "qq"]], np.array([[10, 30, 7], [20, 0, 99]])
TEXTS = [["The cat, SAT on the mat!"], ["ÄÖ dogs\t ran\u00a0home"], [""]]
KNOWN = ["the", "cat", "sat", "dogs", "the cat"]


def hashing(bins=1000, values=tuple([word] for word in [*WORDS, "w" * 200]), **options):
    return layers.Hashing(bins, **options), values


def strings(vocabulary=("a", "b", "c"), **options):
    return layers.StringLookup(vocabulary=vocabulary, **options), KINDS


def integers(**options):
    return layers.IntegerLookup(vocabulary=[10, 20, 30], **options), NUMBERS


def texts(vocabulary=tuple(KNOWN), **options):
    return layers.TextVectorization(vocabulary=vocabulary, **options), TEXTS


MANY = {"output_mode": "multi_hot"}
WEIGHTED = {"output_mode": "tf_idf"}
CASES = {
    **{"hashing_plain": hashing(), "hashing_salt": hashing(salt=133), "hashing_salts": hashing(salt=[133, 137])},
    **{"hashing_mask": hashing(mask_value=""), "hashing_int": hashing(values=np.array([[1], [-5], [123456]]))},
    "hashing_hot": hashing(4, [["A", "B"], ["C", "A"]], **MANY),
    **{"string_int": strings(), "string_mask": strings(mask_token=""), "string_oov3": strings(num_oov_indices=3)},
    **{"string_oov3mask": strings(num_oov_indices=3, mask_token=""), "string_one_hot": strings(output_mode="one_hot")},
    **{"string_multi": strings(mask_token="", **MANY), "string_special": strings(("[UNK]", "a", "b"))},
    **{"string_count": strings(output_mode="count", num_oov_indices=2)},
    **{"string_tfidf": strings(idf_weights=[0.2, 0.5, 0.9], **WEIGHTED)},
    **{"string_pad": strings(max_tokens=8, pad_to_max_tokens=True, **MANY)},
    **{"integer_int": integers(), "integer_mask": integers(mask_token=0), "integer_oov3": integers(num_oov_indices=3)},
    **{"integer_count": integers(output_mode="count")},
    **{"text_int": texts(), "text_six": texts(output_sequence_length=6), "text_two": texts(output_sequence_length=2)},
    **{"text_lower": texts(standardize="lower"), "text_none": texts(standardize=None)},
    **{"text_strip": texts(standardize="strip_punctuation"), "text_ngrams": texts(ngrams=2)},
    **{"text_char": texts(("t", "h", "e", "ä", "Ä"), split="character"), "text_ngrams13": texts(ngrams=(2, 1))},
    **{"text_nosplit": texts(("the cat sat on the mat",), split=None), "text_multi": texts(**MANY)},
    **{"text_count": texts(output_mode="count", ngrams=2)},
    **{"text_tfidf": texts(idf_weights=[0.1, 0.2, 0.3, 0.4, 0.5], **WEIGHTED)},
    **{"text_max": texts(max_tokens=9, output_mode="count", pad_to_max_tokens=True)},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_lookup(name):  # oracle: Keras on TensorFlow
    layer, values = CASES[name]
    numbers = layer.read(values) if isinstance(layer, HostLayer) else values
    found = layer.call({}, jnp.asarray(numbers), context=Context(train=False))
    np.testing.assert_allclose(np.reshape(found, np.shape(EXPECTED[name])), EXPECTED[name], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.StringLookup(vocabulary="/etc/passwd"), "never opened"),
        (lambda: layers.StringLookup(vocabulary=["a", "a"]), "twice"),
        (lambda: layers.StringLookup(vocabulary=["a"], invert=True), "no array"),
        (lambda: layers.StringLookup(vocabulary=["a"], output_mode="sparse"), "output modes"),
        (lambda: layers.StringLookup(vocabulary=["a", "b"], max_tokens=2), "longer vocabulary"),
        (lambda: layers.StringLookup(vocabulary=["a"], output_mode="tf_idf"), "idf weight"),
        (lambda: layers.IntegerLookup(vocabulary=[2**40]), "32 bits"),
        (lambda: layers.TextVectorization(vocabulary=["a"], standardize="upper"), "does not know"),
        (lambda: layers.TextVectorization(vocabulary=["a"], split=3), "split texts"),
        (lambda: layers.Discretization([1.0, 0.0]), "rising"),
        (lambda: layers.Hashing(3).read([1.5j]), "A text was expected"),
        (lambda: layers.StringLookup(vocabulary=["a"], num_oov_indices=0).read(["b"]), "not in its vocabulary"),
        (lambda: layers.TextVectorization(vocabulary=["a"]).read([["a", "b"]]), "one text for each"),
    ],
)
def test_refused(make, words):  # oracle: the message
    with pytest.raises(GraphError, match=words):
        make()
