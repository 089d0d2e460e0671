"""Stories with questions and one-word answers, as text and then as arrays: what bAbI and the generator share."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence

import numpy as np

from jaxgraphs.data.reading import Fault, load_json
from jaxgraphs.data.split import Dataset, Split
from jaxgraphs.data.text import Vocabulary, pad, tokenize
from jaxgraphs.errors import GraphValueError

UNSEEN = "[unseen]"


@dataclasses.dataclass(frozen=True)
class Example:
    """A question about a story.

    Args:
        story: the sentences told before the question, in order.
        question: the question.
        answer: the answer; several parts are joined by commas ("milk,football"), and are one class.
        supporting: indices into `story`, from 0, of the sentences that the answer rests on.
    """

    story: tuple[str, ...]
    question: str
    answer: str
    supporting: tuple[int, ...] = ()

    @property
    def answers(self) -> tuple[str, ...]:
        """The parts of the answer."""
        return tuple(self.answer.split(","))

    def supported(self) -> Example:
        """The same question with only its supporting sentences, in the order they were told.

        >>> Example(("A.", "B.", "C."), "?", "yes", (2, 0)).supported()
        Example(story=('A.', 'C.'), question='?', answer='yes', supporting=(1, 0))
        """
        kept = sorted(set(self.supporting))
        story = tuple(self.story[index] for index in kept)
        return dataclasses.replace(self, story=story, supporting=tuple(map(kept.index, self.supporting)))


@dataclasses.dataclass(frozen=True)
class Stories:
    """Examples to train on and to test on, as text; `faults` are the broken lines that were left out."""

    name: str
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    faults: tuple[Fault, ...] = ()

    def supported(self) -> Stories:
        """The same questions with only their supporting sentences."""
        train, test = (tuple(example.supported() for example in part) for part in (self.train, self.test))
        return dataclasses.replace(self, train=train, test=test)


@dataclasses.dataclass(frozen=True)
class QuestionEncoder:
    """How stories and questions become numbers: saved beside a model, it is all that a new question needs.

    Args:
        text_vocabulary, question_vocabulary: the words of stories and of questions.
        answers: the answer of each class, by its number.
        story_length, question_length: words in a row; shorter texts are filled before their first word, and of longer
            ones the last words are kept, for the latest facts weigh most.
    """

    text_vocabulary: Vocabulary
    question_vocabulary: Vocabulary
    answers: tuple[str, ...]
    story_length: int
    question_length: int

    def encode_example(self, story: str, question: str) -> dict[str, np.ndarray]:
        """One story and one question as a batch of one.

        Returns: {"text": int32 (1, story_length), "question": int32 (1, question_length)}.
        Raises: GraphValueError when the story or the question has no word.

        >>> words = Vocabulary.from_texts(["Mary is in the hall", "Where is Mary?"])
        >>> QuestionEncoder(words, words, ("hall",), 6, 3).encode_example("Mary is here", "Where?")["text"].tolist()
        [[0, 0, 0, 3, 2, 1]]
        """
        empty = [name for name, text in (("story", story), ("question", question)) if not tokenize(text)]
        if empty:
            raise GraphValueError(f"The {' and the '.join(empty)} has no words.", expected="a sentence")
        return self._inputs([Example((story,), question, "")])

    def split(self, examples: Sequence[Example]) -> Split:
        """`examples` as arrays: inputs by name, and the class of each answer, int32 (n,)."""
        classes = {answer: number for number, answer in enumerate(self.answers)}
        # Answers of the test rows that no training row has share the class UNSEEN, which nothing trains.
        targets = [classes[example.answer if example.answer in classes else UNSEEN] for example in examples]
        return Split(self._inputs(examples), np.array(targets, np.int32))

    def to_json(self) -> str:
        """One line of JSON; `from_json` gives the same encoder back."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> QuestionEncoder:
        """The encoder that `to_json` wrote.

        Raises: GraphError when `text` is something else.
        """
        record = load_json(text, "a question encoder", [field.name for field in dataclasses.fields(cls)])
        try:
            return cls(
                Vocabulary.from_words(record["text_vocabulary"]["words"]),
                Vocabulary.from_words(record["question_vocabulary"]["words"]),
                tuple(record["answers"]),
                int(record["story_length"]),
                int(record["question_length"]),
            )
        except (TypeError, ValueError, KeyError) as error:
            raise GraphValueError("This is not the JSON of a question encoder.", received=str(error)) from error

    def _inputs(self, examples: Sequence[Example]) -> dict[str, np.ndarray]:
        # A sentence stands in many examples; it is cut into words once.
        sentences = set(itertools.chain.from_iterable(example.story for example in examples))
        numbers = {sentence: self.text_vocabulary.encode(sentence) for sentence in sentences}
        texts = [list(itertools.chain.from_iterable(map(numbers.__getitem__, example.story))) for example in examples]
        questions = [self.question_vocabulary.encode(example.question) for example in examples]
        return {"text": pad(texts, self.story_length, "pre"), "question": pad(questions, self.question_length, "pre")}


