"""Whatever a file holds, reading it ends in a graph or a GraphError: soon, in little memory, with nothing run."""

import json
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st

from jaxgraphs.errors import GraphError
from jaxgraphs.io.keras.read import from_keras
from tests.io.keras.files import GOOD, OLD, archive, whole
from tests.io.keras.hostile import harmless, hostile

CORPUS = hostile()
REASONS = {
    "lambda in": "the code of a Lambda, which is never run",
    "lambda as": "the activation '__lambda__'",
    "function as a layer": "the layer class 'system'",
    "function as an activation": "the activation 'system'",
    "a call in the arguments": "a value that is not data",
    "get_file in a Lambda": "the function 'get_file' of a Lambda",
    "get_file as a layer": "the layer class 'get_file'",
    "as an initializer": "the initializer 'enable_unsafe_deserialization'",
    "vocabulary from a": "never opened",
    "IntegerLookup from a file": "never opened",
    "TorchModuleWrapper": "the code within a TorchModuleWrapper, which is never run",
    "a layer of jax2tf": "the code within a JaxLayer, which is never run",
    "TFSMLayer": "the code within a TFSMLayer, which is never run",
    "a tar": "not a file of Keras'",
    "that leaves the archive": "a path that leaves the archive",
    "an absolute member": "not a part of a Keras archive",
    "a symbolic link": "a link or a device",
    "a member twice": "twice",
    "an encrypted archive": "encrypted",
    "a zip bomb": "too large",
    "soft link": "a link to somewhere else",
    "external link": "a link to somewhere else",
    "external storage": "lie in another file",
    "a virtual data set": "lie in another file",
    "references": "not of numbers",
    "unlike lengths": "not of numbers",
    "filter": "packed in an unknown way",
    "a shape bomb": "too large",
    "another shape": "is (4, 4), expected (4, 3)",
    "a listed parent": "a path that cannot be followed",
    "numbers for names": "an attribute that is no text",
    "calls in a circle": "wait for each other",
    "that is not there": "not there",
    "beyond reason": "too large",
    "deeply": "too deeply",
}
"""What the message must say, by a part of the name; the first that fits."""


@pytest.mark.parametrize("name", CORPUS)
def test_refused(name):  # oracle: the reason, and no more than a GiB of memory on the way
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(GraphError) as caught:
        from_keras(CORPUS[name])
    message, reasons = str(caught.value), [words for part, words in REASONS.items() if part in name]
    assert message
    assert all(words in message for words in reasons[:1])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20


def test_what_they_are_spoilt_copies_of():  # oracle: the numbers written
    for name in ("an archive", "an old file"):
        graph, variables = from_keras(harmless()[name])
        kernel = np.arange(12, dtype="float32").reshape(4, 3)
        x = np.ones((2, 4), "float32")
        np.testing.assert_allclose(graph.apply(variables, x), x @ kernel + 1, rtol=1e-6)


def test_unknown_places_are_told_at_once():  # oracle: the message, word for word
    layers = [
        *("<lambda>", "mine"),
    ]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": []}}
    config["config"]["layers"] = [
        {
            "class_name": "Dense",
            "config": {"name": f"d{i}", "units": 2, "activation": name, "batch_input_shape": [None, 2]},
        }
        for i, name in enumerate(layers)
    ]
    config["config"]["layers"].append({"class_name": "Strange", "config": {"name": "s1"}})
    with pytest.raises(GraphError) as caught:
        from_keras(json.dumps(config))
    assert str(caught.value) == textwrap.dedent("""\
        The Keras model has 3 things that are not known here.
          received: d0: the activation '<lambda>'
                    d1: the activation 'mine'
                    s1: the layer class 'Strange'
          fix:      jg.from_keras(source, custom_objects={'<lambda>': lambda x: ..., 'mine': lambda x: ..., \
'Strange': Strange})""")


def test_custom_objects_are_used():  # oracle: the functions given
    layers = [
        {
            "class_name": "Dense",
            "config": {"name": "d", "units": 2, "activation": "<lambda>", "batch_input_shape": [None, 2]},
        },
        {
            "class_name": "Lambda",
            "config": {"name": "twice", "function": ["code", None, None], "function_type": "lambda"},
        },
        {"class_name": "Strange", "config": {"name": "strange"}},
    ]
    custom = {"<lambda>": lambda x: x * x, "twice": lambda x: 2.0 * x, "Strange": lambda x: x + 1.0}
    graph, variables = from_keras({"class_name": "Sequential", "config": {"layers": layers}}, custom)
    x = np.ones((1, 2), "float32")
    expected = 2.0 * np.square(x @ np.asarray(variables["params"]["d"]["kernel"])) + 1.0
    np.testing.assert_allclose(graph.apply(variables, x), expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["an archive", "an old file"])
