"""What models record of `keras.ops`, group by group, against Keras; and TensorFlow's names for them."""

import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

from jaxgraphs.graph.graph import Graph
from jaxgraphs.io.keras.operations import OPERATIONS, tensorflow_operation
from jaxgraphs.io.keras.read import from_keras
from tests.io.keras.files import whole
from tests.io.keras.models import inputs_for
from tests.io.keras.test_legacy import entry, functional, layer, normal
from tests.oracle import assert_close, assert_trees_close, keras_rules

K = np.random.default_rng(3).normal(size=(3, 3, 4, 5)).astype("float32")
VECTOR = np.linspace(0.5, 2.0, 4).astype("float32")


def numbers(x):
    y = ops.cast(x * 3.0, "int32")
    yield from (ops.cbrt(x), ops.exp2(x), ops.deg2rad(x), ops.sinc(x), ops.erfc(x), ops.signbit(x), ops.nan_to_num(x))
    yield from (ops.fmax(x, y), ops.fmin(x, x * 0.5), ops.heaviside(x, x), ops.logaddexp2(x, x), ops.fmod(y, y))
    yield from (ops.bitwise_and(y, y * 3), ops.left_shift(y, ops.abs(y)))
    yield from (ops.divide_no_nan(x, ops.relu(x)), ops.gcd(y, y * 2))
    yield from (
        ops.ones_like(x, dtype="int32"),
        ops.zeros_like(y),
        ops.full_like(x, 3),
        ops.saturate_cast(x * 99, "int8"),
    )
    yield from (
        ops.hard_shrink(x),
        ops.soft_shrink(x, 0.3),
        ops.threshold(x, 0.1, 7.0),
        ops.sparse_plus(x),
    )
    yield from (
        ops.sparse_sigmoid(x),
        ops.squareplus(x, 3),
        ops.isclose(x, x),
        ops.isin(y, np.array([0, 1])),
        ops.angle(x),
    )


def reductions(x):
    yield from (
        ops.nanmax(x, axis=1),
        ops.nanmean(x, axis=-1, keepdims=True),
        ops.nansum(x, axis=(1, 2)),
        ops.ptp(x, axis=1),
    )
    yield from (
        ops.quantile(x, 0.3, axis=(1,)),
        ops.percentile(x, np.array([20, 60]), axis=(2,)),
        ops.average(x, axis=1),
    )
    yield from (ops.average(x, axis=-1, weights=VECTOR), ops.count_nonzero(x, axis=1))
    yield from (ops.max(x, axis=1, initial=1.0),)
    yield from (ops.nancumsum(x, axis=1), ops.prod(x, axis=-1), ops.trapezoid(x, dx=0.5), ops.diff(x, n=2, axis=1))
    yield from (
        ops.cumsum(x, axis=1, dtype="float32"),
        ops.nanargmax(x, axis=1),
        ops.segment_sum(x[0], np.array([0, 1, 0]), 2),
    )
    yield from (*ops.moments(x, axes=[1]), ops.psnr(x, x * 0.5, 1.0), ops.amax(x, axis=1), ops.amin(x, axis=2))


def arrangement(x):
    yield from (
        ops.hstack([x, x]),
        ops.vstack([x, x]),
        ops.dstack([x, x]),
        *ops.hsplit(x, 3),
        *ops.array_split(x, 3, axis=2),
    )
    yield from (ops.rot90(x, 1, (1, 2)), ops.fliplr(x), ops.trace(x, 0, 1, 2), ops.append(x, x, axis=1), ops.copy(x))
    yield from (
        ops.slice(x, [0, 1, 0], [2, 2, 3]),
        ops.slice_update(x, [0, 1, 0], x[:, :1] * 0.0),
        ops.digitize(x, np.array([0.0, 1.0])),
    )
    yield from (
        ops.searchsorted(VECTOR, x),
        ops.select([x > 0.0, x > -1.0], [x, -x], 5.0),
        *ops.meshgrid(x[0, 0], x[0, 1]),
    )
    yield from (
        ops.scatter_update(x, np.array([[0, 1, 2], [1, 0, 0]]), np.array([5.0, 6.0], "float32")),
        ops.kron(x[0], x[1]),
    )
    yield from (
        ops.extract_sequences(x, 2, 1),
        ops.linspace(x[0], x[1], 4),
        ops.inner(x[0], x[1]),
        ops.cross(x[..., :3], x[..., 1:]),
    )


