"""Readers are light: importing them brings in numpy and nothing else from outside."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import jaxgraphs.data

FILES = sorted(Path(jaxgraphs.data.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_imports(file):  # oracle: the syntax tree
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            own = name.startswith(("jaxgraphs.data", "jaxgraphs.errors"))
            assert own or name.split(".")[0] in {*sys.stdlib_module_names, "numpy"}, f"{file.name} imports {name}"
