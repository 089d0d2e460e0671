"""The command line: its page, its exit codes, and what each command says."""

import csv
import json
import re
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs.cli import arguments, completion, datasets, main
from jaxgraphs.jobs import JOBS, Job, Options, Outcome

SAID = [
    (["train", "quest"], "There is nothing to train called 'quest'."),
    (["summary", "Inception"], "There is no model called 'Inception'."),
    (["summary", "nowhere.safetensors"], "The file cannot be read: No such file or directory."),
    (["plot", "siamese_lstm", "model.bmp"], "A picture of a graph is written in one of four formats"),
    (["predict", "nowhere.safetensors"], "The file cannot be read: No such file or directory."),
]


@pytest.fixture(scope="module")
def posts(tmp_path_factory):
    """A model of three outputs, and rows to ask it about."""
    folder = tmp_path_factory.mktemp("posts")
    outcome = JOBS["social_posts"].run(Options(size=64, epochs=1, verbose=0))
    jg.save(folder / "posts.safetensors", outcome.graph, outcome.variables, extra=dict(outcome.extra))
    rows = "description\nan old puppy finds a blog\nmurder in the city\n"
    (folder / "rows.csv").write_text(rows, "utf-8")
    return folder, outcome


@pytest.fixture(scope="module")
def doubling(tmp_path_factory):
    """A model of one input without words, and an array for it."""
    folder = tmp_path_factory.mktemp("doubling")
    x = jg.Input((2,), name="x")
    graph = jg.Graph(x, jg.layers.Rescaling(2.0, name="double")(x))
    jg.save(folder / "double.safetensors", graph, graph.init(jax.random.key(0)))
    np.save(folder / "x.npy", np.array([[1.0, 2.0], [3.0, 4.0]], np.float32))
    return folder


def test_the_page_fits_a_screen_and_names_everything():  # oracle: the parser; 80 x 24 characters
    lines = arguments.PAGE.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    top = arguments.parser()
    assert top.format_help() == arguments.PAGE
    for action in completion.actions(top):
        names = list(action.choices) if isinstance(action.choices, dict) else action.option_strings[-1:]
        for name in set(names) - {"--version"}:
            assert re.search(rf"(?<![\w-]){name}\b", arguments.PAGE), name


def test_the_jobs_that_can_be_typed():  # oracle: the jobs
    assert tuple(JOBS) == arguments.JOBS
    assert all(job in arguments.PAGE for job in JOBS)


