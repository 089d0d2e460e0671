"""Generated stories are true: a second, tiny reader of the text finds every answer again."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from jaxgraphs.data import stories
from jaxgraphs.errors import GraphValueError

TASKS = (1, 2, 3, 6)


class Reader:
    """Follows a story word by word: where everybody is, who holds what, where each thing has been."""

    def __init__(self, story):
        self.where, self.holder, self.been = {}, {}, {}
        for sentence in story:
            self.read(sentence)

    def read(self, sentence):
        person, deed, thing = re.fullmatch(r"(\w+) (.+) the (\w+)\.", sentence).groups()
        if deed.endswith(" to"):
            assert self.where.get(person) != thing, "nobody walks to where they are"
            self.where[person] = thing
        elif deed in ("took", "grabbed", "picked up"):
            assert thing not in self.holder, "a thing that is held cannot be taken"
            last = self.been.get(thing, [None])[-1]
            assert last in (None, self.where.get(person)), "a thing is taken where it lies"
            self.holder[thing] = person
        else:
            assert deed in ("dropped", "left", "put down")
            self.been.setdefault(thing, []).append(self.where[self.holder.pop(thing, person)])
        for held, who in self.holder.items():
            self.been.setdefault(held, []).append(self.where.get(who))

    def path(self, thing):
        """The places of a thing, each once while it stays there."""
        been = self.been[thing]
        return [place for i, place in enumerate(been) if i == 0 or place != been[i - 1]]

    def answer(self, question):
        if found := re.fullmatch(r"Is (\w+) in the (\w+)\?", question):
            return "yes" if self.where[found[1]] == found[2] else "no"
        if found := re.fullmatch(r"Where is the (\w+)\?", question):
            return self.path(found[1])[-1]
        if found := re.fullmatch(r"Where was the (\w+) before the (\w+)\?", question):
            path = self.path(found[1])
            assert path.count(found[2]) == 1, "the question has one meaning"
            return path[path.index(found[2]) - 1]
        return self.where[re.fullmatch(r"Where is (\w+)\?", question)[1]]


@pytest.fixture(scope="module", params=TASKS)
def told(request):
    return request.param, stories.generate(request.param, train=1_500, test=300, seed=11)


def test_every_answer_is_true(told):  # oracle: Reader, from the text alone
    for example in (*told[1].train, *told[1].test):
        assert Reader(example.story).answer(example.question) == example.answer


def test_supporting_sentences_suffice(told):  # oracle: Reader, from the supporting sentences alone
    task, both = told
    for example in both.supported().train:
        assert len(example.story) == len(example.supporting) == {1: 1, 2: 2, 3: 3, 6: 1}[task]
        # Where only a drop is told, the thing was in the dropper's hands.
        assert Reader(example.story).answer(example.question) == example.answer


def test_nothing_is_asked_twice(told):  # oracle: the set of questions with their stories
    _, both = told
    asked = [(example.story, example.question) for example in (*both.train, *both.test)]
    assert (len(both.train), len(both.test), len(set(asked))) == (1_500, 300, 1_800)


def test_answers_are_balanced(told):  # oracle: even shares, within a tenth
    task, both = told
    shares = Counter(example.answer for example in both.train)
    assert set(shares) == ({"yes", "no"} if task == 6 else set(stories.PLACES))
    assert all(abs(count / 1_500 - 1 / len(shares)) < 0.1 / len(shares) + 0.03 for count in shares.values())


def test_seeds():  # oracle: equality
    assert stories.generate(2, 50, 10, seed=4) == stories.generate(2, 50, 10, seed=4)
    assert stories.generate(2, 50, 10, seed=4) != stories.generate(2, 50, 10, seed=5)


def test_a_wrong_answer_is_seen():  # oracle: Reader disagrees, so that it can fail
    example = stories.generate(1, 1, 0).train[0]
    lie = [sentence.replace(example.answer, "garden") for sentence in example.story]
    assert Reader(lie).answer(example.question) == "garden" != example.answer
    with pytest.raises(AssertionError, match="walks"):
        Reader(("Anna ran to the attic.", "Anna ran to the attic."))


@pytest.mark.parametrize("act", [lambda: stories.generate(4), lambda: stories.generate(1, train=-1)])
def test_user_errors(act):  # oracle: the type of error
    with pytest.raises(GraphValueError, match=r"generated|negative"):
        act()