def algebra(x):
    square = ops.matmul(x, ops.transpose(x, (0, 2, 1))) + 2.0 * np.eye(3, dtype="float32")
    lower = ops.cholesky(square)
    yield from (
        lower,
        ops.cholesky(square, upper=True),
        ops.det(square),
        ops.inv(square),
        ops.solve(square, x),
        ops.pinv(x),
    )
    yield from (
        ops.solve_triangular(lower, x, lower=True),
        ops.svd(x, compute_uv=False),
        ops.logdet(square),
        ops.qr(x)[1],
    )
    yield from (
        *ops.slogdet(square),
        ops.eigh(square)[0],
        ops.matrix_rank(x),
        ops.norm(x, axis=(2,)),
        ops.cdist(x, x * 2.0),
    )
    yield from (*ops.rfft(x), *ops.fft((x, x * 0.5)), *ops.ifft2((x, x)), ops.irfft((x, x)), ops.vdot(x[0], x[1]))


def networks(x):
    depth = K[:, :, :, :2]
    yield from (ops.conv(x, K, 2, "same"), ops.conv(x, K[:, :, :, :2], dilation_rate=2))
    yield from (ops.depthwise_conv(x, depth),)
    yield from (ops.max_pool(x, 2, 2), ops.average_pool(x, (3, 2), 1, "same"), ops.adaptive_average_pool(x, (2, 2)))
    yield from (ops.adaptive_max_pool(x, (2, 3)), ops.batch_normalization(x, VECTOR, VECTOR, -1, VECTOR, VECTOR, 0.1))
    yield from (ops.layer_normalization(x, VECTOR, VECTOR), ops.rms_normalization(x, VECTOR))
    yield from (ops.depth_to_space(x, 2),)
    yield from (ops.space_to_depth(x, 2), ops.dot_product_attention(x, x * 0.5, x, is_causal=True))
    yield from (ops.log_softmax(x),)
    yield from (
        ops.multi_hot(ops.cast(ops.abs(x[:, 0, 0]), "int32"), 5),
        ops.binary_crossentropy(ops.sigmoid(x), x, True),
    )
    yield from (
        ops.categorical_crossentropy(ops.softmax(x), ops.softmax(x)),
        ops.in_top_k(np.array([1, 0]), x[:2, 0, 0], 2),
    )


def images(x):
    x = ops.sigmoid(x[..., :3])
    at = np.random.default_rng(5).uniform(-1, 7, (2, 5)).astype("float32")
    turn = np.tile(np.array([0.9, 0.2, 0.5, -0.2, 0.9, 1.0, 0.0, 0.0], "float32"), (2, 1))
    yield from (ops.image.resize(x, (4, 9)), ops.image.resize(x, (9, 3), "nearest"), ops.image.rgb_to_grayscale(x))
    yield from (
        ops.image.rgb_to_hsv(x),
        ops.image.hsv_to_rgb(x),
        ops.image.extract_patches(x, 2),
        ops.image.gaussian_blur(x),
    )
    yield from (
        ops.image.extract_patches(x, (3, 2), 1, 1, "same"),
        ops.image.pad_images(x, 1, 2, target_height=9, target_width=9),
    )
    yield from (ops.image.crop_images(x, 1, 2, 1, 1), ops.image.affine_transform(x, turn))
    yield from (ops.image.affine_transform(x, turn, fill_mode=mode) for mode in ("nearest", "reflect", "wrap"))
    yield from (
        ops.image.affine_transform(x, turn, "nearest"),
        ops.image.map_coordinates(x[0, :, :, 0], at, 1, "constant", 3.0),
    )


GROUPS = {
    **{function.__name__: (function, (3, 4)) for function in (numbers, reductions, arrangement, algebra)},
    **{function.__name__: (function, (6, 6, 4)) for function in (networks, images)},
}


