"""What can be asked of a graph, each in one line; the work is done in the modules named there.

This is the one file whose functions import from below: a graph offers `summary`, `plot` and the like as methods, and
those read graphs. Each import runs when its method is called.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import jax

from jaxgraphs.errors import GraphAttributeError, GraphValueError
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.keys import check_key
from jaxgraphs.symbolic.node import UNKNOWN, Inferred, Ran, Variables, title
from jaxgraphs.symbolic.spec import TensorSpec

if TYPE_CHECKING:
    from jaxgraphs.graph.graph import Graph
    from jaxgraphs.graph.module import GraphModule
    from jaxgraphs.inspect.draw import Picture
    from jaxgraphs.inspect.summary import Summary

_TRAINER = 'trainer = jg.Trainer(graph, optimizer="adam", loss="mse")'
_AS_IN_KERAS = {
    "compile": _TRAINER,
    "fit": f"{_TRAINER}; state, history = trainer.fit(trainer.init(jax.random.key(0)), x, y)",
    "evaluate": "trainer.evaluate(state, x, y)",
    "predict": "graph.apply(variables, x), or trainer.predict(state, x)",
    "get_layer": 'graph["name"]',
    "get_weights": "variables = graph.init(jax.random.key(0)), or state.variables after training",
    "set_weights": "give the arrays to graph.apply(variables, x), or to trainer.init(key, variables=...)",
    "save": 'jg.save("model.safetensors", graph, variables)',
    "load_weights": 'graph, variables = jg.load("model.safetensors")',
}
"""What a model of Keras has, and where it is here."""


class GraphMethods:
    """The methods of a Graph that compute, show or rewrite it."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Reached for what a graph has not: what models of Keras have is told where it is here."""
            if name not in _AS_IN_KERAS:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            raise GraphAttributeError(
                f"A graph has no {name!r}: it is a description, and holds no arrays.", fix=_AS_IN_KERAS[name]
            )

    def init(self, key: jax.Array, *inputs: Any, **kwargs: Any) -> dict[str, Any]:
        """Arrays for every layer: ``{"params": {layer: {...}}, "batch_stats": {...}}``; pure.

        Args:
            key: one PRNG key.
            inputs: an example of the data, or nothing; it settles sizes that the Inputs leave open.
        Raises: GraphValueError when weights depend on sizes that are not known.
        """
        from jaxgraphs.graph.inputs import flatten_inputs
        from jaxgraphs.graph.run import init_graph

        check_key(key)
        graph = _graph(self)
        if not inputs:
            return cast(dict[str, Any], init_graph(graph, key, _known_specs(graph)))
        values = flatten_inputs(graph, inputs[0] if len(inputs) == 1 else list(inputs))
        return cast(dict[str, Any], init_graph(graph, key, _specs(graph, values)))

    def apply(
        self,
        variables: Mapping[str, Any],
        inputs: Any,
        *,
        train: bool = False,
        rngs: Mapping[str, jax.Array] | None = None,
        mutable: Any = False,
    ) -> Any:
        """Computes the outputs, in the arrangement the graph was given; pure.

        Args:
            variables: from `init`, from a Trainer or from a file.
            inputs: one array, a list in order, or a dict by input name.
            train: whether dropout drops and batch statistics come from the batch.
            rngs: ``{"dropout": key}`` where the graph draws random numbers.
            mutable: names of the collections to return with the outputs, such as ``["batch_stats"]``.
        Returns: the outputs; with `mutable`, the pair (outputs, collections).
        Raises: GraphError that lists every input that is missing, misnamed, or of a wrong shape or dtype.
        """
        from jaxgraphs.graph.module import apply_graph

        return apply_graph(_graph(self), variables, inputs, train=train, rngs=rngs, mutable=mutable)

    def module(self) -> GraphModule:
        """The same as a `flax.linen.Module`, to use inside any Flax model."""
        from jaxgraphs.graph.module import GraphModule

        return GraphModule(_graph(self))

    def flatten_inputs(self, values: Any) -> list[Any]:
        """Values given as a list, as a dict by name or as the inputs were arranged, in the order of the inputs."""
        from jaxgraphs.graph.inputs import flatten_inputs

        return flatten_inputs(_graph(self), values)

    def infer(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Inferred:
        """What a call of the graph as a layer gives on these specs."""
        from jaxgraphs.graph.run import infer_graph

        graph = _graph(self)
        return infer_graph(graph, _specs(graph, _flat(graph, args)))

    def variable_specs(self, *args: Any, **kwargs: Any) -> Variables:
        """TensorSpecs of all arrays by collection, layer and name; for other inputs where some are given."""
        graph = _graph(self)
        return self.infer(args if args else tuple(_known_specs(graph)), kwargs).variables

    def run(self, variables: Variables, args: tuple[Any, ...], kwargs: Mapping[str, Any], context: Context) -> Ran:
        """Computes a call of the graph as a layer within another layer."""
        from jaxgraphs.graph.run import run_graph

        graph = _graph(self)
        training = kwargs.get("training")
        context = context if training is None else context.replace(train=bool(training))
        values = _flat(graph, args)
        masks = jax.tree.leaves(context.masks, is_leaf=lambda leaf: leaf is None)
        return run_graph(graph, variables, values, context, masks if len(masks) == len(values) else None)

    def weights(self, *specs: Any, **_: Any) -> dict[str, Any]:
        """The weights that the layers declare, for a wrapper around the graph."""
        from jaxgraphs.graph.declared import declared

        graph = _graph(self)
        return declared(graph, _specs(graph, _flat(graph, specs)) if specs else graph.input_specs())

    def input_specs(self) -> list[TensorSpec]:
        """The specs of the inputs, in order."""
        return [tensor.spec for tensor in _graph(self).inputs]

    def count_params(self) -> int:
        """How many numbers the layers hold, trainable or not, as in Keras.

        Raises: GraphValueError when a size depends on an input size that is not known.
        """
        from jaxgraphs.graph.count import count_params

        return count_params(_graph(self))

    def subgraph(self, outputs: Any, inputs: Any = None, name: str | None = None) -> Graph:
        """The calls that lead to some tensors, as a graph of its own that the same variables feed.

        Args:
            outputs: names or tensors: one, or a list or dict of them; ``"inner/dense"`` is within a nested graph,
                ``"lstm:1"`` a shared layer's second call.
            inputs: likewise, where data is to enter; None is this graph's inputs, without those that are not needed.
            name: of the new graph.
        Raises: GraphError when something is not there, or other inputs are needed.
        """
        from jaxgraphs.graph.subgraph import subgraph

        return subgraph(_graph(self), outputs, inputs, name)

    def replace(self, name: str, layer: Any) -> Graph:
        """A graph with `layer` in the place of the one called `name` (or at that path), at each of its calls.

        Raises: GraphError when there is no such layer, or the new one does not fit there.
        """
        from jaxgraphs.graph.rewrite import replace

        return replace(_graph(self), name, layer)

    def map_layers(self, function: Callable[[str, Any], Any]) -> Graph:
        """A graph with ``function(path, layer)`` in the place of each layer; a path is such as ``"inner/dense"``."""
        from jaxgraphs.graph.rewrite import map_layers

        return map_layers(_graph(self), function)

    def optimize(
        self, variables: Mapping[str, Any] | None = None, *, inference: bool = False, passes: Any = "all"
    ) -> Any:
        """The graph rewritten so that it computes faster: outputs, gradients and names of params stay.

        A `Trainer` does this by itself. For inference, and given arrays, batch normalisation is folded into what is
        before or after it, so that the arrays change with the graph.

        Args:
            variables: arrays, where these alone are to feed the new graph.
            inference: whether it will never be trained, so that dropout goes.
            passes: "all", None, or names; ``print(trainer.plan())`` shows them.
        Returns: the new graph, which the old one's variables feed; with `variables`, the pair of it and its own.
        Raises: GraphError when there is no pass of a name, or the variables are not the graph's.
        """
        from jaxgraphs.graph.variables import check_variables
        from jaxgraphs.passes.base import Setting
        from jaxgraphs.passes.optimize import optimize

        graph = _graph(self)
        done = optimize(graph, passes, Setting(training=not inference, may_arrange=variables is not None))
        if variables is None:
            return done.graph
        check_variables(graph, variables)
        return done.graph, done.arrange(variables)

    def variables_of(self, name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The arrays of one layer or nested graph, wherever the graph has them: what ``graph[name].apply`` takes.

        A layer that several nested graphs share has its arrays in one place, so that ``variables["params"][name]`` may
        lack some.

        Args:
            name: of the layer or nested graph, or its path, such as ``"outer/inner"``.
            variables: this graph's.
        Raises: GraphError when there is no such layer, or the variables are not the graph's.

        >>> from jaxgraphs import Graph, Input, layers
        >>> x, dense = Input((3,)), layers.Dense(3, name="dense")
        >>> encoder, decoder = Graph(x, dense(x), name="encoder"), Graph(x, dense(x), name="decoder")
        >>> graph = Graph(x, decoder(encoder(x)))
        >>> variables = graph.init(jax.random.key(0))
        >>> list(variables["params"]), list(graph.variables_of("decoder", variables)["params"])
        (['encoder'], ['dense'])
        """
        from jaxgraphs.graph.variables import variables_of

        return variables_of(_graph(self), name, variables)

    def variables_with(self, name: str, given: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        """The variables with other arrays for one layer or nested graph: the way back from `variables_of`.

        Args:
            name: as there.
            given: arrays as the layer or nested graph has them by itself.
            variables: this graph's; they stay as they are.
        Raises: GraphError when there is no such layer, or arrays do not fit it.
        """
        from jaxgraphs.graph.variables import variables_with

        return variables_with(_graph(self), name, given, variables)

    def summary(
        self,
        cost: bool = False,
        expand_nested: bool = False,
        *,
        batch_size: int = 1,
        sizes: Mapping[str, int | Sequence[int]] | None = None,
        state: Any = None,
    ) -> Summary:
        """The graph as a table: ``print(graph.summary())``; its `.rows` and `.totals` are data.

        Args:
            cost: whether to add floating-point operations, bytes, and the share of each layer.
            expand_nested: whether the layers of nested graphs have rows.
            batch_size: how many examples the costs are for.
            sizes: for the costs, of inputs that leave them open: by name, a number or the whole shape.
            state: a TrainState or variables: adds how each parameter lies on the devices, and the bytes on each.
        Raises: GraphError when costs are asked of a graph whose inputs are not known.
        """
        from jaxgraphs.inspect.summary import summary

        return summary(_graph(self), cost, expand_nested, batch_size=batch_size, sizes=sizes, state=state)

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        show_shapes: bool = True,
        show_params: bool = False,
        expand_nested: bool = False,
        rankdir: str = "TB",
    ) -> Picture:
        """The graph as a picture: a notebook shows it, and ``graph.plot("model.svg")`` writes it.

        Args:
            path: of a file to write, ending in .svg, .png, .dot or .mmd; None for none.
            show_shapes, show_params: what is said of each call.
            expand_nested: whether nested graphs are unfolded.
            rankdir: where the edges lead: TB, BT, LR or RL.
        Raises: GraphError for another ending or direction, or where the file cannot be written.
        """
        from jaxgraphs.inspect.draw import plot

        return plot(
            _graph(self),
            path,
            show_shapes=show_shapes,
            show_params=show_params,
            expand_nested=expand_nested,
            rankdir=rankdir,
        )

    def _repr_html_(self) -> str:
        """For a notebook: the picture, and the table folded below it."""
        table = self.summary()._repr_html_()
        return f"{self.plot()._repr_svg_()}<details><summary>layers</summary>{table}</details>"

    def export(
        self,
        variables: Mapping[str, Any],
        path: str | os.PathLike[str] | None = None,
        *,
        inputs: Any = None,
        platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
    ) -> Any:
        """The graph at inference with its variables, as one program that runs without jaxgraphs.

        The program is StableHLO, made by `jax.export`, with the batch size and other open sizes left open; the file is
        what ``jax.export.deserialize`` reads. A path that ends in ``.onnx`` is written by jax2onnx instead, after
        onnxruntime has been seen to give the same numbers.

        Args:
            variables: what the program computes with.
            path: of the file to write; None for none.
            inputs: an example, whose sizes the program then has; None leaves open what the Inputs leave open.
            platforms: where the program is to run; ONNX runs anywhere.
        Returns: a Program, to be called on inputs arranged as the graph's; for ONNX the path.
        Raises: GraphError when something in the graph cannot be exported, or the file cannot be written.
        """
        from jaxgraphs.io.export import export

        return export(_graph(self), variables, path, inputs=inputs, platforms=platforms)

    def to_json(self) -> str:
        """The graph as versioned JSON, without arrays.

        Raises: GraphTypeError when a constant of a call has no form in JSON.
        """
        from jaxgraphs.io.json import to_json

        return to_json(_graph(self))

    @staticmethod
    def from_json(
        text: str | bytes, custom_objects: Mapping[str, Any] | None = None, *, max_parameters: int = 10**11
    ) -> Graph:
        """The graph that `to_json` wrote, from anywhere: reading runs no code that the text could name.

        Args:
            text: JSON.
            custom_objects: functions, Flax modules and layer classes by the names that the text has for them.
            max_parameters: more numbers than this in all layers together are refused.
        Raises: GraphError when the text is not such JSON, is too large, or names something that was not given.
        """
        from jaxgraphs.io.reading import from_json

        return from_json(text, custom_objects, max_parameters=max_parameters)

    def __reduce__(self) -> Any:
        return _unpickled, (self.to_json(),)


def _unpickled(text: str) -> Graph:
    return GraphMethods.from_json(text)


def _graph(methods: GraphMethods) -> Graph:
    return cast("Graph", methods)


def _flat(graph: Graph, args: tuple[Any, ...]) -> list[Any]:
    return graph.flatten_inputs(args[0] if len(args) == 1 else list(args))


def _known_specs(graph: Graph) -> list[TensorSpec]:
    """The specs of the inputs; a Sequential without an Input has none."""
    specs = graph.input_specs()
    if UNKNOWN in specs:
        raise GraphValueError(
            f"{title(graph)} has no Input, so that the sizes of its weights are not known.",
            expected="an Input at the start, or an example of the data",
            fix="Sequential([Input((8,)), ...]), or graph.init(key, inputs)",
        )
    return specs


def _specs(graph: Graph, values: list[Any]) -> list[TensorSpec]:
    """Specs of arrays or of specs, checked against the inputs; dtypes are the inputs' own where they convert."""
    from jaxgraphs.graph.inputs import check_inputs, check_specs

    if any(isinstance(value, TensorSpec) for value in values):
        return check_specs(graph, values)
    return [TensorSpec.of(array) for array in check_inputs(graph, values)]
