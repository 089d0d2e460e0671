"""A graph as TensorBoard's graph tab reads it: a node for each call, a scope for each nested graph."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from jaxgraphs.graph.graph import Graph, Step, evaluate
from jaxgraphs.graph.run import infer_step
from jaxgraphs.symbolic.spec import TensorSpec, is_known
from jaxgraphs.training.callbacks.probe import place
from jaxgraphs.training.callbacks.tensorboard.events import tensorboardx


@dataclasses.dataclass(frozen=True)
class Edge:
    """One output of a node, and what is known of it."""

    text: str
    spec: TensorSpec


def graph_def(graph: Graph) -> Any:
    """The GraphDef message of a graph: names, kinds, edges, shapes, and how many params each layer has.

    Args:
        graph: nested graphs become scopes; each call of a shared layer is a node, ``dense`` and ``dense_call_1``.
    """
    protos = tensorboardx("proto.graph_pb2")
    nodes: list[Any] = []

    def call(step: Step, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[Edge]:
        name = node_name(place(step.call_path))
        specs = infer_step(step, *_specs((args, kwargs))).specs
        edges = [leaf for leaf in jax.tree.leaves((args, kwargs)) if isinstance(leaf, Edge)]
        nodes.append(_node(name, step.node.layer.kind, [edge.text for edge in edges], specs, _count(step)))
        return [Edge(f"{name}:{index}" if index else name, spec) for index, spec in enumerate(specs)]

    names = [node_name(name) for name in graph.input_names]
    specs = [tensor.spec for tensor in graph.inputs]
    nodes.extend(_node(name, "Input", [], [spec], None) for name, spec in zip(names, specs, strict=True))
    evaluate(graph, call, [Edge(name, spec) for name, spec in zip(names, specs, strict=True)])
    return protos.GraphDef(node=nodes)


def node_name(text: str) -> str:
    """A name of letters that TensorBoard allows; a colon would be the number of an output.

    >>> node_name("inner/lstm:1"), node_name("my layer")
    ('inner/lstm_call_1', 'my_layer')
    """
    name = re.sub(r"[^\w./-]", "_", text.replace(":", "_call_"), flags=re.ASCII)
    return name if re.match(r"[A-Za-z0-9.]", name) else f".{name}"


def _specs(args: Any) -> Any:
    """The arguments of a call with specs in place of edges."""
    return jax.tree.map(lambda leaf: leaf.spec if isinstance(leaf, Edge) else leaf, args)


def _node(name: str, kind: str, inputs: list[str], specs: Sequence[TensorSpec], params: int | None) -> Any:
    attributes = tensorboardx("proto.attr_value_pb2")
    shapes = attributes.AttrValue.ListValue(shape=[_shape(spec) for spec in specs])
    attr = {
        # The tab reads the sizes it writes on edges from here.
        "_output_shapes": attributes.AttrValue(list=shapes),
        "dtype": attributes.AttrValue(s=", ".join(str(spec.dtype) for spec in specs).encode()),
    }
    if params is not None:
        attr["params"] = attributes.AttrValue(i=params)
    return tensorboardx("proto.node_def_pb2").NodeDef(name=name, op=kind, input=inputs, attr=attr)


def _shape(spec: TensorSpec) -> Any:
    shape = tensorboardx("proto.tensor_shape_pb2").TensorShapeProto
    return shape(dim=[shape.Dim(size=-1 if size is None else size) for size in spec.shape])


def _count(step: Step) -> int | None:
    """How many numbers the layer holds; None where that is not known."""
    specs = [leaf for leaf in jax.tree.leaves(step.node.variables) if isinstance(leaf, TensorSpec)]
    return sum(math.prod(spec.dims) for spec in specs) if all(is_known(spec.dims) for spec in specs) else None