@pytest.mark.parametrize("name", GROUPS)
def test_operations(name):  # oracle: Keras
    build, shape = GROUPS[name]
    with keras_rules():
        keras.utils.clear_session()
        x = keras.Input(shape, batch_size=2)
        outputs = list(build(x))
        model = keras.Model(x, outputs)
        values = inputs_for(model)[:2]
        expected = model(values)
    graph, variables = from_keras(model)
    found = graph.apply(variables, values)
    for tensor, one, other in zip(outputs, found, expected, strict=True):
        assert one.dtype == other.dtype, tensor.name
        assert_close(one, other, 2e-5, tensor.name)
    assert Graph.from_json(graph.to_json()).count_params() == 0


def test_convolutions_that_keras_cannot_record():  # oracle: Keras, called on arrays
    x, point = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype("float32"), K[:1, :1].repeat(2, 2)
    for name, call, kernels, options in (
        ("ConvTranspose", ops.conv_transpose, (K.swapaxes(2, 3),), {"strides": 2, "padding": "same"}),
        ("SeparableConv", ops.separable_conv, (K[:, :, :, :2], point), {"padding": "same"}),
    ):
        with keras_rules():
            expected = call(*map(jnp.asarray, (x, *kernels)), **options)
        assert_close(OPERATIONS[name](x, *kernels, **options), expected, 1e-5)


PICTURE = np.random.default_rng(0).normal(size=(2, 4, 4, 8)).astype("float32")


@pytest.mark.parametrize(
    ("function", "options", "expected"),
    [
        ("nn.space_to_depth", {"block_size": 2}, lambda x: ops.space_to_depth(x, 2)),
        ("compat.v1.depth_to_space", {"block_size": 2}, lambda x: ops.depth_to_space(x, 2)),
        ("image.resize", {"size": [8, 6]}, lambda x: ops.image.resize(x, (8, 6))),
        (
            "nn.max_pool",
            {"ksize": [1, 2, 2, 1], "strides": 2, "padding": "SAME"},
            lambda x: ops.max_pool(x, 2, 2, "same"),
        ),
        ("math.reduce_logsumexp", {"axis": [1, 2]}, lambda x: ops.logsumexp(x, axis=(1, 2))),
        ("norm", {"axis": -1, "keepdims": True}, lambda x: ops.norm(x, axis=-1, keepdims=True)),
        ("linalg.l2_normalize", {"axis": -1, "epsilon": 1e-10}, lambda x: ops.normalize(x, -1)),
        ("math.top_k", {"k": 3}, lambda x: ops.top_k(x, 3)[0]),
        ("slice", {"begin": [0, 1, 0, 0], "size": [-1, 2, 3, 8]}, lambda x: x[:, 1:3, :3]),
        ("clip_by_value", {"clip_value_min": 0.0, "clip_value_max": 6.0}, lambda x: ops.clip(x, 0.0, 6.0)),
    ],
)
def test_tensorflow_operations(function, options, expected):  # oracle: keras.ops
    config = functional(
        [entry("x", 4, 4, 8), layer("TFOpLambda", "op", [("x", 0, 0, options)], function=function, dtype="float32")],
        ["x"],
        ["op"],
        "Functional",
    )
    graph, variables = from_keras(whole(config, lambda group: group.attrs.create("layer_names", [], dtype="S1")))
    with keras_rules():
        assert_close(graph.apply(variables, PICTURE), expected(PICTURE), 1e-5)


def test_no_operation_is_a_stub():  # oracle: every entry of the table is a function
    assert all(callable(function) for function in OPERATIONS.values())
    assert tensorflow_operation("io.read_file") is None


MATRIX = normal(3, 4, 6, seed=3)


