"""Inception V3 and Xception, written once in terms of a framework's own layers.

`ops` has conv, separable, norm, relu, max_pool, average_pool, concat and head; each call makes a layer.
"""

from __future__ import annotations

from typing import Any


def inception_v3(ops: Any, x: Any) -> Any:
    """(batch, 299, 299, 3) -> logits (batch, 1000). Reference: Szegedy et al. (2015), arXiv:1512.00567."""

    def conv(x: Any, filters: int, rows: int, columns: int, strides: int = 1, same: bool = True) -> Any:
        return ops.relu(ops.norm(ops.conv(x, filters, (rows, columns), strides, same), False))

    def chain(x: Any, *convolutions: tuple[int, int, int]) -> Any:
        for each in convolutions:
            x = conv(x, *each)
        return x

    def pooled(x: Any, filters: int) -> Any:
        return conv(ops.average_pool(x), filters, 1, 1)

    x = conv(conv(x, 32, 3, 3, 2, False), 32, 3, 3, 1, False)
    x = ops.max_pool(conv(x, 64, 3, 3), False)
    x = conv(conv(x, 80, 1, 1, 1, False), 192, 3, 3, 1, False)
    x = ops.max_pool(x, False)
    for width in (32, 64, 64):
        a, b = conv(x, 64, 1, 1), chain(x, (48, 1, 1), (64, 5, 5))
        x = ops.concat([a, b, chain(x, (64, 1, 1), (96, 3, 3), (96, 3, 3)), pooled(x, width)])
    narrow = conv(chain(x, (64, 1, 1), (96, 3, 3)), 96, 3, 3, 2, False)
    x = ops.concat([conv(x, 384, 3, 3, 2, False), narrow, ops.max_pool(x, False)])
    for width in (128, 160, 160, 192):
        b = chain(x, (width, 1, 1), (width, 1, 7), (192, 7, 1))
        c = chain(x, (width, 1, 1), (width, 7, 1), (width, 1, 7), (width, 7, 1), (192, 1, 7))
        x = ops.concat([conv(x, 192, 1, 1), b, c, pooled(x, 192)])
    a = conv(conv(x, 192, 1, 1), 320, 3, 3, 2, False)
    b = conv(chain(x, (192, 1, 1), (192, 1, 7), (192, 7, 1)), 192, 3, 3, 2, False)
    x = ops.concat([a, b, ops.max_pool(x, False)])
    for _ in range(2):
        b, c = conv(x, 384, 1, 1), chain(x, (448, 1, 1), (384, 3, 3))
        parts = [conv(b, 384, 1, 3), conv(b, 384, 3, 1), conv(c, 384, 1, 3), conv(c, 384, 3, 1)]
        x = ops.concat([conv(x, 320, 1, 1), *parts, pooled(x, 192)])
    return ops.head(x, 1000)


def xception(ops: Any, x: Any) -> Any:
    """(batch, 299, 299, 3) -> logits (batch, 1000). Reference: Chollet (2017), arXiv:1610.02357."""
    for filters, strides in ((32, 2), (64, 1)):
        x = ops.relu(ops.norm(ops.conv(x, filters, (3, 3), strides, False)))
    for first, second, starts_with_relu in ((128, 128, False), (256, 256, True), (728, 728, True)):
        x = _narrowing(ops, x, first, second, starts_with_relu)
    for _ in range(8):
        y = x
        for _ in range(3):
            y = ops.norm(ops.separable(ops.relu(y), 728))
        x = x + y
    x = _narrowing(ops, x, 728, 1024, True)
    for filters in (1536, 2048):
        x = ops.relu(ops.norm(ops.separable(x, filters)))
    return ops.head(x, 1000)


def _narrowing(ops: Any, x: Any, first: int, second: int, starts_with_relu: bool) -> Any:
    shortcut = ops.norm(ops.conv(x, second, (1, 1), 2, True))
    y = ops.relu(x) if starts_with_relu else x
    y = ops.relu(ops.norm(ops.separable(y, first)))
    y = ops.norm(ops.separable(y, second))
    return ops.max_pool(y, True) + shortcut
