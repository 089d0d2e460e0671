"""All that a run is between two steps, as arrays and one JSON text; and back, refusing what another run left."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.errors import GraphTypeError, combine
from jaxgraphs.training.callbacks.base import Callback
from jaxgraphs.training.history import History
from jaxgraphs.training.processes import put

PyTree = Any
Memories = list[tuple[str, Mapping[str, Any]]]
_SHOWN = 5
_PLAIN = ("epoch", "batch", "begun", "steps", "stop")


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A run between two steps.

    Args:
        state: the TrainState.
        sums: the running sums of the epoch.
        epoch, batch: the epoch that goes on or comes next, and how many of its steps are done.
        begun: whether callbacks were told of the epoch.
        steps: all steps done.
        stop: why the run had ended; None where it had not.
        data: where the data is, as the feed says it.
        memories: of the callbacks, by class name.
        history: of the epochs so far.
    """

    state: PyTree
    sums: PyTree
    epoch: int
    batch: int
    begun: bool
    steps: int
    stop: str | None
    data: Any
    memories: Memories
    history: History

    @property
    def name(self) -> str:
        """Sorts as the run goes on."""
        return name_of(self.epoch, self.batch)


def name_of(epoch: int, batch: int) -> str:
    """The name of a checkpoint.

    >>> name_of(2, 30)
    'epoch-00002-batch-00000030'
    """
    return f"epoch-{epoch:05d}-batch-{batch:08d}"


def place_of(name: str) -> tuple[int, int]:
    """The epoch and the batch in a checkpoint's name."""
    _, epoch, _, batch = name.split("-")
    return int(epoch), int(batch)


def memories_of(callbacks: Sequence[Callback]) -> Memories:
    """What each callback must not forget."""
    return [(type(callback).__name__, callback.memory()) for callback in callbacks]


def remember(callbacks: Sequence[Callback], memories: Memories) -> None:
    """Gives each callback its memory back, matched by class and order; what has none left begins anew."""
    left = list(memories)
    for callback in callbacks:
        index = next((index for index, (kind, _) in enumerate(left) if kind == type(callback).__name__), None)
        if index is not None:
            callback.remember(left.pop(index)[1])
    forgotten = [kind for kind, memory in left if memory]
    if forgotten:
        warnings.warn(
            f"The checkpoint has the memory of {', '.join(forgotten)}, and this run has no such callback.", stacklevel=2
        )


