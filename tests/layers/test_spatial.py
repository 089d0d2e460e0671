"""Unknown sizes, what is refused, and how arguments are read: for all layers along spatial axes."""

import dataclasses
import inspect
from textwrap import dedent

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from jaxgraphs.errors import GraphError, ShapeMismatchError
from jaxgraphs.layers import (
    adaptive_pooling,
    conv,
    conv_transpose,
    global_pooling,
    padding,
    pooling,
    resizing,
    separable,
)
from jaxgraphs.layers.adaptive_pooling import AdaptiveMaxPooling2D
from jaxgraphs.layers.conv import Conv1D, Conv2D, Conv3D
from jaxgraphs.layers.conv_transpose import Conv2DTranspose
from jaxgraphs.layers.global_pooling import GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalMaxPooling3D
from jaxgraphs.layers.padding import Cropping1D, Cropping2D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D
from jaxgraphs.layers.pooling import AveragePooling2D, MaxPooling2D
from jaxgraphs.layers.resizing import CenterCrop, Resizing, UpSampling1D, UpSampling2D
from jaxgraphs.layers.separable import DepthwiseConv2D, SeparableConv2D
from jaxgraphs.layers.spatial import SpatialLayer
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import Input
from jaxgraphs.symbolic.spec import symbols

# Arguments that every layer of jaxgraphs has by name.
LEFT_OUT = ("self", "name", "activity_regularizer")

IMAGE = Input((None, None, 3), name="image")


def chain(x, layers):
    for layer in layers:
        x = layer(x)
    return x


SIZES = {
    "conv_valid": lambda: [Conv2D(2, 3), Conv2D(2, 3, 2)],
    "conv_same": lambda: [Conv2D(2, 3, 2, "same"), Conv2D(2, 1, 3, "same")],
    "conv_dilated": lambda: [Conv2D(2, 3, dilation_rate=2)],
    "conv_narrow": lambda: [Conv2D(2, 2, 3, "same")],
    "separable": lambda: [SeparableConv2D(2, 3, 2), DepthwiseConv2D(3, 2, "same")],
    "pool_valid": lambda: [MaxPooling2D(3, 2), MaxPooling2D()],
    "pool_same": lambda: [AveragePooling2D(3, 2, "same"), AveragePooling2D(2, 3, "same")],
    "padding": lambda: [ZeroPadding2D(((0, 1), (2, 0))), Cropping2D(((1, 0), (1, 2)))],
    "transpose": lambda: [Conv2DTranspose(2, 3, 2), Conv2DTranspose(2, 3, 2, "same")],
    "up": lambda: [UpSampling2D(2), UpSampling2D((1, 3), interpolation="bilinear")],
    "fixed": lambda: [Resizing(5, 4, crop_to_aspect_ratio=True)],
    "crop": lambda: [CenterCrop(3, 9)],
    "adaptive": lambda: [AdaptiveMaxPooling2D((2, 3))],
    "global": lambda: [GlobalAveragePooling2D(keepdims=True)],
}


@pytest.mark.parametrize("name", SIZES)
def test_unknown_sizes_come_out_as_the_arrays_do(name):  # oracle: the shape of the result on arrays of several sizes
    layers = SIZES[name]()
    spec = chain(IMAGE, layers).spec
    height, width = symbols(IMAGE.spec.dims[1:])
    for sizes in ((12, 17), (13, 20), (18, 15)):
        known = chain(Input((*sizes, 3)), layers).shape
        settled = spec.substitute({height: sizes[0], width: sizes[1]})
        assert settled.shape == known, name


