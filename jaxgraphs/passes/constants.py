"""Constants folded: two factors or two terms that follow one another are one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.places import Path
from jaxgraphs.passes.base import PassResult, Setting
from jaxgraphs.passes.calls import Call, Rule, layers_within, rewrite_calls
from jaxgraphs.symbolic.node import OPERATORS, Operation, SymbolicTensor, is_symbolic


class _Step(NamedTuple):
    """What an operator does with one tensor and one number: as a product or a sum, with which number."""

    tensor: SymbolicTensor
    operator: str
    number: float
    keeps_mask: bool


# (operator, whether the number comes first) -> the product or sum that it is, and its number.
_READINGS: dict[tuple[str, bool], tuple[str, Callable[[float], float]]] = {
    ("multiply", False): ("multiply", lambda number: number),
    ("multiply", True): ("multiply", lambda number: number),
    ("add", False): ("add", lambda number: number),
    ("add", True): ("add", lambda number: number),
    ("subtract", False): ("add", lambda number: -number),
}
_TOGETHER: dict[str, Callable[[float, float], float]] = {"multiply": lambda a, b: a * b, "add": lambda a, b: a + b}


class FoldedConstants:
    """x 2 3 is x 6, and (x - 1) + 3 is x + 2; what multiplies by 1 or adds 0 is dropped."""

    name = "constants"
    idea = "numbers that follow one another in products or sums are one number"

    def objection(self, setting: Setting) -> str | None:
        """None: it applies everywhere."""
        return None

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph with fewer operators on floats."""
        notes: list[str] = []
        if not any(_is_number_wise(layer) for layer in layers_within(graph)):
            return PassResult(graph)

        def rule(inner: Graph, path: Path) -> Rule:
            # What the new graph's tensors come from, whatever chain of operators they were.
            steps: dict[SymbolicTensor, _Step] = {}

            def fold(call: Call) -> Sequence[SymbolicTensor] | None:
                return _fold(call, steps, notes)

            return fold

        return PassResult(rewrite_calls(graph, rule), tuple(notes))


def _fold(call: Call, steps: dict[SymbolicTensor, _Step], notes: list[str]) -> Sequence[SymbolicTensor] | None:
    step = None if call.is_given else _step(call)
    if step is None:
        return None
    before = steps.get(step.tensor)
    if before is not None and before.operator == step.operator:
        number = _TOGETHER[step.operator](before.number, step.number)
        keeps_mask = before.keeps_mask and step.keeps_mask
        step = step._replace(tensor=before.tensor, number=number, keeps_mask=keeps_mask)
        notes.append(f"{call.place!r} and what precedes it are one '{step.operator}'")
    elif not step.keeps_mask or step.number != (1.0 if step.operator == "multiply" else 0.0):
        (made,) = call.kept()
        steps[made] = step
        return (made,)
    if step.keeps_mask and step.number == (1.0 if step.operator == "multiply" else 0.0):
        if before is None or before.operator != step.operator:
            notes.append(f"{call.place!r} changes nothing")
        return (step.tensor,)
    layer = Operation(OPERATORS[step.operator], default_name=step.operator, keeps_mask=step.keeps_mask)
    (made,) = call.of(layer, ((step.tensor, step.number), {}))
    steps[made] = step
    return (made,)


def _is_number_wise(layer: Any) -> bool:
    """Whether a layer is one of the operators that are looked at."""
    is_operator = isinstance(layer, Operation) and layer.function is OPERATORS.get(layer.default_name)
    return is_operator and layer.default_name in ("multiply", "add", "subtract")


def _step(call: Call) -> _Step | None:
    """The call as a product with a number or a sum with one, where it is that and changes no dtype or shape."""
    layer, (args, kwargs) = call.layer, call.args
    if not _is_number_wise(layer) or kwargs or len(args) != 2:
        return None
    tensors = [arg for arg in args if is_symbolic(arg)]
    numbers = [arg for arg in args if type(arg) in (int, float)]
    if len(tensors) != 1 or len(numbers) != 1:
        return None
    (tensor,), (number,) = tensors, numbers
    reading = _READINGS.get((layer.default_name, not is_symbolic(args[0])))
    is_plain = jnp.issubdtype(tensor.dtype, jnp.floating) and call.node.specs == (tensor.spec,)
    if reading is None or not is_plain:
        return None
    return _Step(tensor, reading[0], float(reading[1](number)), layer.keeps_mask)
