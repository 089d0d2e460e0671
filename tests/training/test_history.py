"""What a run reported, as curves."""

import re

import pytest

import jaxgraphs as jg
from jaxgraphs.training.history import History

RUN = History({"loss": [3.0, 2.0, 1.0], "val_loss": [3.5, None, 2.5], "lr": [0.1, 0.1, 0.05]}, [0, 1, 2])


def test_curves():  # oracle: the numbers of the history
    figure = RUN.plot()
    assert [axes.get_title() for axes in figure.axes] == ["loss", "lr"]
    lines = {line.get_label(): line.get_xydata().tolist() for line in figure.axes[0].lines}
    assert lines == {"training": [[1, 3], [2, 2], [3, 1]], "validation": [[1, 3.5], [3, 2.5]]}
    assert figure.axes[1].get_legend() is None
    assert [axes.get_title() for axes in RUN.plot("lr").axes] == ["lr"]


def test_a_notebook_shows_the_curves(tmp_path):  # oracle: the format
    assert RUN._repr_html_().startswith("<svg")
    RUN.plot().savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert RUN.plot()._repr_png_().startswith(b"\x89PNG")
    assert History()._repr_html_() is None


def test_what_cannot_be_drawn():  # oracle: the messages, word for word
    with pytest.raises(jg.GraphKeyError) as caught:
        RUN.plot("los")
    assert caught.value.what == "The history has no 'los'."
    assert caught.value.expected == "'loss'? Known: loss, lr"
    with pytest.raises(
        jg.GraphError, match=re.escape("There is no epoch to draw.\n  received: 0 epochs, 0 quantities")
    ):
        History().plot()