@pytest.mark.parametrize(
    ("function", "options", "expected"),
    [
        ("nn.gelu", {}, lambda x: ops.gelu(x, approximate=False)),
        ("linalg.band_part", {"num_lower": 1, "num_upper": 0}, lambda x: ops.tril(x) - ops.tril(x, -2)),
        ("linalg.diag_part", {}, lambda x: ops.diagonal(x, 0, 1, 2)),
        ("linalg.trace", {}, lambda x: ops.trace(x, 0, 1, 2)),
        ("nn.bias_add", {"bias": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}, lambda x: x + np.arange(1.0, 7.0, dtype="float32")),
        ("nn.crelu", {}, lambda x: ops.relu(ops.concatenate([x, -x], -1))),
        ("broadcast_to", {"shape": [None, 4, 6]}, lambda x: x),
        ("image.adjust_brightness", {"delta": 0.5}, lambda x: x + 0.5),
        ("image.adjust_contrast", {"contrast_factor": 2.0}, lambda x: 2 * x - ops.mean(x, (0, 1), keepdims=True)),
        ("ensure_shape", {"shape": [None, 4, 6]}, lambda x: x),
        ("debugging.check_numerics", {"message": "not a number"}, lambda x: x),
    ],
)
def test_functions_of_tensorflow_alone(function, options, expected):  # oracle: keras.ops
    graph, variables = from_keras(recorded((4, 6), function, options))
    with keras_rules():
        assert_close(graph.apply(variables, MATRIX), expected(MATRIX), 1e-5)
    assert Graph.from_json(graph.to_json()).count_params() == 0


@pytest.mark.parametrize(
    ("function", "options", "expected"),
    [
        ("nn.conv2d", {"filters": K.tolist(), "strides": [1, 2, 2, 1]}, lambda x: ops.conv(x, K, 2)),
        (
            "compat.v1.nn.conv2d",
            {"filter": K.tolist(), "padding": "SAME", "dilations": [1, 2, 2, 1]},
            lambda x: ops.conv(x, K, 1, "same", dilation_rate=2),
        ),
        (
            "nn.depthwise_conv2d",
            {"filter": K.tolist(), "strides": [1, 1, 1, 1], "padding": "SAME"},
            lambda x: ops.depthwise_conv(x, K, 1, "same"),
        ),
        (
            "image.extract_patches",
            {"sizes": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "rates": [1, 1, 1, 1], "padding": "VALID"},
            lambda x: ops.image.extract_patches(x, 2),
        ),
        (
            "nn.local_response_normalization",
            {"depth_radius": 1, "bias": 2.0, "alpha": 0.1, "beta": 0.75},
            lambda x: x / (2.0 + 0.1 * ops.conv(ops.square(x), np.eye(4, k=0)[None, None] + BESIDE)) ** 0.75,
        ),
        (
            "keras.backend.resize_images",
            {"height_factor": 2, "width_factor": 3, "data_format": "channels_last"},
            lambda x: ops.repeat(ops.repeat(x, 2, 1), 3, 2),
        ),
    ],
)
def test_functions_of_tensorflow_on_pictures(function, options, expected):  # oracle: keras.ops
    graph, variables = from_keras(recorded((6, 6, 4), function, options))
    x = normal(2, 6, 6, 4, seed=5)
    with keras_rules():
        assert_close(graph.apply(variables, x), expected(x), 1e-5)


BESIDE = (np.eye(4, k=1) + np.eye(4, k=-1))[None, None].astype("float32")


def recorded(shape, function, options):
    """A file of tf.keras with one call of a function."""
    call = layer("TFOpLambda", "op", [("x", 0, 0, options)], function=function, dtype="float32")
    return whole(functional([entry("x", *shape), call], ["x"], ["op"], "Functional"), no_weights)


def no_weights(group):
    group.attrs.create("layer_names", [], dtype="S1")


def test_sparsemax():  # oracle: Keras, which keeps more than one number here
    x = keras.Input((5,))
    model = keras.Model(x, [ops.sparsemax(x), L.Activation("sparsemax")(x)])
    graph, variables = from_keras(model)
    values = np.float32([[0.1, 0.2, 0.3, 0.25, -1.0], [3.0, 0.0, 0.1, 0.2, 1.0]])
    with keras_rules():
        expected = model(values)
    assert_trees_close(graph.apply(variables, values), list(expected), 1e-6)
