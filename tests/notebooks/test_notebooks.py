"""Every notebook runs from a clean kernel; what it says is asserted in it."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("matplotlib")

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9]*.ipynb"))
# These run on each change; the others take more than about 20 seconds each.
FAST = ("01",)
LIMIT = 600  # seconds for one cell: a machine may be shared


def cases():
    return [
        pytest.param(path, id=path.stem, marks=() if path.name.startswith(FAST) else pytest.mark.slow)
        for path in NOTEBOOKS
    ]


@pytest.mark.parametrize("path", cases())
def test_runs_from_a_clean_kernel(path, tmp_path, monkeypatch):  # oracle: the assertions in the notebook
    # The kernel is a reader's: one device and JAX's own settings.
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=LIMIT, kernel_name="python3", resources=resources).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_stored_as_it_ran(path):  # oracle: the stored notebook
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    # Pictures carry none, and text that does would be of the machine that ran it.
    text = "".join(str(output.get("text", "")) for output in outputs)
    assert not any(place in text for place in ("/home/", "/tmp/", "/root/", "site-packages"))
