"""Which checkpoints stay: the last ones, the best ones, and one every so many epochs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from jaxgraphs.training.checkpoint import Checkpoints


@dataclasses.dataclass(frozen=True)
class Kept:
    """What the policy knows of a checkpoint: how many epochs were done, whether it is an epoch's end, its score."""

    name: str
    epoch: int
    is_epoch: bool
    score: float | None


def to_remove(kept: Sequence[Kept], config: Checkpoints, direction: str | None = "min") -> list[str]:
    """The names of those that no rule keeps.

    Args:
        kept: all that are there, in order of time.
        direction: whether the best score is the "min" or the "max".
    """
    staying = {one.name for one in kept[-config.keep_last :]}
    scored = [one for one in kept if one.score is not None and not math.isnan(one.score)]
    sign = -1 if direction == "max" else 1
    staying |= {one.name for one in sorted(scored, key=lambda one: sign * (one.score or 0.0))[: config.keep_best]}
    if config.keep_every is not None:
        staying |= {one.name for one in kept if one.is_epoch and one.epoch and one.epoch % config.keep_every == 0}
    return [one.name for one in kept if one.name not in staying]
