"""Every block of Python in the pages and in the READMEs runs, in the order of the page."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("README*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def readme_data():
    """What the READMEs' example takes as given: data of the user's."""
    words = np.ones((8, 5), np.int32)
    return {"texts": words, "questions": words, "answers": np.arange(8, dtype=np.int32)}


LONG = ("data.md", "scaling.md", "README.ko.md")
RUN = [pytest.param(page, marks=[pytest.mark.slow] * (page.name in LONG), id=page.name) for page in PAGES]


@pytest.mark.parametrize("page", RUN)
def test_python_in_a_page_runs(page, tmp_path, monkeypatch, capsys):  # oracle: the page's own assertions
    text = page.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page.stem, **(readme_data() if page.name.startswith("README") else {})}
    for block in BLOCK.finditer(text):
        # Blank lines before the block put its own line numbers into tracebacks.
        code = "\n" * text.count("\n", 0, block.start(1)) + block[1]
        # A reader has JAX's own settings, not the suite's strict ones; Optax relies on them.
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            exec(compile(code, str(page), "exec"), names)


def test_links_between_pages_lead_somewhere():  # oracle: the files
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
