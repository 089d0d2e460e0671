"""When a model was described: the same words meant different things in Keras 1, 2 and 3."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Era:
    """What is known of the Keras that wrote a model.

    Args:
        major: 1, 2 (tf.keras included) or 3.
        backend: "tensorflow", "theano", "jax" ... as the file says; None where it does not.
        keeps_dtypes: whether layers are given their dtype, because some differ from float32.
    """

    major: int = 3
    backend: str | None = None
    keeps_dtypes: bool = False

    @property
    def is_legacy(self) -> bool:
        """Whether Keras 3's changes do not hold yet."""
        return self.major < 3

    @property
    def flips_kernels(self) -> bool:
        """Whether convolutions were computed with the kernel reversed, as Theano does."""
        return self.backend == "theano" and self.is_legacy


def major_of(version: str | None) -> int:
    """The first number of a version; files without one are Keras 1's.

    >>> major_of("2.4.0"), major_of("3.15.1"), major_of(None)
    (2, 3, 1)
    """
    first = (version or "1").split(".")[0]
    return int(first) if first in ("1", "2", "3") else 3
