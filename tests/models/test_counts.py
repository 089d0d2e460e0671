"""How many numbers each graph has, at its own size."""

import pytest

from jaxgraphs import models

COUNTS = {
    "question_answering": 1_337_332,
    "social_posts": 14_146_316,
    "inception_module": 841_610,
    "residual_block": 442_752,
    "siamese_lstm": 20_673,
    "imdb_conv1d": 156_833,
    "separable_convnet": 38_949,
    "two_cameras": 20_861_480,
    "InceptionV3": 23_851_784,
    "Xception": 22_910_480,
    "ResNet50": 25_636_712,
}


def test_every_graph_is_counted():  # oracle: the list of public names
    assert set(COUNTS) == set(models.__all__)


@pytest.mark.parametrize("name", COUNTS)
def test_count(name):  # oracle: Keras' published counts, and sums of layers' sizes by hand
    assert getattr(models, name)().count_params() == COUNTS[name]


def test_the_shared_lstm_is_nearly_all_of_the_siamese_graph():  # oracle: 4 x 32 x (128 + 32 + 1)
    specs = models.siamese_lstm().variable_specs()["params"]
    assert sum(spec.dims[0] * (spec.dims[1] if len(spec.dims) > 1 else 1) for spec in specs["lstm"].values()) == 20_608