BRANCHES = {
    "shortcut_of_a_strided_block": [lambda: [Conv2D(2, 3, 2, "same")], lambda: [Conv2D(2, 1, 2, "same")]],
    "reduction": [
        lambda: [Conv2D(2, 3, 2)],
        lambda: [MaxPooling2D(3, 2)],
        lambda: [Conv2D(2, 1), Conv2D(2, 3, padding="same"), Conv2D(2, 3, 2)],
    ],
    "two_threes_are_a_five": [lambda: [Conv2D(2, 3), Conv2D(2, 3)], lambda: [Conv2D(2, 5)], lambda: [Cropping2D(2)]],
    "separable_and_pooled": [
        lambda: [SeparableConv2D(2, 3, padding="same"), MaxPooling2D(3, 2, "same")],
        lambda: [Conv2D(2, 1, 2)],
    ],
    "there_and_back": [lambda: [UpSampling2D(2)], lambda: [Conv2DTranspose(2, 3, 2, "same")]],
    "padded_by_hand": [lambda: [ZeroPadding2D(1), Conv2D(2, 3)], lambda: []],
}


@pytest.mark.parametrize("name", BRANCHES)
def test_branches_of_one_unknown_size_are_seen_to_be_equal(name):  # oracle: the arithmetic of convolutions
    first, *others = [chain(IMAGE, branch()).spec.dims[:3] for branch in BRANCHES[name]]
    assert all(other == first for other in others)


def test_a_deep_graph_of_unknown_size_is_described():  # oracle: the size that the same graph has for numbers
    def reduce(x):
        return chain(x, [Conv2D(2, 3), Conv2D(2, 3, padding="same"), MaxPooling2D(3, 2)])

    unknown, known = IMAGE, Input((299, 200, 3))
    for _ in range(4):
        unknown, known = reduce(unknown), reduce(known)
    height, width = symbols(IMAGE.spec.dims[1:])
    assert unknown.spec.substitute({height: 299, width: 200}).shape == known.shape


def test_too_small_for_the_window():  # oracle: the message, word for word
    with pytest.raises(ShapeMismatchError) as caught:
        Conv2D(4, 3, name="stem")(Input((2, 28, 3), name="image"))
    assert str(caught.value) == dedent("""\
        Conv2D 'stem' has a window that is larger than its input.
          where:    image -> stem
          received: (batch, 2, 28, 3) float32
          expected: height of at least 3
          fix:      padding="same", a smaller kernel_size, or a larger input""")


def test_too_small_when_the_size_was_unknown():  # oracle: the message, word for word
    layer = MaxPooling2D(3, name="pool")
    assert layer(IMAGE).shape == (None, None, None, 3)
    with pytest.raises(ShapeMismatchError) as caught:
        layer.module().apply({}, jnp.ones((1, 2, 2, 3)))
    assert str(caught.value) == dedent("""\
        MaxPooling2D 'pool' has a window that is larger than its input.
          received: (1, 2, 2, 3) float32
          expected: height of at least 3, width of at least 3
          fix:      padding="same", a smaller pool_size, or a larger input""")


def test_unknown_channels():  # oracle: the message, word for word
    with pytest.raises(ShapeMismatchError) as caught:
        Conv2D(4, 3, name="stem", data_format="channels_first")(Input((None, 8, 8), name="image"))
    assert str(caught.value) == dedent("""\
        Conv2D 'stem' has to know the number of channels to make its kernel.
          where:    image -> stem
          received: (batch, None, 8, 8) float32
          expected: a number on axis 1, where the channels are
          fix:      Input((3, None, None))""")


def test_wrong_rank():  # oracle: the message, word for word
    with pytest.raises(ShapeMismatchError) as caught:
        pooling.MaxPooling2D(name="pool")(Input((28, 28), name="image"))
    assert str(caught.value) == dedent("""\
        MaxPooling2D 'pool' reads tensors of 4 axes.
          where:    image -> pool
          received: (batch, 28, 28) float32
          expected: (batch, height, width, channels)
          fix:      layers.Reshape arranges the axes; the batch axis is not part of its target_shape""")


