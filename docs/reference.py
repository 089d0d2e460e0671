"""The API reference: one page for each public module, and the house's docstrings as reStructuredText."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

MODULES = {
    "jaxgraphs": "Graphs, training and files",
    "jaxgraphs.layers": "Layers",
    "jaxgraphs.models": "Models",
    "jaxgraphs.training.callbacks": "Callbacks",
    "jaxgraphs.training.losses": "Losses",
    "jaxgraphs.training.metrics": "Metrics",
    "jaxgraphs.training.optimizers": "Optimizers",
    "jaxgraphs.training.sharding": "Sharding",
    "jaxgraphs.data": "Data",
    "jaxgraphs.training.sklearn": "scikit-learn",
}
# Of these the methods are for users too; of a layer it is the arguments that matter.
_WITH_METHODS = {"Graph", "Trainer", "History", "TrainState", "Callback", "Run", "SymbolicTensor", "Ensemble", "Table"}
_FIELD = re.compile(r"(Args|Call|Returns|Raises|References?|Shapes?|Yields): ?(.*)")
_ARGUMENT = re.compile(r"([\w*., ]+?): (.*)")
_LITERAL = re.compile(r"(``.+?``|`[^`]+`)")


def write(folder: Path) -> None:
    """Writes a page for each module into `folder`."""
    folder.mkdir(parents=True)
    for module, title in MODULES.items():
        (folder / f"{module.split('.')[-1]}.rst").write_text("\n".join(page(module, title)), encoding="utf-8")


def page(module: str, title: str) -> Iterator[str]:
    """The lines of one page: each public name with its docstring."""
    home = importlib.import_module(module)
    yield from (title, "=" * len(title), "", (home.__doc__ or "").strip().split("\n\n")[0], "")
    for name in names_of(home):
        yield from _entry(home, module, name)


def names_of(home: ModuleType) -> list[str]:
    """The public names of a module: what it says, or else the classes and functions that are written in it."""
    written = [name for name, thing in vars(home).items() if getattr(thing, "__module__", "") == home.__name__]
    return list(getattr(home, "__all__", [name for name in written if not name.startswith("_")]))


def _entry(home: ModuleType, module: str, name: str) -> Iterator[str]:
    thing = getattr(home, name)
    if inspect.ismodule(thing):
        if not hasattr(home, "_MODULES"):
            yield from (f".. automodule:: {thing.__name__}", "   :members:", "   :noindex:", "")
    elif inspect.isclass(thing) and thing.__module__.startswith("jaxgraphs"):
        yield from (f".. autoclass:: {module}.{name}", *_class_options(name), "")
    elif inspect.isfunction(thing):
        yield from (f".. autofunction:: {module}.{name}", "")


def _class_options(name: str) -> tuple[str, ...]:
    return ("   :members:", "   :inherited-members:") if name in _WITH_METHODS else ()


def restructure(_app, _what, _name, _thing, _options, lines: list[str]) -> None:
    """Rewrites a docstring in place: `Args:` and its kin become fields, the rest is kept literally."""
    lines[:] = list(_fields(lines))


def shorten(_app, _what, _name, _thing, _options, signature: str | None, returns: str | None) -> tuple[Any, Any]:
    """The signature without what a layer notes of itself, which nobody gives."""
    return signature and signature.replace(", created=<factory>", ""), returns


def _fields(lines: Iterable[str]) -> Iterator[str]:
    field = None
    is_example = False
    for line in lines:
        # An example ends at the next blank line.
        is_example = line.lstrip().startswith(">>>") or (is_example and bool(line.strip()))
        started = None if is_example or line.startswith(" ") else _FIELD.fullmatch(line)
        if started:
            if field is None:
                yield ""
            field = started[1]
            yield f":{field}: {_escaped(started[2])}".rstrip()
        elif is_example:
            yield line
        elif line.strip() and not line.startswith(" "):
            if field is not None:
                yield ""
            field = None
            yield _escaped(line)
        else:
            yield from _body(line, field)


def _body(line: str, field: str | None) -> Iterator[str]:
    """A line below a heading: an argument of its own, or the continuation of one."""
    if field != "Args" or not line.strip():
        yield _escaped(line)
    elif line[4:5].isspace():
        yield "      " + _escaped(line.strip())
    else:
        argument = _ARGUMENT.fullmatch(line[4:])
        text = f"**{argument[1].replace('*', '')}**: {_escaped(argument[2])}" if argument else _escaped(line[4:])
        yield from ("", f"    * {text}")


def _escaped(text: str) -> str:
    """`text` with what reStructuredText would read as markup made plain, outside of literals."""
    pieces = _LITERAL.split(text)
    return "".join(
        piece if index % 2 else re.sub(r"([*|]|(?<=\w)_(?!\w))", r"\\\1", piece) for index, piece in enumerate(pieces)
    )
