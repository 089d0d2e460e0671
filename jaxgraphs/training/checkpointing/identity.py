"""What a checkpoint must share with the run that goes on from it: graph, losses, the optimizer's rule and numbers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxgraphs.errors import GraphError
from jaxgraphs.training.checkpointing.snapshot import json_differences

_ADDRESS = re.compile("0x[0-9a-f]+")
# A pass may let a loss read logits.
_FORM = re.compile(r"(, )?from_logits=\w+")


def identity_of(trainer: Any) -> dict[str, Any]:
    """As a JSON value."""
    rule = {"name": trainer.optimizer_name, "rule": _rule(trainer.optimizer), "jax": jax.__version__}
    return {"graph": _graph(trainer.graph), "losses": _losses(trainer.objective), "optimizer": rule}


def identity_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Where a checkpoint's identity is not this run's."""
    graphs = json_differences({"graph": there["graph"]}, {"graph": here["graph"]})
    losses = json_differences({"losses": there["losses"]}, {"losses": here["losses"]})
    return graphs + losses + _optimizer_differences(there["optimizer"], here["optimizer"])


def _optimizer_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    if None not in (there["name"], here["name"]) and there["name"].lower() != here["name"].lower():
        return json_differences({"optimizer": there["name"]}, {"optimizer": here["name"]})
    # The text of a rule may be another one in another version of JAX.
    is_comparable = there["jax"] == here["jax"] and None not in (there["rule"], here["rule"])
    if is_comparable and there["rule"] != here["rule"]:
        return ["optimizer: another rule, or other numbers in it, such as momentum or decay"]
    return []


def _losses(objective: Any) -> dict[str, Any]:
    """Each output's loss and its weight."""
    texts = [None if loss is None else _FORM.sub("", _ADDRESS.sub("", repr(loss))) for loss in objective.losses]
    weights = list(objective.weights) if objective.balance is None else type(objective.balance).__name__
    return {"by output": dict(zip(objective.names, texts, strict=True)), "weights": weights}


def _graph(graph: Any) -> Any:
    """The graph's description; None where it holds functions that no text can name."""
    try:
        return json.loads(graph.to_json())
    except GraphError:
        return None


def _rule(optimizer: optax.GradientTransformation) -> str | None:
    """A digest of what the optimizer computes for two small arrays; None where it asks for others."""
    params = {"layer": {"kernel": jnp.zeros((2, 3)), "bias": jnp.zeros(3)}}
    try:
        text = str(jax.make_jaxpr(optimizer.update)(params, optimizer.init(params), params))
    except Exception:
        return None
    return hashlib.sha256(_ADDRESS.sub("", text).encode()).hexdigest()
