"""What has to be arranged before JAX starts: where compiled programs are kept, how memory is freed, how many devices.

Nothing here happens unless it is asked for, and what happened is said on the standard error stream.
"""

from __future__ import annotations

import ctypes
import dataclasses
import multiprocessing
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxgraphs.errors import GraphError, GraphValueError

# XLA takes and frees one large block at each execution. By default glibc hands it back to the system, and every step
# then faults its pages in anew. The numbers are those of <malloc.h>; the names are read when a process starts. Threads
# that share one arena wait for each other at each allocation; a few are enough, and each keeps what was freed.
_SETTINGS = (
    ("MALLOC_MMAP_MAX_", -4, 0),
    ("MALLOC_TRIM_THRESHOLD_", -1, -1),
    ("MALLOC_TOP_PAD_", -2, 64 * 2**20),
    ("MALLOC_ARENA_MAX", -8, 4),
)
_DEVICES = "JAX_NUM_CPU_DEVICES"
_RESTARTED = "JAXGRAPHS_RESTARTED"


@dataclasses.dataclass(frozen=True)
class Setup:
    """What `setup` did, a sentence each."""

    done: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join(self.done) or "nothing was asked for"


def setup(
    *,
    cache: bool | str | os.PathLike[str] | None = None,
    allocator: bool = False,
    host_devices: int | None = None,
    restart: bool = True,
) -> Setup:
    """Arranges how this process runs JAX; best called first, before JAX is imported.

    Args:
        cache: a directory that keeps compiled programs from one process to the next, so that a first step compiles
            once in many; True for the user's own cache directory.
        allocator: whether freed memory is kept for the next step rather than given back to the system, and a step on a
            CPU is computed by the thread that asks for it. Steps there take about 0.65 to 0.9 of their time, and the
            process up to 40 % more memory. For glibc, that is Linux.
        host_devices: how many devices JAX makes of the CPU; with 2, independent recurrent branches run side by side.
        restart: whether the process may begin anew with its own arguments, where it is too late for one of these; what
            the script did until then is done again.
    Returns: what was done; it is also written to the standard error stream.
    Raises: GraphError where it is too late and the process cannot or may not begin anew: then the environment
        variables to set are named.

    >>> print(setup())
    nothing was asked for
    """
    _check(host_devices)
    done: list[str] = []
    late: dict[str, str] = {}
    if allocator:
        late |= _keep_memory(done)
    if host_devices is not None:
        # A process that begins anew is not to import JAX first.
        late |= {_DEVICES: str(host_devices)} if late else _make_devices(host_devices, done)
    if late:
        _begin_anew(late, may=restart)
    if cache:
        done.append(_keep_programs(_default_cache() if cache is True else Path(cache)))
    for line in done:
        print(f"jaxgraphs.setup: {line}", file=sys.stderr)
    return Setup(tuple(done))


def keeps_freed_memory() -> bool:
    """Whether the allocator was told to keep freed memory, by `setup` or by the environment the process began in."""
    return "MALLOC_TRIM_THRESHOLD_" in os.environ or "tcmalloc" in os.environ.get("LD_PRELOAD", "")


def _check(host_devices: Any) -> None:
    is_count = isinstance(host_devices, int) and not isinstance(host_devices, bool) and host_devices > 0
    if host_devices is not None and not is_count:
        raise GraphValueError("`host_devices` is a whole number from 1.", received=repr(host_devices))


def _keep_memory(done: list[str]) -> Mapping[str, str]:
    """Tells glibc and JAX now, where JAX has not taken memory yet; else the variables to begin anew with."""
    wanted = {name: str(value) for name, _, value in _SETTINGS}
    is_said = all(os.environ.get(name) == value for name, value in wanted.items())
    mallopt = _mallopt()
    if mallopt is None:
        done.append("the allocator is not glibc's and stays as it is")
        return {}
    has_started = _has_started()
    if has_started and not is_said:
        return wanted
    if not is_said:
        for _, number, value in _SETTINGS:
            mallopt(number, value)
        # For `keeps_freed_memory`, and for the processes that this one starts.
        os.environ.update(wanted)
    by = ", as the environment says" if is_said else " (up to 40 % more memory)"
    how = "JAX has started, so that its own threads compute, which take blocks of more than 64 MiB anew each time"
    if not has_started:
        how = _compute_here()
    done.append(f"freed memory is kept for the next step{by}; {how}")
    return {}


def _compute_here() -> str:
    """Lets steps on a CPU be computed by the thread that asks for them; what was done.

    Arenas other than the first, which is the first thread's, take blocks of more than 64 MiB from the system at each
    step, whatever glibc is told.
    """
    import jax

    jax.config.update("jax_cpu_enable_async_dispatch", False)
    return "on a CPU the thread that asks for a step computes it"


def _has_started() -> bool:
    """Whether JAX has devices; to be imported is not to have started."""
    if "jax" not in sys.modules:
        return False
    import jax

    devices = jax.config.values["jax_num_cpu_devices"]
    try:
        # Refused where there are devices, unlike other options that are read when they are made.
        jax.config.update("jax_num_cpu_devices", abs(devices) + 1)
    except RuntimeError:
        return True
    jax.config.update("jax_num_cpu_devices", devices)
    return False


def _mallopt() -> Any:
    """glibc's own function; None elsewhere."""
    try:
        library = ctypes.CDLL(None)
        return library.mallopt if hasattr(library, "gnu_get_libc_version") else None
    except (OSError, TypeError, AttributeError):
        return None


def _make_devices(count: int, done: list[str]) -> Mapping[str, str]:
    import jax

    if not _has_started():
        jax.config.update("jax_num_cpu_devices", count)
    elif len(jax.devices("cpu")) != count:
        return {_DEVICES: str(count)}
    done.append(f"the CPU is {count} devices")
    return {}


def _keep_programs(directory: Path) -> str:
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    directory = directory.expanduser()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise GraphError(
            "The directory for compiled programs cannot be made.", where=str(directory), received=str(error)
        ) from error
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # A program that was compiled before this has settled that there is no cache.
    compilation_cache.reset_cache()
    return f"compiled programs are kept in {directory}"


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "jaxgraphs" / "xla"


def _begin_anew(variables: Mapping[str, str], *, may: bool) -> None:
    """This process again, with its arguments and some environment variables more; does not return."""
    told = " ".join(f"{name}={value}" for name, value in variables.items())
    reason = _obstacle(may)
    if reason is not None:
        raise GraphError(
            "It is too late to arrange this: JAX has started.",
            received=reason,
            expected="jg.setup(...) before anything that computes",
            fix=f"start the process with {told}",
        )
    print(f"jaxgraphs.setup: beginning anew with {told}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **variables, _RESTARTED: "1"})


def _obstacle(may: bool) -> str | None:
    """Why the process cannot begin anew."""
    if not may:
        return "restart=False"
    if os.environ.get(_RESTARTED):
        return "a process that has begun anew once"
    if multiprocessing.parent_process() is not None:
        return "a process that multiprocessing started"
    is_interactive = hasattr(sys, "ps1") or bool(sys.flags.interactive) or "ipykernel" in sys.modules
    if is_interactive or os.name != "posix" or len(sys.orig_argv) < 2 or sys.orig_argv[1] == "-":
        return "a process that cannot begin anew with its arguments, such as a notebook"
    return None
