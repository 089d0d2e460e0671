"""One process of several that train together; its task comes as JSON. Started by several.py.

A task: coordinator, processes, process (left out: found by itself); out, where numbers go; rules ("fsdp" or "tensor"),
mesh (axes) and strategy; trainer, more of its arguments; stream, for batches from a function instead of arrays; resume,
a directory; tensorboard, to log histograms; and end, {"process", "step", "signal"}: which process ends itself, when
and how.
"""

import json
import os
import signal
import sys

import jax
import numpy as np

import jaxgraphs as jg
from jaxgraphs.training import feeding
from tests.training.runs import classifier, rows, trainer_of, watchers

X, Y = rows(22)
RULES = {"fsdp": jg.sharding.fully_sharded, "tensor": jg.sharding.tensor_parallel}


class Ends(jg.callbacks.Callback):
    """Ends a process as the task says."""

    def __init__(self, task):
        self.end = task.get("end")

    def on_batch_end(self, run):
        end = self.end
        if end and end["process"] == jax.process_index() and int(run.state.step) == end["step"]:
            os.kill(os.getpid(), getattr(signal, end["signal"]))


def options_of(task):
    """The trainer's arguments."""
    more = task.get("trainer", {})
    if "strategy" in task:
        return {"strategy": task["strategy"]} | more
    rules = {"sharding_rules": RULES[task["rules"]]()} if "rules" in task else {}
    return {"mesh": jg.sharding.make_mesh(**task.get("mesh", {}))} | rules | more


def data_of(task):
    """Arrays that every process has whole; or batches of which each process makes its own rows."""
    if not task.get("stream"):
        return {"x": X, "y": Y, "batch_size": 8}
    index, count = jax.process_index(), jax.process_count()
    cuts = [slice(start, start + 8) for start in range(0, len(X), 8)]
    return {"x": lambda epoch: ((X[cut][index::count], Y[cut][index::count]) for cut in cuts)}


def fit_options(task):
    """The arguments of `fit` that the task says, beside data and callbacks."""
    resume = jg.Checkpoints(task["resume"], every_steps=2) if "resume" in task else None
    return {"epochs": 3, "validation_data": (X[:7], Y[:7]), "resume": resume}


def writers(task):
    """Callbacks that write files."""
    more = [jg.callbacks.TensorBoard(f"{task['out']}.logs", histogram_freq=1)] if task.get("tensorboard") else []
    model = jg.callbacks.ModelCheckpoint(f"{task['out']}.safetensors")
    return [jg.callbacks.CSVLogger(f"{task['out']}.csv"), model, *more]


def counted(read):
    """Counts the rows that are read from arrays."""
    take = feeding.Arrays.take

    def counting(self, chosen):
        read.append(len(chosen) if isinstance(chosen, np.ndarray) else 0)
        return take(self, chosen)

    feeding.Arrays.take = counting


def main(task):
    """Joins, trains, evaluates and predicts, and writes the numbers."""
    jg.sharding.initialize(*(task.get(name) for name in ("coordinator", "processes", "process")), silence=20)
    read = []
    counted(read)
    trainer = trainer_of(classifier(normalised=True, dropout=task.get("dropout", 0.25)), "adam", **options_of(task))
    callbacks = [Ends(task), *watchers(), *writers(task)]
    options = {"verbose": 2, "callbacks": callbacks, **fit_options(task)}
    state, history = trainer.fit(trainer.init(jax.random.key(0)), **data_of(task), **options)
    results = {"history": history.history, "read": sum(read)}
    results["logs"] = trainer.evaluate(state, X, Y, batch_size=9)
    results["predictions"] = trainer.predict(state, X, batch_size=9).tolist()
    leaves = jax.tree.leaves(state.params)
    results["bytes"] = [sum(leaf.nbytes for leaf in leaves), sum(leaf.addressable_data(0).nbytes for leaf in leaves)]
    with open(f"{task['out']}.{jax.process_index()}.json", "w") as file:
        json.dump(results, file)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
