"""Items made ready by a thread: the same, in order, no further than asked, and with the source's errors."""

import threading

import jax
import pytest

from jaxgraphs.training.ahead import ahead


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_the_same_items(depth):  # oracle: the source
    assert list(ahead(iter(range(20)), depth)) == list(range(20))
    assert list(ahead(iter([]), depth)) == []


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_an_error_comes_where_its_item_would(depth):  # oracle: the items before it
    def source():
        yield 1
        yield 2
        raise OSError("gone")

    seen = []
    with pytest.raises(OSError, match="gone"):
        seen.extend(item for item in iter(ahead(source(), depth)) if seen.append(item))
    assert seen == [1, 2]


@pytest.mark.parametrize("depth", [1, 2])
def test_no_further_than_asked(depth):  # oracle: the depth
    read, is_there = [], {number: threading.Event() for number in range(10)}

    def source():
        for number in range(10):
            read.append(number)
            is_there[number].set()
            yield number

    items = ahead(source(), depth)
    for number in range(3):
        assert next(items) == number
        # The thread comes so far by itself, and waits there.
        assert is_there[number + depth].wait(10)
    assert len(read) == 3 + depth
    items.close()
    assert len(read) == 3 + depth
    assert not [thread for thread in threading.enumerate() if thread.name == "batches" and thread.is_alive()]


def test_settings_are_as_here():  # oracle: what JAX does outside of a thread
    def source():
        yield jax.numpy.asarray(1.5).dtype
        yield jax.config.jax_default_device
        yield jax.config.jax_numpy_dtype_promotion

    device = jax.devices()[1]
    with jax.enable_x64(True), jax.default_device(device), jax.numpy_dtype_promotion("standard"):
        inside = list(ahead(source(), 2))
        assert inside == list(source())
    outside = list(ahead(source(), 2))
    assert outside == list(source())
    assert all(one != other for one, other in zip(inside, outside, strict=True))
