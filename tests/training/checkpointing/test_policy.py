"""Which checkpoints stay."""

import math

import pytest

from jaxgraphs.training.checkpoint import Checkpoints
from jaxgraphs.training.checkpointing.policy import Kept, to_remove

SCORES = [0.5, 0.1, math.nan, 0.3, 0.9, None]


@pytest.mark.parametrize(
    ("options", "staying"),
    [
        ({"keep_last": 2}, [5, 6]),
        ({"keep_last": 1, "keep_best": 2}, [2, 4, 6]),
        ({"keep_last": 1, "keep_best": 2, "mode": "max"}, [1, 5, 6]),
        ({"keep_last": 1, "keep_every": 2}, [2, 4, 6]),
        ({"keep_last": 9}, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_what_stays(options, staying):  # oracle: by hand
    kept = [Kept(str(epoch), epoch, epoch != 6, score) for epoch, score in enumerate(SCORES, start=1)]
    begun = Kept("0", 0, True, None)
    gone = to_remove([begun, *kept], Checkpoints("runs", **options), options.get("mode", "min"))
    # That of the run's beginning is kept for being new alone.
    assert ("0" in gone) == (options["keep_last"] < 7)
    assert [int(one.name) for one in kept if one.name not in gone] == staying
