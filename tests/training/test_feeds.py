"""Where a run is in its data: every kind of source goes on as if nothing had happened, or says that it cannot."""

import itertools
from textwrap import dedent

import jax
import keras
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs.training.callbacks import LambdaCallback
from jaxgraphs.training.checkpoint import Checkpoints
from tests.training.runs import assert_same_bits, classifier, rows, trainer_of

X, Y = rows(40)
BATCHES = [(X[start : start + 8], Y[start : start + 8]) for start in range(0, 40, 8)]
TRAINER = trainer_of(classifier(dropout=0.2))
START = TRAINER.init(jax.random.key(1))


class Counter:
    """An endless iterator that says where it is."""

    def __init__(self):
        self.place, self.drawn = 0, np.zeros(2, np.uint32)

    def __iter__(self):
        return self

    def __next__(self):
        self.place += 1
        self.drawn += np.uint32(3)
        generator = np.random.default_rng(self.place)
        return generator.normal(size=(8, 6)).astype(np.float32), generator.integers(0, 3, 8)

    def get_state(self):
        # What it gives is what it goes on changing.
        return self.__dict__

    def set_state(self, state):
        assert isinstance(state["drawn"], np.ndarray)
        self.__dict__.update(state)


class Again:
    """Batches that can be read again."""

    def __iter__(self):
        return iter(BATCHES)


class Numbered(keras.utils.PyDataset):
    """Batches by number, in another order in each epoch."""

    def __init__(self):
        super().__init__()
        self.draw, self.order = np.random.RandomState(0), np.arange(5)

    def __len__(self):
        return 5

    def __getitem__(self, number):
        return BATCHES[self.order[number]]

    def on_epoch_end(self):
        self.order = self.draw.permutation(5)


def endless(epoch):
    generator = np.random.default_rng(epoch)
    while True:
        yield BATCHES[generator.integers(0, 5)]


def of_grain():
    grain = pytest.importorskip("grain")
    data = grain.MapDataset.source(range(40)).shuffle(seed=3).map(lambda row: (X[row], Y[row]))
    return data.repeat(None).batch(8)


def iterated_by_grain():
    import grain

    # As few threads as there can be: the many of the default are slow to start.
    return of_grain().to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=8))


SOURCES = {
    "list": (lambda: BATCHES, None),
    "list, steps": (lambda: BATCHES, 4),
    "function": (lambda: lambda epoch: BATCHES[epoch:] + BATCHES[:epoch], None),
    "function, steps": (lambda: endless, 4),
    "iterator with a state": (Counter, 4),
    "by number": (Numbered, None),
    "by number, steps": (Numbered, 4),
    "grain": (of_grain, 4),
    "grain iterator": (lambda: iter(iterated_by_grain()), 4),
    "grain data set": (iterated_by_grain, 4),
}


def fit(source, steps, resume=None, callbacks=()):
    return TRAINER.fit(
        START, source, epochs=3, steps_per_epoch=steps, verbose=0, callbacks=list(callbacks), resume=resume
    )


def dies_after(steps):
    left = itertools.count(1)

    def count(run):
        if next(left) == steps:
            raise ZeroDivisionError

    return LambdaCallback(on_batch_end=count)


@pytest.mark.parametrize(
    ("kind", "dies"), [(kind, dies) for kind in SOURCES for dies in ([7] if "grain" in kind else [4, 7])]
)
def test_a_run_goes_on_in_its_data(tmp_path, kind, dies):  # oracle: the run that nothing ended
    make, steps = SOURCES[kind]
    expected = fit(make(), steps)
    saved = Checkpoints(tmp_path, every_steps=2)
    with pytest.raises(ZeroDivisionError):
        fit(make(), steps, saved, [dies_after(dies)])
    state, history = fit(make(), steps, saved)
    assert_same_bits(state, expected[0])
    assert history == expected[1]


def test_what_does_not_say_how_is_read_again(tmp_path):  # oracle: the warning; the run that nothing ended
    saved = Checkpoints(tmp_path, every_steps=1)
    with pytest.raises(ZeroDivisionError):
        fit(Again(), None, saved, [dies_after(4)])
    with pytest.warns(UserWarning, match=r"The data \(Again\) does not say how to go on in its midst: 3 batches"):
        state, _ = fit(Again(), None, saved)
    assert_same_bits(state, fit(Again(), None)[0])


def test_what_can_be_read_once_is_refused(tmp_path):  # oracle: the message, word for word
    with pytest.raises(jg.GraphValueError) as caught:
        fit(iter(BATCHES), None, tmp_path / "run")
    assert str(caught.value) == dedent("""\
        A run over this data could not be resumed: it can be read only once.
          received: a list_iterator
          expected: arrays, a list of batches, a function of the epoch, or an iterator with get_state, set_state
          fix:      fit(state, lambda epoch: batches(epoch), ...), or a Grain data set""")
    assert not (tmp_path / "run").exists()


def test_a_position_that_cannot_be_saved(tmp_path):  # oracle: the message
    source = Counter()
    source.file = open
    with pytest.raises(jg.GraphTypeError, match="The position in the data holds something that cannot be saved"):
        fit(source, 4, tmp_path)


def test_an_epoch_goes_on_where_the_last_ended():  # oracle: the batches in order
    seen = []
    source = [(np.full((4, 6), number, np.float32), np.zeros(4, int)) for number in range(5)]

    def look(epoch):
        for batch in source:
            seen.append(int(batch[0][0, 0]))
            yield batch

    TRAINER.fit(START, look, epochs=3, steps_per_epoch=3, verbose=0)
    assert seen == [0, 1, 2, 3, 4, 0, 1, 2, 3]
