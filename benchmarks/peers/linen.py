"""The workloads in hand-written Flax Linen and Optax: one jitted step whose state is donated."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.peers.architectures import inception_v3, xception
from benchmarks.workloads import Arrays, Subject, Workload


class QuestionAnswering(nn.Module):
    """Two texts, an LSTM for each."""

    @nn.compact
    def __call__(self, inputs: Any, train: bool) -> Any:
        read = [nn.RNN(nn.OptimizedLSTMCell(32))(nn.Embed(10_000, 64)(ids))[:, -1] for ids in inputs]
        return [nn.Dense(500)(jnp.concatenate(read, -1))]


class SiameseLSTM(nn.Module):
    """Two sequences, one LSTM."""

    @nn.compact
    def __call__(self, inputs: Any, train: bool) -> Any:
        lstm = nn.RNN(nn.OptimizedLSTMCell(32))
        return [nn.Dense(1)(jnp.concatenate([lstm(x)[:, -1] for x in inputs], -1))]


class SocialPosts(nn.Module):
    """One text, three predictions."""

    @nn.compact
    def __call__(self, inputs: Any, train: bool) -> Any:
        x = nn.Embed(50_000, 256)(inputs[0])
        x = nn.relu(nn.Conv(128, (5,), padding="VALID")(x))
        for _ in range(2):
            x = nn.max_pool(x, (5,), (5,))
            for _ in range(2):
                x = nn.relu(nn.Conv(256, (5,), padding="VALID")(x))
        x = nn.relu(nn.Dense(128)(x.max(1)))
        return [nn.Dense(1)(x), nn.Dense(10)(x), nn.Dense(1)(x)]


class InceptionModule(nn.Module):
    """Four branches over one feature map."""

    @nn.compact
    def __call__(self, inputs: Any, train: bool) -> Any:
        def conv(x: Any, size: int, strides: int = 1) -> Any:
            return nn.relu(nn.Conv(128, (size, size), (strides, strides))(x))

        x = inputs[0]
        pooled = nn.avg_pool(x, (3, 3), (2, 2), "SAME", count_include_pad=False)
        branches = [conv(x, 1, 2), conv(conv(x, 1), 3, 2), conv(pooled, 3), conv(conv(conv(x, 1), 3), 3, 2)]
        return [nn.Dense(10)(jnp.concatenate(branches, -1))]


class ResidualBlock(nn.Module):
    """Three convolutions, added to what they read."""

    @nn.compact
    def __call__(self, inputs: Any, train: bool) -> Any:
        y = inputs[0]
        for _ in range(3):
            y = nn.relu(nn.Conv(128, (3, 3))(y))
        return [y + inputs[0]]


class Ops:
    """Linen's layers under the names of the large architectures."""

    relu, concat = staticmethod(nn.relu), staticmethod(partial(jnp.concatenate, axis=-1))

    def __init__(self, train: bool) -> None:
        self.train = train

    def conv(self, x: Any, filters: int, window: tuple[int, int], strides: int, same: bool) -> Any:
        return nn.Conv(filters, window, (strides, strides), "SAME" if same else "VALID", use_bias=False)(x)

    def separable(self, x: Any, filters: int) -> Any:
        channels = x.shape[-1]
        x = nn.Conv(channels, (3, 3), feature_group_count=channels, use_bias=False)(x)
        return nn.Conv(filters, (1, 1), use_bias=False)(x)

    def norm(self, x: Any, scale: bool = True) -> Any:
        return nn.BatchNorm(not self.train, momentum=0.99, epsilon=1e-3, use_scale=scale)(x)

    def max_pool(self, x: Any, same: bool) -> Any:
        return nn.max_pool(x, (3, 3), (2, 2), "SAME" if same else "VALID")

    def average_pool(self, x: Any) -> Any:
        return nn.avg_pool(x, (3, 3), (1, 1), "SAME", count_include_pad=False)

    def head(self, x: Any, classes: int) -> Any:
        return nn.Dense(classes)(x.mean((1, 2)))


class InceptionV3(nn.Module):
    """See `architectures`."""

    @nn.compact
    def __call__(self, inputs: Any, train: bool) -> Any:
        return [inception_v3(Ops(train), inputs[0])]


class Xception(nn.Module):
    """See `architectures`."""

    @nn.compact
    def __call__(self, inputs: Any, train: bool) -> Any:
        return [xception(Ops(train), inputs[0])]


MODELS: dict[str, type[nn.Module]] = {
    "question_answering": QuestionAnswering,
    "siamese_lstm": SiameseLSTM,
    "social_posts": SocialPosts,
    "inception_module": InceptionModule,
    "residual_block": ResidualBlock,
    "inception_v3": InceptionV3,
    "xception": Xception,
}

_LOSSES: dict[str, Any] = {
    "mse": optax.squared_error,
    "sparse_categorical_crossentropy": optax.softmax_cross_entropy_with_integer_labels,
    "binary_crossentropy": optax.sigmoid_binary_cross_entropy,
}
_LAST: dict[str, Any] = {
    "mse": lambda x: x,
    "sparse_categorical_crossentropy": nn.softmax,
    "binary_crossentropy": nn.sigmoid,
}


def build(workload: Workload) -> Subject:
    """The model with its step; parameters are made in one compiled call."""
    model, optimizer = MODELS[workload.name](), optax.rmsprop(1e-3, decay=0.9, eps=1e-7)
    x, y = (jax.device_put(arrays) for arrays in workload.data())
    variables = jax.jit(partial(model.init, train=False))(jax.random.key(0), x)
    state = (variables["params"], variables.get("batch_stats", {}), optimizer.init(variables["params"]))

    def loss(params: Any, stats: Any, x: Any, y: Any) -> Any:
        outputs, new = model.apply({"params": params, "batch_stats": stats}, x, train=True, mutable=["batch_stats"])
        terms = zip(workload.losses, outputs, y, strict=True)
        return sum(jnp.mean(_LOSSES[name](output, target)) for name, output, target in terms), new

    @partial(jax.jit, donate_argnums=0)
    def train_step(state: Any, x: Any, y: Any) -> Any:
        params, stats, moments = state
        (value, new), gradients = jax.value_and_grad(loss, has_aux=True)(params, stats, x, y)
        changes, moments = optimizer.update(gradients, moments, params)
        return (optax.apply_updates(params, changes), new.get("batch_stats", {}), moments), value

    @jax.jit
    def apply(state: Any, x: Any) -> Any:
        outputs = model.apply({"params": state[0], "batch_stats": state[1]}, x, train=False)
        return [_LAST[name](output) for name, output in zip(workload.losses, outputs, strict=True)]

    def step() -> float:
        nonlocal state
        state, value = train_step(state, x, y)
        return float(value)

    def fit(inputs: Arrays, targets: Arrays) -> None:
        nonlocal state
        order = np.random.default_rng(0).permutation(len(inputs[0]))
        value = None
        for rows in np.split(order, len(order) // workload.batch):
            state, value = train_step(state, [a[rows] for a in inputs], [a[rows] for a in targets])
        jax.block_until_ready(value)

    return Subject(step, fit, lambda inputs: [np.asarray(part) for part in apply(state, inputs)], jax.clear_caches)


def versions() -> dict[str, str]:
    """What is measured."""
    return {"flax": flax.__version__, "optax": optax.__version__, "jax": jax.__version__}
