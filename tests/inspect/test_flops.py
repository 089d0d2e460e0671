import jax
import jax.numpy as jnp
import pytest

from jaxgraphs.inspect.flops import count_flops


def scan(x):
    return jax.lax.scan(lambda carry, _: (carry * 2.0 + 1.0, None), x, length=7)[0]


def conv(x, w, **options):
    return jax.lax.conv_general_dilated(x, w, dimension_numbers=("NHWC", "HWIO", "NHWC"), **options)


def _ones(*shape):
    return jnp.ones(shape, jnp.float32)


IMAGE, KERNEL = _ones(2, 9, 9, 6), _ones(3, 3, 6, 4)

HAND = [
    (lambda a, b: a @ b, (_ones(5, 7), _ones(7, 3)), 2 * 5 * 7 * 3),
    (lambda a, b: jnp.einsum("bij,bjk->bik", a, b), (_ones(4, 5, 7), _ones(4, 7, 3)), 2 * 4 * 5 * 7 * 3),
    (lambda x: x + x, (_ones(5, 7),), 35),
    (lambda x: jnp.sum(x, axis=0), (_ones(5, 7),), 28),
    (lambda x: jax.nn.relu(x), (_ones(5, 7),), 35),
    (lambda x: x.T.reshape(7, 5)[:3], (_ones(5, 7),), 0),
    (lambda i: i + i, (jnp.arange(9),), 0),
    (scan, (_ones(5),), 7 * 2 * 5),
    (lambda x: jax.lax.fori_loop(0, 4, lambda _, y: y * 2.0, x), (_ones(5),), 4 * 5),
    (lambda x: jax.lax.while_loop(lambda y: y[0] < 3.0, lambda y: y * 2.0, x), (_ones(5),), 5),
    (lambda x: jax.lax.cond(x[0] > 0, jnp.sin, lambda y: y * 2.0 + 1.0, x), (_ones(5),), 1 + 2 * 5),
    (lambda x: jax.jit(jax.checkpoint(jnp.sin))(x), (_ones(5),), 5),
    (lambda x: jnp.cumsum(x), (_ones(5),), 5),
    (lambda x: x.at[jnp.array([0, 2])].add(jnp.ones(2)), (_ones(5),), 2),
    (lambda x, w: conv(x, w, window_strides=(1, 1), padding="VALID"), (IMAGE, KERNEL), 2 * 2 * 7 * 7 * 9 * 6 * 4),
    (lambda x, w: conv(x, w, window_strides=(2, 2), padding="SAME"), (IMAGE, KERNEL), 2 * 2 * 5 * 5 * 9 * 6 * 4),
    (
        lambda x, w: conv(x, w, window_strides=(1, 1), padding="VALID", feature_group_count=3),
        (IMAGE, _ones(3, 3, 2, 6)),
        2 * 2 * 7 * 7 * 9 * 2 * 6,
    ),
    (
        lambda x, w: conv(x, w, window_strides=(1, 1), padding=((1, 2), (1, 2)), lhs_dilation=(2, 2)),
        (IMAGE, KERNEL),
        2 * 2 * 18 * 18 * 9 * 6 * 4 // 4,
    ),
    (
        lambda x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (2, 2), (2, 2), "VALID"),
        (_ones(8, 8),),
        16 * 3,
    ),
]


@pytest.mark.parametrize(("function", "arrays", "expected"), HAND)
def test_hand_counts(function, arrays, expected):  # oracle: closed forms
    assert count_flops(jax.make_jaxpr(function)(*arrays)) == expected


def test_the_derivative_of_a_custom_rule_is_not_counted():  # oracle: the function alone
    @jax.custom_vjp
    def twice(x):
        return x * 2.0

    twice.defvjp(lambda x: (x * 2.0, None), lambda _, g: (g * 2.0,))
    assert count_flops(jax.make_jaxpr(twice)(_ones(5))) == 5


XLA = [
    (lambda a, b: a @ b, (_ones(5, 7), _ones(7, 3))),
    (lambda x, w: conv(x, w, window_strides=(1, 1), padding="VALID"), (IMAGE, KERNEL)),
    (lambda x: jnp.sum(x * x - 3.0), (_ones(5, 7),)),
]


@pytest.mark.parametrize(("function", "arrays"), XLA)
def test_xla_counts_the_same(function, arrays):  # oracle: XLA's cost analysis, where nothing is fused away or padded
    analysis = jax.jit(function).lower(*arrays).cost_analysis()
    assert count_flops(jax.make_jaxpr(function)(*arrays)) == pytest.approx(analysis["flops"], rel=0.01)
