"""The tables of docs/keras.md say what is so."""

import re
from pathlib import Path

import keras
import pytest

import jaxgraphs as jg

from .keras_names import MODULES, layer_row, missing, shared

PAGE = (Path(__file__).parents[2] / "docs" / "keras.md").read_text(encoding="utf-8")
LISTED_FOR = re.search(r"Keras (3\.\d+)", PAGE)[1]
is_listed_version = keras.__version__.startswith(LISTED_FOR + ".")


def not_there(module):
    """The names that the page says are not there."""
    text = re.search(rf"^- \*\*{module}\*\*: (.*?)(?=^- \*\*|^$)", PAGE, re.MULTILINE | re.DOTALL)[1]
    return set(re.findall(r"`(\w+)`", text))


@pytest.mark.parametrize("name", shared("layers"))
def test_row_of_a_layer(name):  # oracle: the signatures of Keras and of jaxgraphs
    if not is_listed_version and f"| `{name}` |" not in PAGE:
        pytest.skip("this Keras has layers that the page does not list yet")
    row = layer_row(name)
    assert not is_listed_version or row in PAGE.splitlines(), f"the row in docs/keras.md is to be\n{row}"


def test_no_row_without_a_layer():  # oracle: jaxgraphs.layers.__all__
    rows = re.findall(r"^\| `(\w+)` \| .* \| .* \|$", PAGE, re.MULTILINE)
    assert [name for name in rows if name not in jg.layers.__all__] == []


@pytest.mark.parametrize("module", MODULES)
def test_what_is_not_there_is_listed(module):  # oracle: the names of Keras and of jaxgraphs
    assert not not_there(module) & set(getattr(jg, module).__all__)
    if is_listed_version:
        assert set(missing(module)) == not_there(module)
