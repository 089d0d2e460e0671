"""The chapter's graphs and three classifiers of pictures, each in its own file."""

from jaxgraphs.models.imdb_conv1d import imdb_conv1d
from jaxgraphs.models.inception_module import inception_module
from jaxgraphs.models.inception_v3 import InceptionV3
from jaxgraphs.models.question_answering import question_answering
from jaxgraphs.models.residual_block import residual_block
from jaxgraphs.models.resnet import ResNet50
from jaxgraphs.models.separable_convnet import separable_convnet
from jaxgraphs.models.siamese_lstm import siamese_lstm
from jaxgraphs.models.social_posts import social_posts
from jaxgraphs.models.two_cameras import two_cameras
from jaxgraphs.models.xception import Xception

__all__ = [
    "InceptionV3",
    "ResNet50",
    "Xception",
    "imdb_conv1d",
    "inception_module",
    "question_answering",
    "residual_block",
    "separable_convnet",
    "siamese_lstm",
    "social_posts",
    "two_cameras",
]
