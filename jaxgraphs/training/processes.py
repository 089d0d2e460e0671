"""Several processes that train one model: how they find each other, what each of them has, and how they agree."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import importlib.util
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding

from jaxgraphs.errors import GraphError, GraphValueError

PyTree = Any
LOST = 75
"""The exit status of a process whose peers are gone: `EX_TEMPFAIL`, start me again."""


class PeerLost(GraphError):
    """Another process of the run has ended or cannot be reached; what was saved is whole."""

    status = LOST


def initialize(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    *,
    timeout: int = 300,
    silence: int = 30,
) -> None:
    """Joins this process to the others of one run; before JAX computes anything, and once.

    After it `jax.devices()`, and so `make_mesh()`, has the devices of all processes. Under SLURM, Open MPI and
    Kubernetes (with its client package; Open MPI from 5 with mpi4py) each argument is found where it is left out. On
    CPUs processes talk by Gloo.

    Args:
        coordinator: "host:port" of process 0, reachable from all.
        processes: how many there are; `process`: the number of this one, from 0.
        timeout: seconds to wait for the others at the start; then JAX itself ends this process.
        silence: seconds after which a process that does not answer counts as lost, and the others end.
    Raises: GraphError when an argument is missing or does not fit, or what is to be found is not.

    Example: ``jg.sharding.initialize("10.0.0.1:9876", processes=4, process=2)``
    """
    _check(coordinator, processes, process)
    if coordinator is not None and process == 0:
        _check_port(coordinator)
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            cluster_detection_method=_means(),
            initialization_timeout=timeout,
            heartbeat_timeout_seconds=silence,
            shutdown_timeout_seconds=silence,
        )
    except Exception as error:  # What looks for a cluster raises what its client does.
        raise _not_joined(coordinator, processes, process, error) from error


def _check(coordinator: str | None, processes: int | None, process: int | None) -> None:
    host, _, port = (coordinator or "host:1").rpartition(":")
    if not host or not port.isdigit():
        raise GraphValueError(
            "The coordinator is a host and a port.", received=repr(coordinator), fix='"10.0.0.1:9876"'
        )
    if processes is not None and process is not None and not 0 <= process < processes:
        raise GraphValueError(
            "The number of a process does not fit.",
            received=f"process {process} of {processes}",
            expected=f"0 to {processes - 1}",
        )


def _means() -> str | None:
    """How JAX is to find the others: Open MPI from 5 no longer says in the environment where its launcher is."""
    is_silent = "OMPI_COMM_WORLD_SIZE" in os.environ and "OMPI_MCA_orte_hnp_uri" not in os.environ
    return "mpi4py" if is_silent and importlib.util.find_spec("mpi4py") else None


def _check_port(coordinator: str) -> None:
    """Where something else listens already JAX would end the process without a word."""
    port = int(coordinator.rpartition(":")[2])
    is_both = socket.has_dualstack_ipv6()
    try:
        socket.create_server(
            ("", port), family=socket.AF_INET6 if is_both else socket.AF_INET, dualstack_ipv6=is_both
        ).close()
    except OSError as error:
        raise GraphValueError(
            "Process 0 cannot listen on the coordinator's port.",
            received=f"{coordinator}: {error.strerror}",
            fix="another port, the same for all processes",
        ) from error


def _not_joined(coordinator: str | None, processes: int | None, process: int | None, error: Exception) -> GraphError:
    text = _words_of(error)
    if "before any JAX" in text or "only be called once" in text:
        return GraphError(
            "This process can no longer join others.",
            received=text,
            fix="call jg.sharding.initialize() once, before anything is computed",
        )
    return GraphError(
        "This process did not find the others of its run.",
        received=f"coordinator {coordinator}, processes {processes}, process {process}: {text}",
        expected="the address of process 0, how many there are, and which one this is; or SLURM, Open MPI, Kubernetes",
        fix='coordinator="10.0.0.1:9876", processes=4, process=2, with each number from 0 given to one process',
    )


def _words_of(error: Exception) -> str:
    """What an error says; of those that the runtime raises the first line alone, as the rest is its own trace."""
    if isinstance(error, jax.errors.JaxRuntimeError):
        return str(error).splitlines()[0]
    says_it = isinstance(error, (ValueError, RuntimeError)) and str(error)
    return str(error) if says_it else f"{type(error).__name__}: {error}"


def is_first() -> bool:
    """Whether this process is the one that prints and writes."""
    return jax.process_index() == 0


def say(text: str) -> None:
    """Prints, in the first process alone."""
    if is_first():
        print(text)


def is_spread(mesh: Mesh) -> bool:
    """Whether a mesh has devices of several processes."""
    return len({device.process_index for device in mesh.devices.flat}) > 1


def is_global(leaf: Any) -> bool:
    """Whether an array lies over several processes."""
    return isinstance(leaf, jax.Array) and not leaf.is_fully_addressable


def put(leaf: Any, sharding: Sharding) -> jax.Array:
    """An array laid out over devices; over those of several processes, each of which has the whole of it."""
    if sharding.is_fully_addressable or is_global(leaf):
        return jax.device_put(leaf, sharding)
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(put(jax.random.key_data(leaf), sharding), impl=jax.random.key_impl(leaf))
    host = np.asarray(leaf)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def fetched(tree: PyTree) -> PyTree:
    """Arrays as NumPy's, whole in every process; all processes have to ask for them."""

    def fetch(leaf: Any) -> Any:
        if not is_global(leaf) or leaf.is_fully_replicated:
            return np.asarray(leaf)
        return multihost_utils.process_allgather(leaf, tiled=True)

    return jax.tree.map(fetch, tree)