def test_cut_short_and_flipped(kind):  # oracle: a graph with arrays of the right shapes, or a GraphError
    data = harmless()[kind]
    random = np.random.default_rng(0)
    for length in random.integers(0, len(data), 25):
        with pytest.raises(GraphError):
            from_keras(data[:length])
    for place in random.integers(0, len(data), 120):
        spoilt = bytearray(data)
        spoilt[place] ^= 1 << random.integers(8)
        try:
            graph, variables = from_keras(bytes(spoilt))
        except GraphError:
            continue
        for layer in variables["params"].values():
            assert layer["kernel"].ndim == 2
        assert graph.layers


def read_or_refused(data):
    """Any ending but a graph or a GraphError fails the test."""
    try:
        graph, variables = from_keras(data)
    except GraphError:
        return
    assert graph.layers or graph.inputs
    assert all(np.all(np.isfinite(np.shape(leaf))) for leaf in jax.tree.leaves(variables))


@hypothesis.given(st.data())
@hypothesis.settings(max_examples=40, deadline=None, database=None, derandomize=True)
def test_mutated_configurations(data):  # oracle: a graph, or a GraphError
    config = json.loads(json.dumps(data.draw(st.sampled_from([GOOD, OLD]))))
    strange = st.sampled_from(
        [
            None,
            True,
            -1,
            0,
            2**31,
            1e308,
            float("nan"),
            "",
            "x" * 40,
            "<lambda>",
            [],
            [None],
            {},
            {"class_name": "Dense"},
        ]
    )
    for _ in range(data.draw(st.integers(1, 3))):
        parent, key = data.draw(st.sampled_from(places(config)))
        parent[key] = data.draw(strange)
    read_or_refused(json.dumps(config))


@hypothesis.given(st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=6))
@hypothesis.settings(max_examples=40, deadline=None, database=None, derandomize=True)
def test_mutated_bytes(changes):  # oracle: a graph, or a GraphError
    for data in harmless().values():
        spoilt = bytearray(data)
        for place, value in changes:
            spoilt[place % len(spoilt)] = value
        read_or_refused(bytes(spoilt))


def places(tree):
    """Every place in a nesting: what holds it, and its key."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [place for key in keys for place in [(tree, key), *places(tree[key])]]


WATCH = """
import json, sys
from jaxgraphs.errors import GraphError
from jaxgraphs.io.keras.read import from_keras

folder, names = sys.argv[1], json.loads(sys.argv[2])
from_keras(f"{folder}/good.keras"), from_keras(f"{folder}/good.h5")  # all that is imported late is imported now
events, watching = [], [False]
ALWAYS = ("exec", "compile", "marshal.load", "pickle.find_class", "code.__new__", "import", "os.", "open",
          "subprocess.", "socket.", "urllib.", "ctypes.", "shutil.", "tempfile.", "builtins.input", "cpython.run")

def hook(event, args):
    if watching[0] and event.startswith(ALWAYS):
        events.append((event, str(args[0]) if args else ""))

sys.addaudithook(hook)
result = {}
for name in names:
    path = f"{folder}/{name}"
    watching[0] = True
    try:
        from_keras(path)
        outcome = "read"
    except GraphError:
        outcome = "refused"
    watching[0] = False
    result[name] = [outcome, [event for event in events if event != ("open", path)]]
    events.clear()
print(json.dumps(result))
"""


def test_nothing_else_is_opened_or_run(tmp_path):  # oracle: Python's audit events
    (tmp_path / "good.keras").write_bytes(archive(GOOD))
    (tmp_path / "good.h5").write_bytes(whole(OLD))
    names = [f"file{index}" for index in range(len(CORPUS))]
    for name, data in zip(names, CORPUS.values(), strict=True):
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-c", WATCH, str(tmp_path), json.dumps(names)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    wrong = {title: result[name] for title, name in zip(CORPUS, names, strict=True) if result[name] != ["refused", []]}
    assert not wrong
    assert not (tmp_path / "pwned").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "good.keras", "good.h5"])


def test_no_looking_up_by_name():  # oracle: the source
    import jaxgraphs.io.keras

    forbidden = (
        "importlib",
        "eval(",
        "exec(",
        "marshal",
        "pickle",
        "__import__",
        "import keras\n",
        "from keras ",
        "from keras.",
    )
    for file in Path(jaxgraphs.io.keras.__file__).parent.glob("*.py"):
        if file.name == "verify.py":  # compares with Keras, on request
            continue
        code = file.read_text("utf-8")
        assert [word for word in forbidden if word in code] == [], file.name
