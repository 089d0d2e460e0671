"""What users can name: the list beside this file. A name is added to it, or taken from it, on purpose."""

import importlib
import inspect
from pathlib import Path

import pytest

LISTED = (Path(__file__).parent / "public_names.txt").read_text("utf-8").split()
MODULES = (
    *("jaxgraphs", "jaxgraphs.data", "jaxgraphs.layers", "jaxgraphs.models", "jaxgraphs.training.callbacks"),
    *("jaxgraphs.training.losses", "jaxgraphs.training.metrics", "jaxgraphs.training.optimizers"),
    *("jaxgraphs.training.sharding", "jaxgraphs.training.sklearn"),
)


@pytest.mark.parametrize("module", MODULES)
def test_public_names_are_those_of_the_list(module):  # oracle: public_names.txt
    home = importlib.import_module(module)
    listed = [name.rpartition(".")[2] for name in LISTED if name.rpartition(".")[0] == module]
    assert sorted(home.__all__) == sorted(listed)
    assert all(hasattr(home, name) for name in listed)


@pytest.mark.parametrize("module", MODULES)
def test_nothing_else_is_offered(module):  # oracle: what completion shows
    home = importlib.import_module(module)
    offered = {name for name in dir(home) if not name.startswith("_")}
    assert {name for name in offered - set(home.__all__) if not inspect.ismodule(getattr(home, name))} == set()


if __name__ == "__main__":  # python -m tests.test_public_names: the list anew, for a change that was meant
    names = [f"{module}.{name}" for module in MODULES for name in sorted(importlib.import_module(module).__all__)]
    (Path(__file__).parent / "public_names.txt").write_text("\n".join(names) + "\n", "utf-8")
