"""``jaxgraphs train --distributed``: one process of several, watched by a parent that says why it ended."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

LOST = 75
TEXT = """\
error: Another process of this run has ended or cannot be reached.
  fix:      start all processes again with the same --resume directory: the run goes on from its last checkpoint"""


def watched(run: Callable[[], int]) -> int:
    """Calls `run` in a child process; for use before JAX is imported.

    When the first process of a run is gone, JAX ends the others at once, from a thread of its own that no Python
    catches. The parent tells that in a sentence, and passes on signals and exit codes.
    """
    parent = os.getpid()
    child = os.fork()
    if not child:
        _end_with(parent)
        return run()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # A terminal sends it to the child too.
    signal.signal(signal.SIGTERM, lambda number, frame: os.kill(child, number))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != -signal.SIGABRT:
        return code if code >= 0 else 128 - code
    print(TEXT, file=sys.stderr)
    return LOST


def joined(coordinator: str | None, processes: int | None, process: int | None) -> Any:
    """A mesh of the devices of all processes of the run."""
    from jaxgraphs.training.sharding import initialize, make_mesh

    initialize(coordinator, processes, process)
    return make_mesh()


def _end_with(parent: int) -> None:
    """Where the system can: a child does not outlive its parent, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(LOST)
