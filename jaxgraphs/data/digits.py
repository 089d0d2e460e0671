"""The small handwritten digits that come with scikit-learn: images to train on without a download.

Reference: Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository.
"""

from __future__ import annotations

import numpy as np

from jaxgraphs.data.reading import require_package
from jaxgraphs.data.split import Dataset, Split, deal


def load(test: float = 0.2, seed: int = 0) -> Dataset:
    """1,797 digits of 8 x 8 points, in the form of `mnist.load`.

    Args:
        test: the share of images kept for testing, in 0..1.
        seed: the same seed deals the same images to training and testing.
    Returns: Dataset with inputs float32 (n, 8, 8, 1), brightness in 0..1, and targets int32 (n,), digits 0 to 9.
    Raises: GraphValueError when scikit-learn is not installed, or for a share outside 0..1.

    >>> digits = load()
    >>> digits.train.inputs.shape, digits.test.targets.shape
    ((1438, 8, 8, 1), (359,))
    """
    digits = require_package("sklearn.datasets", "scikit-learn").load_digits()
    whole = Split((digits.images.astype(np.float32) / np.float32(16))[..., None], digits.target.astype(np.int32))
    train, test_rows = deal(len(whole), test, seed)
    return Dataset(whole[np.array(train)], whole[np.array(test_rows, np.intp)])
