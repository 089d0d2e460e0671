"""The direction of imports: a file reads files above its own in the layout, so that it can be read from the top."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import jaxgraphs

ROOT = Path(jaxgraphs.__file__).parent

ORDER = (
    *("errors", "version", "startup", "writing", "symbolic", "layers", "graph", "passes", "models", "inspect"),
    *("io", "training", "data", "jobs", "cli", ""),
)
"""The parts of the package, each free to import from those before it; "" is the package's own __init__."""

# A graph offers summary, plot and the like as methods, and what draws a graph reads graphs. The one file whose
# functions import from below, when they are called, keeps that exception in one place.
EXEMPT = "graph/facade.py"


def is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports_of(tree):
    """Modules of the package that are imported anywhere in the file, except for type checkers alone."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "jaxgraphs")
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute here"
            if (node.module or "").split(".")[0] == "jaxgraphs":
                # What is imported may be a module of a package, or a name of a module.
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
        stack.extend(node.orelse if is_type_checking(node) else ast.iter_child_nodes(node))


def file_of(dotted):
    """The file of a module, or of the module that a name belongs to."""
    parts = dotted.split(".")[1:]
    for length in range(len(parts), -1, -1):
        place = ROOT.joinpath(*parts[:length])
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if length and file.is_file():
                return file.relative_to(ROOT).as_posix()
    return "__init__.py"


def part_of(file):
    part = file.split("/")[0].removesuffix(".py")
    return "" if part == "__init__" else part


def read_imports():
    files = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py"))}
    return {
        name: {file_of(module) for module in imports_of(ast.parse(path.read_text("utf-8")))} - {name}
        for name, path in files.items()
    }


IMPORTS = read_imports()


def test_every_part_has_its_place():  # oracle: the layout
    assert {part_of(file) for file in IMPORTS} - {"__main__"} <= set(ORDER)


@pytest.mark.parametrize("file", [file for file in IMPORTS if file not in (EXEMPT, "__main__.py")])
def test_imports_go_upwards(file):  # oracle: the layout
    place = ORDER.index(part_of(file))
    downward = [other for other in IMPORTS[file] if ORDER.index(part_of(other)) > place]
    assert not downward, f"{file} imports from below: {downward}"


def test_no_import_waits_for_itself():  # oracle: a topological order exists
    try:
        TopologicalSorter({file: read for file, read in IMPORTS.items() if file != EXEMPT}).prepare()
    except CycleError as error:
        pytest.fail(f"imports form a cycle: {' -> '.join(error.args[1])}")


def test_the_reader_sees_every_kind_of_import():  # oracle: written by hand
    text = """
from typing import TYPE_CHECKING
import jaxgraphs.errors
from jaxgraphs.symbolic import spec, node as n
if TYPE_CHECKING:
    from jaxgraphs.cli import main
else:
    from jaxgraphs.version import __version__
def f():
    from jaxgraphs.graph.graph import Graph
    import numpy
"""
    found = {file_of(module) for module in imports_of(ast.parse(text))}
    assert found == {"errors.py", "symbolic/spec.py", "symbolic/node.py", "version.py", "graph/graph.py"}
