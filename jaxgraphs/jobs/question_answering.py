"""The main job: question answering on stories."""

from __future__ import annotations

from jaxgraphs.data import babi, stories
from jaxgraphs.data.questions import Questions
from jaxgraphs.jobs.base import Job, Options, Outcome
from jaxgraphs.jobs.fitting import Recipe, fit, form_of
from jaxgraphs.models.question_answering import question_answering

RECIPE = Recipe("sparse_categorical_crossentropy", rate=0.003, epochs=25, batch_size=128)
SIZE = 10_000
FORMS = ("conditioned", "chapter")


def train(options: Options) -> Outcome:
    """Trains the chapter's graph, or the one that reads the story knowing the question.

    Raises: GraphError when the data cannot be read or an option does not fit.
    """
    form = form_of(options, "question_answering", FORMS, has_tasks=True)
    questions, source = _read(options)
    graph = question_answering(
        len(questions.text_vocabulary),
        len(questions.question_vocabulary),
        len(questions.answers),
        condition_story_on_question=form == "conditioned",
    )
    extra = {"questions": questions.encoder.to_json()}
    return fit(options, graph, questions, RECIPE, source=source, form=form, extra=extra)


def _read(options: Options) -> tuple[Questions, str]:
    """The questions, and where they come from in words."""
    task, size = options.task or 1, options.size or SIZE
    if options.data is None:
        told = stories.generate(task=task, train=size, seed=options.seed)
        return stories.encode(told), f"embedded stories, task {task}, seed {options.seed}"
    told = babi.load(options.data, task=task, size=size)
    return babi.encode(told), f"{options.data}, task {task}"


QUESTION_ANSWERING = Job("question_answering", "answers a question about a story: two inputs, one answer", FORMS, train)