@dataclasses.dataclass(frozen=True)
class Share:
    """Which rows of each batch a process has.

    Args:
        shards: in how many parts a batch's rows lie.
        held: the numbers of the parts that are on this process's devices.
    """

    shards: int
    held: tuple[int, ...]

    def filled(self, size: int) -> int:
        """The size of a batch of so many rows once it is filled up to whole parts."""
        return -(-size // self.shards) * self.shards

    def rows(self, size: int) -> np.ndarray:
        """The numbers of this process's rows in a batch of so many.

        >>> Share(4, (1, 3)).rows(8).tolist()
        [2, 3, 6, 7]
        """
        each = size // self.shards
        return np.concatenate([np.arange(part * each, (part + 1) * each) for part in self.held])

    def whole(self, local: int) -> int:
        """How many rows a batch has of which this process has so many."""
        return local // len(self.held) * self.shards


class Peers:
    """The processes of a mesh, which tell each other small numbers.

    Args:
        mesh: with devices of several processes.
    """

    def __init__(self, mesh: Mesh) -> None:
        firsts: dict[int, Any] = {}
        for device in mesh.devices.flat:
            firsts.setdefault(device.process_index, device)
        ordered = [firsts[index] for index in sorted(firsts)]
        self.count, self.index = len(ordered), sorted(firsts).index(jax.process_index())
        spread = Mesh(np.asarray(ordered), ("process",))
        self._own = NamedSharding(spread, PartitionSpec("process"))
        self._gather = jax.jit(lambda rows: rows, out_shardings=NamedSharding(spread, PartitionSpec()))
        self._told: Any = None

    def exchange(self, *numbers: int) -> np.ndarray:
        """What each process tells: (processes, numbers)."""
        return np.asarray(self._sent(numbers))

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag whether a process raised it at the last call; now's are known at the next.

        Waiting for now's would hold up the devices at every step.
        """
        before, self._told = self._told, self._sent([int(flag) for flag in flags])
        return (False,) * len(flags) if before is None else tuple(bool(row) for row in np.asarray(before).max(0))

    def agree(self, problem: GraphError | None) -> None:
        """Lets all processes go on, or none.

        Raises: the problem; in the other processes a GraphError that names the one with the problem.
        """
        troubled = np.flatnonzero(self.exchange(int(problem is not None))[:, 0])
        if problem is not None:
            raise problem
        if len(troubled):
            raise GraphError(
                f"Process {troubled[0]} of this run could not go on.", fix="see what it says, and start all again"
            )

    def _sent(self, numbers: Sequence[int]) -> Any:
        own = np.asarray([numbers], np.int32)
        return self._gather(jax.make_array_from_process_local_data(self._own, own, (self.count, len(numbers))))


@contextlib.contextmanager
def peers_watched(peers: Peers | None) -> Iterator[None]:
    """Within, the loss of another process is an error that says so.

    Raises: PeerLost.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:  # JAX raises either, by where it notices.
        if peers is None or isinstance(error, GraphError) or not _is_loss(str(error)):
            raise
        _leave_alone()
        raise PeerLost(
            "Another process of this run has ended or cannot be reached.",
            where=f"process {peers.index} of {peers.count}",
            received=_reason(str(error)),
            fix="start all processes again with the same resume= directory: the run goes on from its last checkpoint",
        ) from error


def _is_loss(text: str) -> bool:
    return any(sign in text for sign in ("Gloo", "oordination", "NCCL", "nccl", "UNAVAILABLE", "DEADLINE_EXCEEDED"))


def _reason(text: str) -> str:
    """The last of the runtime's nested sentences."""
    return text.splitlines()[0].split("Error dispatching computation: ")[-1].split(". This ")[0][:200]


def _leave_alone() -> None:
    """At the process's end: do not wait for those who are gone, as JAX does."""

    def leave() -> None:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(LOST)

    atexit.register(leave)
