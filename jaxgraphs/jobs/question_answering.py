"""The main job: question answering on stories."""

from __future__ import annotations

import time

import jax

from jaxgraphs.data import babi, stories
from jaxgraphs.data.questions import Questions
from jaxgraphs.errors import GraphValueError
from jaxgraphs.jobs.base import Job, Options, Outcome
from jaxgraphs.models.question_answering import question_answering
from jaxgraphs.training import optimizers
from jaxgraphs.training.trainer import Trainer

RATE, BATCH, EPOCHS, SIZE = 0.003, 128, 25, 10_000
MODELS = ("conditioned", "chapter")


def train(options: Options) -> Outcome:
    """Trains the chapter's graph, or the one that reads the story knowing the question.

    Raises: GraphError when the data cannot be read or an option does not fit.
    """
    model = options.model or MODELS[0]
    if model not in MODELS:
        raise GraphValueError("There is no such form of question_answering.", received=repr(model), expected=" or ".join(MODELS))
    questions, source = _read(options)
    graph = question_answering(
        len(questions.text_vocabulary),
        len(questions.question_vocabulary),
        len(questions.answers),
        condition_story_on_question=model == "conditioned",
    )
    trainer = Trainer(graph, optimizers.adam(RATE), "sparse_categorical_crossentropy", metrics=["accuracy"])
    epochs = options.epochs or EPOCHS
    began = time.monotonic()
    state, history = trainer.fit(
        trainer.init(jax.random.key(options.seed)),
        questions.train.inputs,
        questions.train.targets,
        epochs=epochs,
        batch_size=options.batch_size or BATCH,
        verbose=options.verbose,
        callbacks=options.callbacks,
    )
    seconds = time.monotonic() - began
    accuracy = trainer.evaluate(state, questions.test.inputs, questions.test.targets, batch_size=500)["accuracy"]
    majority = questions.majority()
    results = {
        "data": source,
        "train": len(questions.train),
        "test": len(questions.test),
        "model": model,
        "parameters": graph.count_params(),
        "epochs": len(history.epoch),
        "accuracy": accuracy,
        "majority": majority,
        "seconds": round(seconds, 1),
    }
    return Outcome(graph, state.variables, _report(results), results, {"questions": questions.encoder.to_json()})


def _read(options: Options) -> tuple[Questions, str]:
    """The questions, and where they come from in words."""
    task, size = options.task or 1, options.size or SIZE
    if options.data is None:
        told = stories.generate(task=task, train=size, seed=options.seed)
        return stories.encode(told), f"embedded stories, task {task}, seed {options.seed}"
    told = babi.load(options.data, task=task, size=size)
    return babi.encode(told), f"{options.data}, task {task}"


def _report(results: dict[str, object]) -> dict[str, str]:
    return {
        "data": f"{results['data']}: {results['train']:,} training questions, {results['test']:,} test questions",
        "graph": f"question_answering ({results['model']}): text, question -> answer",
        "parameters": f"{results['parameters']:,}",
        "epochs": f"{results['epochs']} (Adam at {RATE}, batches of {BATCH})",
        "test accuracy": f"{results['accuracy']:.3f} (the majority answer: {results['majority']:.3f})",
        "seconds": f"{results['seconds']}",
    }


QUESTION_ANSWERING = Job(
    "question_answering", "answers a question about a story: two inputs, one answer", MODELS, train
)