def encode(snapshot: Snapshot) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays by name, on their devices still, which no later step can take; and all else for a JSON text."""
    arrays = {
        path: jnp.array(leaf) for path, leaf in named_leaves({"state": snapshot.state, "sums": snapshot.sums}).items()
    }
    kept: dict[str, Any] = {}
    memories = [
        [kind, _to_json(memory, kept, f"callbacks/{number}")] for number, (kind, memory) in enumerate(snapshot.memories)
    ]
    record = {name: getattr(snapshot, name) for name in _PLAIN}
    record |= {
        "data": _to_json(snapshot.data, None, "data"),
        "memories": memories,
        "history": dataclasses.asdict(snapshot.history),
    }
    everything = {**arrays, **kept}
    record["arrays"] = {name: [list(leaf.shape), str(leaf.dtype)] for name, leaf in everything.items()}
    return everything, record


def decode(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any], state: PyTree, sums: PyTree) -> Snapshot:
    """The snapshot, its arrays laid out and placed as in `state` and `sums`."""
    like = {"state": state, "sums": sums}
    paths, structure = jax.tree_util.tree_flatten_with_path(like)
    leaves = [_placed(arrays[_text(path)], leaf) for path, leaf in paths]
    tree = jax.tree.unflatten(structure, leaves)
    return Snapshot(
        **tree,
        **{name: record[name] for name in _PLAIN},
        data=_from_json(record["data"], {}),
        memories=[(kind, _from_json(memory, arrays)) for kind, memory in record["memories"]],
        history=History(**record["history"]),
    )


def array_differences(record: Mapping[str, Any], state: PyTree, sums: PyTree) -> list[str]:
    """Where the arrays of a checkpoint are not those of this run."""
    here = {name: _kind(leaf.shape, leaf.dtype) for name, leaf in named_leaves({"state": state, "sums": sums}).items()}
    there = {name: _kind(*kind) for name, kind in record["arrays"].items() if not name.startswith("callbacks/")}
    found = []
    for name in dict.fromkeys((*there, *here)):
        if here.get(name) != there.get(name):
            kinds = there.get(name, "absent"), here.get(name, "absent")
            found.append("{}: {} in the checkpoint, {} in this run".format(name.removeprefix("state/"), *kinds))
    return found


def json_differences(there: Any, here: Any, path: str = "") -> list[str]:
    """Where two JSON values differ, by path."""
    if isinstance(there, dict) and isinstance(here, dict):
        return [
            line
            for key in dict.fromkeys((*there, *here))
            for line in json_differences(there.get(key), here.get(key), f"{path}/{key}" if path else str(key))
        ]
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        return [
            line
            for index, pair in enumerate(zip(there, here, strict=True))
            for line in json_differences(*pair, f"{path}/{index}")
        ]
    if there == here:
        return []
    return [f"{path}: {_brief(there)} in the checkpoint, {_brief(here)} in this run"]


def refuse(differences: Sequence[str], place: str) -> None:
    """Raises: GraphValueError that names the first differences, where there are any."""
    if differences:
        more = [f"and {len(differences) - _SHOWN} more"] if len(differences) > _SHOWN else []
        raise combine(
            "The checkpoint is of another run: it cannot go on here.",
            [*differences[:_SHOWN], *more],
            where=place,
            fix="give the graph, losses, optimizer, metrics and data of that run, or resume= another directory",
        )


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """The arrays of a tree by path; random keys as the numbers that they are made of."""
    return {_text(path): _plain(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _text(path: Sequence[Any]) -> str:
    names = [str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in path]
    return "/".join(name.replace("%", "%25").replace("/", "%2F") for name in names)


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _impl(key: Any) -> str:
    return str(jax.random.key_impl(key))


def _plain(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _placed(array: np.ndarray, like: Any) -> Any:
    # Always a copy: the step that follows takes its memory.
    if isinstance(like, jax.Array) and not like.is_fully_addressable:
        keys = jax.random.wrap_key_data(jnp.array(array), impl=jax.random.key_impl(like)) if _is_key(like) else array
        return put(keys, like.sharding)
    if _is_key(like):
        return jax.random.wrap_key_data(jnp.array(array, copy=True), impl=jax.random.key_impl(like))
    if isinstance(like, jax.Array) and len(like.sharding.device_set) > 1:
        return jax.device_put(jnp.array(array, copy=True), like.sharding)
    return jnp.array(array, copy=True)


def _kind(shape: Sequence[int], dtype: Any) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''}) {dtype}"


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _to_json(value: Any, arrays: dict[str, Any] | None, path: str) -> Any:
    """`value` with what JSON would turn into something else marked; its arrays moved to `arrays`, or in their place."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return {"bytes": value.decode("latin-1")}
    if isinstance(value, Mapping):
        return {"dict": [[key, _to_json(item, arrays, f"{path}/{key}")] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_to_json(item, arrays, f"{path}/{index}") for index, item in enumerate(value)]}
    if arrays is None and isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
        return {"numbers": value.tolist(), "dtype": str(value.dtype), "is_array": isinstance(value, np.ndarray)}
    if arrays is not None and isinstance(value, (jax.Array, np.ndarray, np.generic)):
        is_jax = isinstance(value, jax.Array)
        arrays[path] = jnp.array(_plain(value)) if is_jax else np.array(value)
        if _is_key(value):
            return {"key": path, "impl": _impl(value)}
        return {"array": path, "jax": is_jax}
    what = "The position in the data" if arrays is None else "A callback's memory"
    raise GraphTypeError(
        f"{what} holds something that cannot be saved.",
        where=path,
        received=type(value).__name__,
        expected="dicts, lists and tuples of numbers, texts, None and arrays",
    )


def _from_json(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if not isinstance(value, dict):
        return value
    if "dict" in value:
        return {key: _from_json(item, arrays) for key, item in value["dict"]}
    if "list" in value:
        return [_from_json(item, arrays) for item in value["list"]]
    if "tuple" in value:
        return tuple(_from_json(item, arrays) for item in value["tuple"])
    if "bytes" in value:
        return value["bytes"].encode("latin-1")
    if "numbers" in value:
        numbers = np.array(value["numbers"], value["dtype"])
        return numbers if value["is_array"] else numbers[()]
    if "key" in value:
        return jax.random.wrap_key_data(jnp.array(arrays[value["key"]]), impl=value["impl"])
    array = arrays[value["array"]]
    return jnp.array(array, copy=True) if value["jax"] else array
