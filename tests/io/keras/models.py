"""Small Keras models, one for each thing that functional models are made of, and the comparison that all must pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import layers as L
from keras import ops

from tests.oracle import assert_close, keras_rules


def functional(inputs, outputs, **options):
    return keras.Model(inputs, outputs, **options)


def dense_chain():
    x = keras.Input((6,), name="x")
    y = L.Dense(5, activation="relu", kernel_regularizer=keras.regularizers.L1L2(0.01, 0.02))(x)
    y = L.Dropout(0.5)(L.BatchNormalization(momentum=0.8)(y))
    return functional(x, L.Dense(3, activation="softmax", kernel_constraint="non_neg", name="end")(y))


def several_ends():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = L.Dense(3, name="shared")
    return functional([a, b], [shared(a), L.subtract([shared(a), shared(b)])])


def dicts():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    joined = L.Concatenate()([a, b])
    return functional({"first": a, "second": b}, {"sum": L.Dense(2)(joined), "wide": L.Dense(5)(joined)})


def nested():
    tower = keras.Sequential([keras.Input((6,)), L.Dense(4, activation="gelu"), L.BatchNormalization()], name="tower")
    p = keras.Input((4,))
    head = functional(p, [L.Dense(2)(p), L.LayerNormalization()(p)], name="head")
    x, y = keras.Input((6,), name="x"), keras.Input((6,), name="y")
    one, other = head(tower(x))
    two, another = head(tower(y))
    return functional([x, y], [one, L.Add()([two, one]), L.Multiply()([other, another])])


def deep_sequential():
    inner = keras.Sequential([L.Dense(4), L.Activation("tanh")])
    return keras.Sequential([keras.Input((5,)), inner, keras.Sequential([L.Dense(4), L.Dense(3)]), L.Dense(2)])


def frozen():
    x = keras.Input((6,), name="x")
    base = keras.Sequential([keras.Input((6,)), L.Dense(4), L.BatchNormalization(), L.Dense(4)], name="base")
    base.layers[0].trainable = False
    y = L.BatchNormalization(trainable=False)(base(x))
    whole = functional(x, L.Dense(2, trainable=False)(y))
    base.layers[1].trainable = False
    return whole


def operators():
    x = keras.Input((4, 6), name="x")
    y = 2.0 * x - x[:, :1] / 3.0
    y = ops.relu(y**2 + (-y)) @ ops.transpose(x, (0, 2, 1))
    y = ops.concatenate([y, ops.expand_dims(ops.mean(x, axis=-1), 1)], axis=1)
    y = ops.where(ops.greater(y, 0.5), ops.sqrt(ops.abs(y)), ops.tanh(y))
    return functional(x, [ops.reshape(y, (-1, 20)), ops.max(y, axis=(1, 2), keepdims=True), ops.softmax(y)])


def more_operators():
    x = keras.Input((6,), name="x")
    ids = ops.cast(ops.abs(x) * 3.0, "int32")
    parts = [*ops.split(x, 2, axis=1), ops.stack([x, x], axis=1), ops.einsum("bi,bj->bij", x, x), ops.one_hot(ids, 3)]
    parts += [ops.pad(x, ((0, 0), (1, 2))), ops.clip(x, 0.2, 0.5), ops.gelu(x), ops.top_k(x, 2)[0], ops.normalize(x)]
    parts += [ops.logsumexp(x, axis=1), ops.repeat(x, 2, axis=1), ops.tile(x, [1, 2]), ops.flip(x, axis=1), x[..., 0]]
    parts += [ops.take(x, [0, 2], axis=1), ops.cumsum(x, axis=1), 1.0 / (x**2 + 1.0), ops.swapaxes(x[:, None], 1, 2)]
    parts += [ops.max_pool(ops.reshape(x, (-1, 6, 1)), (2,), (2,)), L.Embedding(9, 2)(ops.clip(ops.abs(x), 0.0, 8.0))]
    return functional(x, parts)


def convolutions():
    x = keras.Input((12, 12, 3), name="x")
    y = L.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(x)
    y = L.PReLU(shared_axes=[1, 2])(L.BatchNormalization()(y))
    y = L.SeparableConv2D(6, 3, padding="same")(y)
    y = L.DepthwiseConv2D(3, depth_multiplier=2)(L.ZeroPadding2D(1)(y))
    y = L.LeakyReLU()(L.Conv2DTranspose(4, 3, strides=2)(y))
    y = L.MaxPooling2D(2)(L.UpSampling2D(2)(L.ReLU(max_value=6.0)(y)))
    return functional(x, L.Dense(3)(L.GlobalAveragePooling2D()(L.GroupNormalization(2)(y))))


def channels_first():
    x = keras.Input((3, 8, 8), name="x")
    y = L.Conv2D(4, 3, data_format="channels_first")(x)
    y = L.BatchNormalization(axis=1)(y)
    return functional(x, L.Dense(2)(L.Flatten(data_format="channels_first")(y)))


def sequences():
    ids = keras.Input((7,), dtype="int32", name="ids")
    x = L.Embedding(10, 6, mask_zero=True)(ids)
    y = L.Bidirectional(L.LSTM(4, return_sequences=True), merge_mode="sum")(x)
    z = L.GRU(3, return_state=True)(y)
    w = L.TimeDistributed(L.Dense(2))(y)
    rnn = L.RNN([L.LSTMCell(3), L.GRUCell(2, reset_after=False)], return_sequences=True)(x)
    return functional(ids, [z[0], z[1], L.SimpleRNN(2)(w), rnn])


def held():
    x, y = keras.Input((5, 6), name="x"), keras.Input((6,), name="y")
    dense, cell = L.Dense(6, activation="tanh", name="dense"), L.LSTMCell(3, name="cell")
    i = keras.Input((6,))
    inner = functional(i, L.BatchNormalization()(L.Dense(3)(i)), name="inner")
    z = L.TimeDistributed(dense)(x)
    rnns = [L.RNN(cell)(z), L.RNN(cell, go_backwards=True)(x)]
    return functional([x, y], [dense(y), inner(y), L.TimeDistributed(inner)(z), *rnns])


def sounds():
    x = keras.Input((64, 1), name="x")
    y = L.STFTSpectrogram(frame_length=16, mode="magnitude")(x)
    y = L.SpectralNormalization(L.Conv1D(4, 3))(L.BatchNormalization(renorm=True)(y))
    return functional(x, [y, L.MelSpectrogram(32, 16, num_mel_bins=4)(L.Flatten()(x))])


def states():
    x, y = keras.Input((5, 3), name="x"), keras.Input((6, 3), name="y")
    _, h, c = L.LSTM(4, return_state=True, name="encoder")(x)
    return functional([x, y], L.LSTM(4, return_sequences=True, name="decoder")(y, initial_state=[h, c]))


def translation():
    x, y = keras.Input((7,), dtype="int32", name="x"), keras.Input((7,), dtype="int32", name="y")
    table = L.Embedding(10, 4, mask_zero=True)
    state = L.GRU(3, return_state=True)(table(x))[1]
    words = L.GRU(3, return_sequences=True)(table(y), initial_state=state)
    return functional([x, y], L.GroupQueryAttention(2, 2, 1)(words, words))


def attention():
    q, v = keras.Input((4, 6), name="q"), keras.Input((5, 6), name="v")
    y = L.MultiHeadAttention(2, 3)(q, v)
    y = L.LayerNormalization(epsilon=1e-6)(y + q)
    z = L.Attention(use_scale=True)([y, v])
    return functional(
        [q, v], [z, L.AdditiveAttention()([y, v]), L.EinsumDense("abc,cd->abd", output_shape=(None, 5))(y)]
    )


def preprocessing():
    x = keras.Input((8, 8, 3), name="x")
    y = L.Rescaling(1 / 127.5, offset=-1.0)(x)
    y = L.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(y)
    return functional(x, L.Resizing(5, 6)(L.CenterCrop(6, 6)(L.RandomFlip()(y))))


def adapted():
    layer = L.Normalization()
    layer.adapt(np.random.default_rng(0).normal(2.0, 3.0, (20, 4)).astype("float32"))
    x = keras.Input((4,), name="x")
    return functional(x, L.Dense(2)(layer(x)))


def masks_and_operators():
    ids = keras.Input((6,), dtype="int32", name="ids")
    y = L.Embedding(12, 4, mask_zero=True)(ids)
    pooled = [L.GlobalAveragePooling1D()(z) for z in (y, y * 2.0, y + y, keras.ops.relu(y), L.ReLU()(y))]
    return functional(ids, [*pooled, L.LSTM(3)(y - 1.0), L.LSTM(3)(y)])


def gated_queries():
    x = keras.Input((4, 6), name="x")
    y = L.GroupQueryAttention(3, 4, 2, use_gate=True)(x, x)
    return functional(x, L.GroupQueryAttention(3, 4, 4, use_gate=True)(y, x))


def whole_numbers():
    image, counts = keras.Input((5, 5, 2), dtype="uint8", name="image"), keras.Input((4,), dtype="int32", name="counts")
    steps = L.Reshape((4, 1))(counts)
    read = [L.Dense(2)(counts), L.LSTM(3)(steps), L.Dense(2)(keras.ops.one_hot(counts, 11, dtype="int32"))]
    flat = keras.Sequential([keras.Input((5, 5, 2), dtype="uint8"), L.Flatten(), L.Dense(3)])
    return functional([image, counts], [*read, L.Conv2D(2, 3)(image), flat(image), L.Dense(2)(counts > 3)])


def idle_inputs():
    a, b, c = keras.Input((3,), name="a"), keras.Input((3,), name="b"), keras.Input((2, 2), name="c")
    inner = functional({"a": a, "c": c}, {"y": L.Dense(2)(a)}, name="inner")
    return functional({"a": a, "b": b, "c": c}, {"end": inner({"a": b, "c": c})["y"]})


MODELS: dict[str, Callable[[], Any]] = {
    function.__name__: function
    for function in (
        *(
            dense_chain,
            several_ends,
            dicts,
            nested,
            deep_sequential,
            frozen,
            operators,
            more_operators,
            convolutions,
            channels_first,
        ),
        *(sequences, held, sounds, translation, states, attention, preprocessing, adapted),
        *(masks_and_operators, gated_queries, whole_numbers, idle_inputs),
    )
}


def made(build: Callable[[], Any]) -> Any:
    """The model with weights that are not its first ones."""
    with keras_rules():
        keras.utils.clear_session()
        model = build()
        random = np.random.default_rng(1)
        for weight in model.weights:
            if "int" in str(weight.dtype):
                continue
            value = random.normal(scale=0.4, size=weight.shape)
            weight.assign(np.abs(value) + 0.5 if "var" in weight.path.rsplit("/", 1)[-1] else value)
        for layer in model.layers:
            if isinstance(layer, L.Normalization):
                layer.finalize_state()
    return model


def saved(model: Any, path: Any) -> Any:
    """The model's file; the ending says of which kind."""
    with keras_rules():
        model.save_weights(path) if str(path).endswith(".weights.h5") else model.save(path)
    return path