REFUSED = {
    "groups of channels": (lambda: Conv3D(4, 3, groups=2)(Input((5, 5, 5, 3))), "split 3 channels into 2 groups"),
    "groups of filters": (lambda: Conv2D(5, 3, groups=2), "cannot split its filters into groups"),
    "filters": (lambda: Conv2D(0, 3), "needs filters to be positive"),
    "stride and dilation": (lambda: Conv2D(4, 3, 2, dilation_rate=2), "has both strides and dilation"),
    "transposed both": (lambda: Conv2DTranspose(4, 3, 2, dilation_rate=2), "has both strides and dilation"),
    "zero in a kernel": (lambda: Conv2D(4, (3, 0)), "received: kernel_size=(3, 0)"),
    "kernel of three": (lambda: Conv2D(4, (3, 3, 3)), "a whole number of at least 1, or a tuple of 2 of them"),
    "kernel in words": (lambda: Conv2D(4, "33"), "received: kernel_size='33'"),
    "kernel of truth": (lambda: Conv2D(4, True), "received: kernel_size=True"),
    "no strides": (lambda: Conv2D(4, 3, strides=None), "received: strides=None"),
    "padding": (lambda: Conv1D(4, 3, padding="full"), "expected: 'valid' or 'same' or 'causal'"),
    "causal image": (lambda: Conv2D(4, 3, padding="causal"), "expected: 'valid' or 'same'"),
    "data format": (lambda: Conv2D(4, 3, data_format="NHWC"), "expected: 'channels_last' or 'channels_first'"),
    "whole numbers": (lambda: Conv2D(4, 3)(Input((5, 5, 3), dtype="uint8")), "multiplies, and its input is of uint8"),
    "too much output": (lambda: Conv2DTranspose(4, 3, 2, output_padding=2), "received: output_padding=(2, 2)"),
    "multiplier": (lambda: DepthwiseConv2D(3, depth_multiplier=0), "needs depth_multiplier to be positive"),
    "three paddings": (lambda: ZeroPadding2D((1, 2, 3)), "received: padding=(1, 2, 3)"),
    "negative padding": (lambda: ZeroPadding3D(-1), "received: padding=-1"),
    "padding of time": (lambda: ZeroPadding1D((1, 2, 3)), "a whole number of at least 0, or a tuple of 2 of them"),
    "all cropped": (lambda: Cropping2D(2)(Input((4, 9, 3))), "expected: height of at least 5"),
    "all time cropped": (lambda: Cropping1D((1, 2))(Input((3, 9))), "would leave nothing of its input"),
    "interpolation": (lambda: UpSampling2D(interpolation="cubic"), "received: interpolation='cubic'"),
    "size of time": (lambda: UpSampling1D((2,)), "needs one whole number as its size"),
    "resized to nothing": (lambda: Resizing(3, 0), "needs width to be positive"),
    "two ratios": (lambda: Resizing(3, 3, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True), "in two ways"),
    "fill mode": (lambda: Resizing(3, 3, fill_mode="reflect"), "received: fill_mode='reflect'"),
    "two tensors": (lambda: GlobalMaxPooling3D()([IMAGE, IMAGE]), "reads one tensor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):  # oracle: the words of the message
    make, words = REFUSED[name]
    with pytest.raises(GraphError) as caught:
        make()
    assert words in str(caught.value)


def test_keras_refuses_what_is_refused_here():  # oracle: Keras
    for make in (
        lambda: keras.layers.Conv2D(4, 3, 2, dilation_rate=2),
        lambda: keras.layers.Conv2D(5, 3, groups=2),
        lambda: keras.layers.Conv2DTranspose(4, 3, 2, output_padding=2),
        lambda: keras.layers.Conv2D(4, 3)(keras.Input((2, 28, 3))),
        lambda: keras.layers.Cropping2D(2)(keras.Input((4, 9, 3))),
    ):
        with pytest.raises(ValueError, match=r"\S"):
            make()


def test_arguments_are_read_once_and_for_all():  # oracle: Keras' standard forms
    layer = Conv2D(4, [3, np.int64(2)], padding="SAME", name="stem")
    assert (layer.kernel_size, layer.strides) == ((3, 2), (1, 1))
    assert (layer.padding, layer.data_format) == ("same", "channels_last")
    wider = layer.replace(filters=8)
    assert (wider.kernel_size, wider.strides, wider.filters) == ((3, 2), (1, 1), 8)
    margins = {1: ((1, 1), (1, 1)), (1, 2): ((1, 1), (2, 2)), ((0, 1), (2, 3)): ((0, 1), (2, 3))}
    for given, standard in margins.items():
        assert ZeroPadding2D(given).padding == standard
        assert ZeroPadding2D(given).replace(name="other").padding == standard
    assert MaxPooling2D(3).replace(pool_size=2).strides is None


MODULES = (conv, conv_transpose, separable, pooling, global_pooling, adaptive_pooling, padding, resizing)
PUBLIC = {
    name: value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, SpatialLayer) and not name.startswith(("Base", "Spatial"))
}


@pytest.mark.parametrize("name", PUBLIC)
def test_names_arguments_and_defaults(name):  # oracle: Keras' class, its signature and the config of an instance
    theirs, ours = getattr(keras.layers, name), PUBLIC[name]
    assert theirs.__name__ == ours.__name__
    signature = inspect.signature(theirs.__init__).parameters.values()
    named = [p for p in signature if p.kind is p.POSITIONAL_OR_KEYWORD and p.name not in LEFT_OUT]
    fields = [field.name for field in dataclasses.fields(ours) if not field.kw_only]
    # In Conv3DTranspose alone Keras has data_format before output_padding; here they stand as in its siblings.
    arranged = sorted if name.endswith("3DTranspose") else list
    assert arranged(fields) == arranged(p.name for p in named)
    needed = {p.name: 3 for p in named if p.default is p.empty}
    config, layer = theirs(**needed).get_config(), ours(**needed)
    for field in set(fields) & set(config):
        # Initializers are dicts, None as an activation is "linear", and a pooling keeps None as its strides.
        if not isinstance(config[field], dict) and field not in ("activation", "strides"):
            assert getattr(layer, field) == config[field], field


def test_strides_default_to_the_window_of_a_pooling():  # oracle: Keras
    for kind in ("MaxPooling2D", "AveragePooling2D", "Conv2D"):
        given = (4, 3) if kind == "Conv2D" else (3,)
        strides = getattr(keras.layers, kind)(*given).strides
        layer = PUBLIC[kind](*given)
        assert (layer.strides or layer.pool_size) == strides


def test_unlike_strides_of_depthwise_run():  # oracle: every second place of the result with stride 1
    x = jax.random.normal(jax.random.key(0), (1, 6, 7, 2))
    layer = DepthwiseConv2D(3)
    variables = layer.module().init(jax.random.key(1), x)
    strided = DepthwiseConv2D(3, strides=(1, 2)).module().apply(variables, x)
    np.testing.assert_allclose(strided, layer.module().apply(variables, x)[:, :, ::2], rtol=1e-6)


def test_whole_numbers_pool_and_resize():  # oracle: by hand
    x = jnp.array([[[[1], [2]], [[3], [250]]]], jnp.uint8)
    assert MaxPooling2D().module().apply({}, x).tolist() == [[[[250]]]]
    resized = Resizing(1, 1).module().apply({}, x)
    assert (resized.dtype, resized.tolist()) == (jnp.uint8, [[[[64]]]])


def test_an_empty_row_has_mean_zero():  # oracle: Keras gives 0 / 0 here, and one such row spoils a whole gradient
    mask = jnp.array([[True, False], [False, False]])
    x = jnp.array([[[3.0], [5.0]], [[7.0], [9.0]]])
    ran = GlobalAveragePooling1D().run({}, (x,), {"mask": mask}, Context(masks=(None,)))
    assert ran.outputs.tolist() == [[3.0], [0.0]]
    assert ran.masks is None


def test_a_long_crop_of_an_unknown_length():  # oracle: by hand; models of genomes crop ten thousand places
    assert Cropping1D((5000, 5000))(Input((None, 4))).shape == (None, None, 4)
    assert Cropping1D((5000, 5000))(Input((10_001, 4))).shape == (None, 1, 4)
