"""An embedded generator of stories with questions, of the kind of bAbI's, so that an example needs no download.

People walk between places and carry things about; a question asks for what the story implies. Task numbers are bAbI's:
1 (where is somebody), 2 (where is a thing), 3 (where was a thing before), 6 (is somebody there: yes or no).
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from jaxgraphs.data.questions import Example, Questions, Stories, encode
from jaxgraphs.errors import GraphValueError

__all__ = ["Example", "Questions", "Stories", "encode", "generate"]

PEOPLE = ("Anna", "Boris", "Clara", "David")
PLACES = ("attic", "balcony", "cellar", "kitchen", "library", "workshop")
THINGS = ("lamp", "melon", "violin")
_GO = ("walked to", "ran to", "hurried to", "strolled to")
_TAKE = ("picked up", "grabbed", "took")
_DROP = ("put down", "dropped", "left")
_QUESTIONS_IN_A_STORY = 5
_SENTENCES_IN_A_STORY = 60

Thing = TypeVar("Thing")
Question = tuple[str, str, tuple[int, ...]]  # text, answer, supporting sentences


def generate(task: int = 1, train: int = 10_000, test: int = 1_000, seed: int = 0) -> Stories:
    """Fresh stories with questions: the same type as `babi.load` gives.

    Args:
        task: 1, 2, 3 or 6.
        train, test: how many questions; no question with its story is in both, nor twice in either.
        seed: the same seed gives the same stories, whatever the versions of Python and numpy.
    Returns: Stories with true answers and their supporting sentences; `encode` makes arrays of them.
    Raises: GraphValueError for another task or a negative count.

    >>> example = generate(task=1, train=1, test=1).train[0]
    >>> example.story[example.supporting[0]], example.question, example.answer
    ('David ran to the cellar.', 'Where is David?', 'cellar')
    """
    if task not in _TASKS:
        raise GraphValueError(f"Task {task} is not generated.", expected=f"one of {', '.join(map(str, _TASKS))}")
    if train < 0 or test < 0:
        raise GraphValueError("A count of questions cannot be negative.", received=f"train={train}, test={test}")
    examples = _unique(_examples(_TASKS[task], _Dice(seed)))
    return Stories(f"stories-{task}", tuple(itertools.islice(examples, train)), tuple(itertools.islice(examples, test)))


class _Dice:
    """Draws that depend on `seed` alone: only random() is promised to stay the same between versions of Python."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed).random

    def pick(self, options: Sequence[Thing]) -> Thing:
        return options[int(self.random() * len(options))]


@dataclasses.dataclass
class _World:
    """Who and what is where, and by which sentence of the story that is known."""

    dice: _Dice
    story: list[str] = dataclasses.field(default_factory=list)
    at: dict[str, tuple[str, int]] = dataclasses.field(default_factory=dict)  # person -> place, sentence
    held: dict[str, tuple[str, int]] = dataclasses.field(default_factory=dict)  # thing -> holder, sentence of taking
    # thing that nobody holds -> place, sentence of dropping, the dropper's walk there
    lying: dict[str, tuple[str, int, int]] = dataclasses.field(default_factory=dict)
    # thing -> each place it came to, and why: its taking, the walk there, its holder's walk before
    trail: dict[str, list[tuple[str, tuple[int, ...]]]] = dataclasses.field(default_factory=dict)

    def walk(self) -> None:
        """Somebody goes to another place, with all that they hold."""
        person = self.dice.pick(PEOPLE)
        here, before = self.at.get(person, (None, 0))
        place = self.dice.pick([place for place in PLACES if place != here])
        self.at[person] = place, len(self.story)
        for thing, (holder, taken) in self.held.items():
            if holder == person:
                self.trail[thing].append((place, (taken, len(self.story), before)))
        self.story.append(f"{person} {self.dice.pick(_GO)} the {place}.")

    def handle(self) -> None:
        """Somebody takes a thing or puts one down; where nobody can, somebody walks."""
        thing, person = self.dice.pick(THINGS), self.dice.pick(PEOPLE)
        if thing in self.held:
            self._drop(thing)
        elif person in self.at and self.lying.get(thing, self.at[person])[0] == self.at[person][0]:
            self._take(person, thing)
        else:
            self.walk()

    def _take(self, person: str, thing: str) -> None:
        self.held[thing] = person, len(self.story)
        # A thing nobody spoke of yet was lying where it is first taken.
        self.trail.setdefault(thing, [(self.at[person][0], ())])
        self.lying.pop(thing, None)
        self.story.append(f"{person} {self.dice.pick(_TAKE)} the {thing}.")

    def _drop(self, thing: str) -> None:
        person, _ = self.held.pop(thing)
        place, walked = self.at[person]
        self.lying[thing] = place, len(self.story), walked
        self.story.append(f"{person} {self.dice.pick(_DROP)} the {thing}.")


def _where_is_person(world: _World) -> Question:
    person = world.dice.pick(list(world.at))
    place, walked = world.at[person]
    return f"Where is {person}?", place, (walked,)


def _is_person_there(world: _World) -> Question:
    person = world.dice.pick(list(world.at))
    place, walked = world.at[person]
    if world.dice.random() < 0.5:
        return f"Is {person} in the {place}?", "yes", (walked,)
    other = world.dice.pick([other for other in PLACES if other != place])
    return f"Is {person} in the {other}?", "no", (walked,)


def _where_is_thing(world: _World) -> Question | None:
    if not world.trail:
        return None
    thing = world.dice.pick(list(world.trail))
    if thing in world.lying:
        place, *support = world.lying[thing]
    else:
        holder, taken = world.held[thing]
        place, walked = world.at[holder]
        support = [taken, walked]
    return f"Where is the {thing}?", place, tuple(support)


def _where_was_thing(world: _World) -> Question | None:
    """Asks only about a place that the thing came to once, so that "before" has one meaning."""
    steps = [
        (thing, before, after)
        for thing, trail in world.trail.items()
        for before, after in itertools.pairwise(trail)
        if [place for place, _ in trail].count(after[0]) == 1
    ]
    if not steps:
        return None
    thing, before, after = world.dice.pick(steps)
    return f"Where was the {thing} before the {after[0]}?", before[0], after[1]


# task -> the share of walks among the sentences, sentences between two questions, the question
_TASKS: dict[int, tuple[float, int, Callable[[_World], Question | None]]] = {
    1: (1.0, 2, _where_is_person),
    2: (0.6, 3, _where_is_thing),
    3: (0.6, 5, _where_was_thing),
    6: (1.0, 2, _is_person_there),
}


def _examples(task: tuple[float, int, Callable[[_World], Question | None]], dice: _Dice) -> Iterator[Example]:
    """Stories without end, each with questions at several of its moments."""
    walks, pace, ask = task
    while True:
        world, asked = _World(dice), 0
        while asked < _QUESTIONS_IN_A_STORY and len(world.story) < _SENTENCES_IN_A_STORY:
            for _ in range(pace):
                world.walk() if dice.random() < walks else world.handle()
            question = ask(world)
            if question:
                asked += 1
                yield Example(tuple(world.story), *question)


def _unique(examples: Iterator[Example]) -> Iterator[Example]:
    seen: set[tuple[tuple[str, ...], str]] = set()
    for example in examples:
        asked = example.story, example.question
        if asked not in seen:
            seen.add(asked)
            yield example
