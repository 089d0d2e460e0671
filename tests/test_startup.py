"""What is arranged before JAX starts: seen from processes of their own, for a process starts once."""

import os
import subprocess
import sys

import jax
import pytest

from jaxgraphs import startup
from jaxgraphs.errors import GraphError, GraphValueError
from jaxgraphs.startup import setup

HUGE = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def run(code, **environment):
    """What a fresh process prints: (lines of stdout, stderr)."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "JAX", "GLIBC_"))}
    result = subprocess.run(
        [sys.executable, "-c", code], env={**clean, **environment}, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split("\n")[:-1], result.stderr


def test_before_jax_starts(tmp_path):  # oracle: JAX's own answers
    code = f"""
import jaxgraphs as jg
jg.setup(cache={str(tmp_path / "kept")!r}, allocator=True, host_devices=2)
import jax
print(jax.device_count(), jax.config.jax_compilation_cache_dir)
"""
    lines, said = run(code, **HUGE)
    assert lines == [f"2 {tmp_path / 'kept'}"]
    assert said.count("jaxgraphs.setup: ") == 3
    assert "anew" not in said


@pytest.mark.skipif(not startup._huge_pages(), reason="no pages of 2 MiB, or the variable is set")
def test_large_pages():  # oracle: what glibc is started with, and its pages as the kernel counts them
    code = """
import ctypes, os, jaxgraphs as jg
jg.setup(allocator=True)
print(os.environ["GLIBC_TUNABLES"])
ctypes.memset(ctypes.create_string_buffer(2**27), 1, 2**27)
(line,) = [line for line in open("/proc/self/smaps_rollup") if line.startswith("AnonHugePages")]
print(int(line.split()[1]) > 2**16)
"""
    lines, said = run(code, GLIBC_TUNABLES="glibc.malloc.check=0")
    assert lines == ["glibc.malloc.check=0:glibc.malloc.hugetlb=1", "True"]
    assert said.count("beginning anew with") == 1


def test_without_large_pages_nothing_begins_anew(monkeypatch):  # oracle: the words, and what is left to the caller
    monkeypatch.setattr(startup, "_mallopt", lambda: lambda number, value: 1)
    monkeypatch.setattr(startup, "_huge_pages", lambda: HUGE)
    monkeypatch.delitem(sys.modules, "jaxlib")
    monkeypatch.setattr(os, "environ", {})
    done = []
    assert startup._keep_memory(1, done, may=False) == {}
    (said,) = done
    assert said.endswith("started with GLIBC_TUNABLES=glibc.malloc.hugetlb=1 it has pages of 2 MiB")


@pytest.mark.parametrize(("devices", "arenas"), [(2, 4), (1, 1)])
def test_a_process_that_is_late_begins_anew_once(devices, arenas):  # oracle: what it prints before and after
    code = f"""
import os, jax
print(jax.device_count(), os.environ.get("MALLOC_ARENA_MAX"))
import jaxgraphs as jg
jg.setup(allocator=True, host_devices={devices})
"""
    lines, said = run(code)
    assert lines == ["1 None", f"{devices} {arenas}"]
    assert said.count("beginning anew with") == 1
    assert ("JAX_NUM_CPU_DEVICES=2" in said) == (devices == 2)


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