@pytest.mark.parametrize(("words", "text"), SAID, ids=lambda value: "-".join(value) if isinstance(value, list) else "")
def test_errors_are_a_block_and_an_exit_code(words, text, capsys):  # oracle: the messages
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {text}")
    assert "Traceback" not in err
    assert main([*words, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"].startswith(text)
    with pytest.raises(jg.GraphError):
        main([*words, "--debug"])


def test_wrong_usage(capsys):  # oracle: what argparse does
    with pytest.raises(SystemExit) as left:
        main(["train", "--epochs", "0"])
    assert left.value.code == 2
    assert "0 is not positive" in capsys.readouterr().err


def test_what_does_not_compute_does_not_import_jax():  # oracle: the interpreter's own list of modules
    asked = "import sys, jaxgraphs.cli as cli; cli.main(['datasets']); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], capture_output=True).returncode == 0


def test_datasets(capsys):  # oracle: the functions are there, and the jobs
    assert main(["datasets", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [source["name"] for source in found] == [source.name for source in datasets.SOURCES]
    for source in datasets.SOURCES:
        value = jg
        for part in source.reader.split("."):
            value = getattr(value, part)
        assert callable(value)
    assert {job for source in datasets.SOURCES for job in source.jobs} == set(JOBS)
    assert main(["datasets"]) == 0
    assert capsys.readouterr().out.startswith("stories      short stories")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(shell, capsys):  # oracle: the commands and jobs
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(
        word in script for word in ("social_posts", "convert", "--resume", "#compdef" if shell == "zsh" else "complete")
    )


def test_predictions_in_the_words_of_the_file(posts, capsys):  # oracle: the graph, and the classes by number
    folder, outcome = posts
    asked = ["predict", str(folder / "posts.safetensors"), "--data", str(folder / "rows.csv")]
    assert main([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    encoder = jg.data.TableEncoder.from_json(outcome.extra["table"])
    rows = [{"description": "an old puppy finds a blog"}, {"description": "murder in the city"}]
    expected = jax.tree.map(np.asarray, outcome.graph.apply(outcome.variables, encoder.encode(rows)))
    np.testing.assert_allclose(found["year"], expected["year"][:, 0] + 2000, rtol=1e-6)
    assert found["rating"] == [encoder.classes("rating")[index] for index in expected["rating"].argmax(-1)]
    assert found["kind"] == [encoder.classes("kind")[int(p > 0.5)] for p in expected["kind"][:, 0]]
    assert main([*asked, "--out", str(folder / "said.csv")]) == 0
    assert capsys.readouterr().out == f"wrote 2 rows to {folder / 'said.csv'}\n"
    with open(folder / "said.csv", encoding="utf-8") as file:
        assert [row["kind"] for row in csv.DictReader(file)] == found["kind"]


def test_predictions_for_arrays(doubling, capsys):  # oracle: twice the numbers
    asked = ["predict", str(doubling / "double.safetensors"), "--data", str(doubling / "x.npy")]
    assert main(asked) == 0
    assert capsys.readouterr().out == "double_0,double_1\n2.0,4.0\n6.0,8.0\n\n"
    assert main([*asked, "--out", str(doubling / "y.npz")]) == 0
    np.testing.assert_array_equal(np.load(doubling / "y.npz")["double"], [[2.0, 4.0], [6.0, 8.0]])


def test_models_that_cannot_be_asked_so(doubling, capsys):  # oracle: the messages
    saved = str(doubling / "double.safetensors")
    assert main(["predict", saved]) == 1
    assert "give it --data FILE" in capsys.readouterr().err
    assert main(["predict", saved, "--data", "rows.csv"]) == 1
    assert "saved without what turns rows into its inputs" in capsys.readouterr().err
    (doubling / "bad.npz").write_bytes(b"PK\x03\x04 no archive")
    assert main(["predict", saved, "--data", str(doubling / "bad.npz")]) == 1
    assert "This is no file of arrays." in capsys.readouterr().err


def test_models_go_anywhere(doubling, capsys):  # oracle: the program's own numbers
    saved, out = str(doubling / "double.safetensors"), doubling / "double.stablehlo"
    assert main(["convert", saved, str(out)]) == 0
    np.testing.assert_array_equal(jg.load_exported(out)(np.ones((1, 2), np.float32)), [[2.0, 2.0]])
    capsys.readouterr()
    for words, text in (
        (["convert", saved, "model.txt"], "The ending says what is to be written."),
        (["convert", saved, "again.safetensors", "--verify"], "Only a file of Keras' can be compared with Keras."),
        (["convert", saved, str(doubling / "no" / "where.onnx")], f"'{doubling}/no/where.onnx' cannot be written."),
        (["train", "--save", str(doubling)], f"'{doubling}' cannot be written."),
    ):
        assert main(words) == 1
        assert capsys.readouterr().err.startswith(f"error: {text}")


def test_models_by_the_names_of_their_jobs(capsys):  # oracle: the model's name
    assert main(["summary", "siamese"]) == 0
    assert capsys.readouterr().out.startswith("Graph 'siamese_lstm'")


def test_an_interrupted_run_is_kept_and_said(monkeypatch, tmp_path, capsys):  # oracle: the exit code, and the file
    x = jg.Input((2,), name="x")
    graph = jg.Graph(x, jg.layers.Rescaling(2.0)(x))
    outcome = Outcome(graph, graph.init(jax.random.key(0)), {"stopped": "interrupted"}, {"stopped": "interrupted"})
    monkeypatch.setitem(JOBS, "siamese", Job("siamese", "", (), lambda options: outcome))
    assert main(["train", "siamese", "--save", str(tmp_path / "half.safetensors")]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert (tmp_path / "half.safetensors").is_file()


def test_no_words_are_answered_with_the_page(capsys):  # oracle: the page
    assert main([]) == 2
    assert capsys.readouterr().err == arguments.PAGE + "\n"


def test_what_the_first_steps_save_can_be_asked(tmp_path, capsys):  # oracle: the table's own words
    (tmp_path / "rows.csv").write_text("x,y\n1,no\n2,yes\n1,no\n2,yes\n", "utf-8")
    table = jg.data.table(tmp_path / "rows.csv", inputs={"x": "x"}, targets={"y": "y"}, test=0)
    x = jg.Input((1,), name="x")
    graph = jg.Graph(x, jg.layers.Dense(1, activation="sigmoid", name="y")(x))
    variables = {"params": {"y": {"kernel": np.ones((1, 1), np.float32), "bias": np.zeros(1, np.float32)}}}
    jg.save(tmp_path / "model.safetensors", graph, variables, extra=table.encoder.to_json())
    assert main(["predict", str(tmp_path / "model.safetensors"), "--data", str(tmp_path / "rows.csv")]) == 0
    assert capsys.readouterr().out.split() == ["y", "no", "yes", "no", "yes"]


@pytest.mark.slow
def test_a_run_goes_on(tmp_path, capsys):  # oracle: the uninterrupted run
    words = ["train", "siamese", "--size", "64", "--json"]
    assert main([*words, "--epochs", "2"]) == 0
    whole = json.loads(capsys.readouterr().out)
    for epochs in ("1", "2"):
        assert main([*words, "--epochs", epochs, "--resume", str(tmp_path / "run")]) == 0
    resumed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {**resumed, "seconds": 0} == {**whole, "seconds": 0}


def test_a_command_arranges_its_start_and_says_so(monkeypatch, capsys):  # oracle: what setup is asked for
    asked = []
    monkeypatch.setattr(sys.modules["jaxgraphs.cli.main"], "setup", lambda **wishes: asked.append(wishes))
    assert main(["train", "nothing", "--allocator", "--host-devices", "2", "--cache", "kept"]) == 1
    assert main(["train", "nothing"]) == 1
    assert asked == [{"cache": "kept", "allocator": True, "host_devices": 2}]
    assert "nothing to train" in capsys.readouterr().err
