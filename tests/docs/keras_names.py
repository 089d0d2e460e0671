"""What Keras has beside what jaxgraphs has, by name and by argument: the rows of the tables in docs/keras.md."""

import inspect

import keras

import jaxgraphs as jg

MODULES = ("layers", "losses", "metrics", "callbacks")
# Names that are not for those who build models, or that are said elsewhere on the page.
_ASIDE = {"Input", "InputLayer", "InputSpec", "Layer", "Wrapper", "deserialize", "serialize", "get"}


def names_of(module):
    """Public classes of a module of Keras', functions too where they are layers."""
    names = [name for name in dir(module) if not name.startswith("_")]
    is_layers = module is keras.layers
    return [name for name in names if name not in _ASIDE and (is_layers or inspect.isclass(getattr(module, name)))]


def shared(module):
    """Names that both have."""
    ours = getattr(jg, module).__all__
    return [name for name in names_of(getattr(keras, module)) if name in ours]


def missing(module):
    """Names that only Keras has."""
    ours = getattr(jg, module).__all__
    return [name for name in names_of(getattr(keras, module)) if name not in ours]


def arguments(thing):
    """Names of the arguments, in order, without the catch-all ones."""
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [name for name, parameter in inspect.signature(thing).parameters.items() if parameter.kind not in kinds]


def layer_row(name):
    """One layer's row: its own arguments, and those of Keras' that it does not take."""
    ours = arguments(getattr(jg.layers, name))
    theirs = arguments(getattr(keras.layers, name))
    own = [argument for argument in theirs if argument in ours and argument not in ("name", "dtype", "kwargs")]
    absent = [argument for argument in theirs if argument not in ours]
    return f"| `{name}` | {_code(own)} | {_code(absent)} |"


def _code(names):
    return ", ".join(f"`{name}`" for name in names) or "-"