@dataclasses.dataclass(frozen=True, eq=False)
class Questions(Dataset):
    """Stories as int32 arrays: inputs "text" (n, story_length), "question" (n, question_length) and targets (n,)."""

    encoder: QuestionEncoder

    @property
    def text_vocabulary(self) -> Vocabulary:
        """The words of the training stories."""
        return self.encoder.text_vocabulary

    @property
    def question_vocabulary(self) -> Vocabulary:
        """The words of the training questions."""
        return self.encoder.question_vocabulary

    @property
    def answers(self) -> tuple[str, ...]:
        """The answer of each class."""
        return self.encoder.answers

    def majority(self) -> float:
        """The share of test questions, 0..1, that the commonest training answer gets right."""
        return self.baselines()["accuracy"]

    def encode_example(self, story: str, question: str) -> dict[str, np.ndarray]:
        """One story and one question as a batch of one; see `QuestionEncoder.encode_example`."""
        return self.encoder.encode_example(story, question)


def encode(
    stories: Stories,
    *,
    text_vocabulary: int | None = None,
    question_vocabulary: int | None = None,
    story_length: int | None = None,
    question_length: int | None = None,
) -> Questions:
    """Stories as arrays; words and answers are numbered from the training examples alone.

    Args:
        stories: what `babi.load` or `stories.generate` gives.
        text_vocabulary, question_vocabulary: the greatest sizes, padding and unknown included; by default every word.
        story_length, question_length: words in a row; by default those of the longest text, so that none is cut.
    Returns: Questions. Test answers that training never saw share one last class, "[unseen]".
    Raises: GraphValueError when there is nothing to train or to test on, or a size is under 2.

    >>> told = Example(("Mary is in the hall.",), "Where is Mary?", "hall", (0,))
    >>> questions = encode(Stories("one", (told,), (told,)))
    >>> questions.train.inputs["text"].tolist(), questions.answers
    ([[5, 4, 3, 6, 2]], ('hall',))
    """
    for name, part in (("train", stories.train), ("test", stories.test)):
        if not part:
            raise GraphValueError("There are no questions to encode.", where=f"{stories.name}: {name}")
    both = stories.train + stories.test
    lengths = {sentence: len(tokenize(sentence)) for example in both for sentence in (*example.story, example.question)}
    encoder = QuestionEncoder(
        Vocabulary.from_texts((" ".join(example.story) for example in stories.train), text_vocabulary),
        Vocabulary.from_texts((example.question for example in stories.train), question_vocabulary),
        _classes(stories),
        story_length or max(sum(map(lengths.__getitem__, example.story)) for example in both),
        question_length or max(lengths[example.question] for example in both),
    )
    return Questions(encoder.split(stories.train), encoder.split(stories.test), encoder, faults=stories.faults)


def _classes(stories: Stories) -> tuple[str, ...]:
    seen = {example.answer for example in stories.train}
    unseen = (UNSEEN,) if any(example.answer not in seen for example in stories.test) else ()
    return tuple(sorted(seen)) + unseen
