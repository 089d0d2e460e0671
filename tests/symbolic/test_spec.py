"""Shapes with unknown sizes: what is equal, what is a number, and what is printed."""

import pickle

import jax.numpy as jnp
import pytest

from jaxgraphs.symbolic.spec import BATCH, TensorSpec, canonical_dtype, is_known, named_dim, substitute, symbols


def test_each_unknown_size_is_its_own_symbol():  # oracle: two Nones need not be equal
    spec = TensorSpec.of_shape((None, None, None, 3), "float32")
    assert spec.shape == (None, None, None, 3)
    assert spec.dims[0] == BATCH
    assert spec.dims[1] != spec.dims[2]
    assert not is_known(spec.dims)
    assert is_known(spec.dims[3:])


@pytest.mark.parametrize("value", [1, 2, 7, 100])
def test_substitution_is_arithmetic(value):  # oracle: Python's own arithmetic
    a, b = named_dim("a"), named_dim("b")
    expression = (3 * a * b - b // 2 + (a + 5) % 3) * a * a - 4
    expected = (3 * value * 9 - 9 // 2 + (value + 5) % 3) * value * value - 4
    assert substitute(expression, {"a": value, "b": 9}) == expected
    assert set(symbols([expression])) == {"a", "b"}


def test_substitution_of_one_of_two_symbols():  # oracle: the same polynomial, written by hand
    a, b = named_dim("a"), named_dim("b")
    assert substitute(2 * a + b, {"a": 3}) == b + 6
    assert substitute(2 * a + b, {"a": b}) == 3 * b
    assert substitute((a + b) ** 2 - (b + 1) // 2, {"a": 3}) == (b + 3) * (b + 3) - (b + 1) // 2


def test_a_spec_keeps_its_symbols_when_pickled():  # oracle: equality with the original
    spec = TensorSpec((BATCH, named_dim("d1") * 2 - 1, 3), jnp.dtype("bfloat16"))
    assert pickle.loads(pickle.dumps(spec)) == spec


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (TensorSpec.of_shape((None, 3), "float32"), "(batch, 3) float32"),
        (TensorSpec.of_shape((None,), "int32"), "(batch,) int32"),
        (TensorSpec.of_shape((None, None), bool), "(batch, None) bool"),
        (TensorSpec((), canonical_dtype("float64")), "() float32"),
    ],
)
def test_how_a_spec_is_printed(spec, text):  # oracle: the text, word for word
    assert str(spec) == text
