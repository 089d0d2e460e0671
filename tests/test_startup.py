"""What is arranged before JAX starts: seen from processes of their own, for a process starts once."""

import os
import subprocess
import sys

import jax
import pytest

from jaxgraphs.errors import GraphError, GraphValueError
from jaxgraphs.startup import setup


def run(code, *arguments):
    """What a fresh process prints: (lines of stdout, stderr)."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "JAX"))}
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=clean, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split("\n")[:-1], result.stderr


def test_before_jax_starts(tmp_path):  # oracle: JAX's own answers
    code = f"""
import jaxgraphs as jg
jg.setup(cache={str(tmp_path / "kept")!r}, allocator=True, host_devices=2)
import jax
print(jax.device_count(), jax.config.values['jax_cpu_enable_async_dispatch'], jax.config.jax_compilation_cache_dir)
"""
    lines, said = run(code)
    assert lines == [f"2 False {tmp_path / 'kept'}"]
    assert said.count("jaxgraphs.setup: ") == 3
    assert "anew" not in said


def test_freed_memory_is_kept():  # oracle: MiB of pages that the system gave, as the kernel counts them
    code = """
import resource, sys, jaxgraphs as jg
jg.setup(allocator=True, host_devices=int(sys.argv[1])) if len(sys.argv) > 1 else None
import jax, jax.numpy as jnp
# What is scattered into is temporary: one block of 100 MiB.
step = jax.jit(lambda x: jnp.zeros(25 * 2**20).at[x].add(1.0).sum())
x = jnp.arange(8)
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step(x).block_until_ready()
before = faults()
for _ in range(30):
    step(x).block_until_ready()
print((faults() - before) * resource.getpagesize() // 2**20)
"""
    (plain,), _ = run(code)
    assert int(plain) > 30 * 64
    for devices in "12":
        (kept,), _ = run(code, devices)
        assert int(kept) < 200


@pytest.mark.parametrize("devices", [1, 2])
def test_a_process_that_is_late_begins_anew_once(devices):  # oracle: what it prints before and after
    code = f"""
import os, jax
print(jax.device_count(), os.environ.get("MALLOC_ARENA_MAX"))
import jaxgraphs as jg
jg.setup(allocator=True, host_devices={devices})
"""
    lines, said = run(code)
    assert lines == ["1 None", f"{devices} 4"]
    assert "JAX has started, so that its own threads compute" in said
    assert said.count("beginning anew with") == 1
    assert ("JAX_NUM_CPU_DEVICES=2" in said) == (devices == 2)


def test_jax_may_be_imported_before():  # oracle: JAX's own answer, and that nothing begins anew
    code = """
import jax
import jaxgraphs as jg
jg.setup(allocator=True, host_devices=2, restart=False)
print(jax.device_count(), jax.config.values["jax_cpu_enable_async_dispatch"])
"""
    lines, said = run(code)
    assert lines == ["2 False"]
    assert "anew" not in said


def test_a_process_that_may_not_begin_anew_is_told():  # oracle: the message
    count = jax.device_count() + 1  # asking starts JAX
    with pytest.raises(GraphError) as caught:
        setup(host_devices=count, restart=False)
    assert f"JAX_NUM_CPU_DEVICES={count}" in str(caught.value)
    assert "restart=False" in str(caught.value)


@pytest.mark.parametrize("count", [0, True, 1.5])
def test_devices_are_a_count(count):  # oracle: the error
    with pytest.raises(GraphValueError, match="whole number from 1"):
        setup(host_devices=count)


def test_without_a_wish_nothing_happens(capfd):  # oracle: no word, and no import
    assert str(setup()) == "nothing was asked for"
    assert capfd.readouterr().err == ""
    assert run("import jaxgraphs as jg, sys; jg.setup(); print('jax' in sys.modules)")[0] == ["False"]