def inputs_for(model: Any) -> Any:
    """Seeded numbers, arranged as the model's inputs."""
    random = np.random.default_rng(2)

    def one(tensor: Any) -> np.ndarray:
        shape = (3, *tensor.shape[1:])
        if "int" in tensor.dtype:
            ids = random.integers(1, 10, shape).astype(tensor.dtype)
            ids[1:, 4:] = 0
            return ids
        return random.normal(size=shape).astype(tensor.dtype)

    inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return jax.tree.map(one, inputs, is_leaf=lambda leaf: hasattr(leaf, "dtype"))


def check_same(model: Any, graph: Any, variables: Any) -> None:
    """Outputs, gradients to the params and counts agree with Keras'."""
    values = inputs_for(model)
    trainable, constant = [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]

    def theirs(trainable: Any) -> Any:
        outputs, _ = model.stateless_call(trainable, constant, values, training=False)
        return _total(outputs), outputs

    def ours(params: Any) -> Any:
        outputs = graph.apply({**variables, "params": params}, values)
        return _total(outputs), outputs

    with keras_rules():
        (_, expected), expected_grads = jax.jit(jax.value_and_grad(theirs, has_aux=True))(trainable)
    (_, outputs), grads = jax.jit(jax.value_and_grad(ours, has_aux=True))(variables["params"])
    for one, other in zip(jax.tree.leaves(outputs), jax.tree.leaves(expected), strict=True):
        assert_close(one, other, 1e-5, "output")
    assert_close(_norm(_learned(graph, grads)), _norm(expected_grads), 1e-4, "norm of the gradients")


def _total(outputs: Any) -> Any:
    leaves = [jnp.asarray(leaf, jnp.float32) for leaf in jax.tree.leaves(outputs)]
    return sum(jnp.sum(leaf * jnp.cos(jnp.arange(leaf.size, dtype=jnp.float32)).reshape(leaf.shape)) for leaf in leaves)


def _norm(grads: Any) -> Any:
    return np.sqrt(sum(float(np.sum(np.square(np.asarray(leaf, np.float64)))) for leaf in jax.tree.leaves(grads)))


def _learned(graph: Any, grads: Any) -> Any:
    from jaxgraphs.graph.count import trainable_mask

    return jax.tree.map(lambda grad, keep: grad if keep else jnp.zeros_like(grad), grads, trainable_mask(graph, grads))
