"""Sphinx: the pages are Markdown, the notebooks are shown as they were run, the reference is read off docstrings."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import reference  # noqa: E402

from jaxgraphs.version import __version__  # noqa: E402

project, author, release = "jaxgraphs", "the jaxgraphs authors", __version__
copyright = author
extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "_pages/notebooks/.ipynb_checkpoints"]
html_theme = "furo"
html_static_path, html_css_files = ["_static"], ["house.css"]
html_title = f"jaxgraphs {release}"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# Notebooks are run by their tests; the pages show the outputs that are stored in them.
nb_execution_mode = "off"
# A name in single backquotes in a docstring is code.
default_role = "literal"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
# Notebooks draw with a library of widgets only where there is one.
suppress_warnings = ["mystnb.unknown_mime_type"]


def _write_pages(_app) -> None:
    pages = HERE / "_pages"
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(HERE.parent / "notebooks", pages / "notebooks", ignore=shutil.ignore_patterns("[!0-9]*"))
    reference.write(pages / "reference")


def setup(app) -> None:
    """Writes the pages that are made of something else, before Sphinx looks for pages."""
    app.connect("builder-inited", _write_pages)
    app.connect("autodoc-process-docstring", reference.restructure)
    app.connect("autodoc-process-signature", reference.shorten)
