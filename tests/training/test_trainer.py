"""fit, evaluate, predict against Keras, against each other, and against their own promises."""

import os
import signal
import subprocess
import sys
from textwrap import dedent

import jax
import keras
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import layers
from tests.oracle import assert_close, keras_rules
from tests.training.runs import assert_same_bits, classifier, leaves_of, rows, trainer_of, two_outputs

PAIR = {"a": np.ones((10, 4), np.float32), "b": np.arange(20, dtype=np.float32).reshape(10, 2)}
AIMS = {"age": np.arange(10, dtype=np.float32)[:, None], "gender": (np.arange(10) % 2).astype(np.float32)[:, None]}


def pair_trainer(**options):
    options = {"loss": {"age": "mse", "gender": "binary_crossentropy"}} | options
    return jg.Trainer(two_outputs(), "sgd", **options)


def keras_classifier(*, normalised=False):
    x = keras.Input((6,), name="x")
    hidden = keras.layers.Dense(8, activation="tanh", name="hidden")(x)
    hidden = keras.layers.BatchNormalization(name="norm")(hidden) if normalised else hidden
    return keras.Model(x, keras.layers.Dense(3, activation="softmax", name="label")(hidden))


def ported(model, graph):
    """The variables of a Keras model, as this graph's, whose layers have the same names."""
    names = {"gamma": "scale", "beta": "bias", "moving_mean": "mean", "moving_variance": "var"}
    names["embeddings"] = "embedding"
    variables = {"params": {}}
    for name in graph.names.values():
        for weight in model.get_layer(name).weights:
            own = names.get(weight.name, weight.name)
            collection = "batch_stats" if own in ("mean", "var") else "params"
            variables.setdefault(collection, {}).setdefault(name, {})[own] = np.array(weight)
    return variables


@pytest.mark.parametrize("normalised", [False, True])
def test_fit_is_keras_fit(normalised):  # oracle: Keras, with an uneven last batch
    x, y = rows(22)
    with keras_rules():
        model = keras_classifier(normalised=normalised)
        model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
        graph = classifier(normalised=normalised)
        variables = ported(model, graph)
        theirs = model.fit(x, y, epochs=3, batch_size=8, shuffle=False, verbose=0, validation_split=0.25).history
        expected = ported(model, graph)
    trainer = trainer_of(graph, "rmsprop")
    state = trainer.init(jax.random.key(0), variables=variables)
    state, history = trainer.fit(state, x, y, epochs=3, batch_size=8, shuffle=False, verbose=0, validation_split=0.25)
    assert sorted(history.history) == sorted(theirs)
    for name, values in theirs.items():
        assert_close(history.history[name], values, 1e-5, name)
    for collection, tree in expected.items():
        for layer, weights in tree.items():
            for name, value in weights.items():
                assert_close(state.variables[collection][layer][name], value, 1e-5, f"{layer}/{name}")


def test_every_step_is_keras_step():  # oracle: Keras, 30 steps of the question-answering graph
    rng = np.random.default_rng(0)
    texts, questions = rng.integers(1, 40, (120, 9)), rng.integers(1, 30, (120, 5))
    answers = rng.integers(0, 11, 120)
    graph = jg.models.question_answering(40, 30, 11, embedding=6, units=5)
    with keras_rules():
        model = keras_answering()
        model.compile("rmsprop", "sparse_categorical_crossentropy")
        variables = ported(model, graph)
    trainer = jg.Trainer(graph, "rmsprop", "sparse_categorical_crossentropy")
    state = trainer.init(jax.random.key(3), variables)
    for step in range(30):
        part = slice(4 * step, 4 * step + 4)
        with keras_rules():
            expected = model.train_on_batch([texts[part], questions[part]], answers[part])
            model.reset_metrics()
        state, logs = trainer.train_step(state, ([texts[part], questions[part]], answers[part]))
        assert_close(logs["loss"], expected, 1e-4, f"loss of step {step}")
    with keras_rules():
        expected = ported(model, graph)["params"]
    for (path, actual), weight in zip(
        jax.tree_util.tree_leaves_with_path(state.params), jax.tree.leaves(expected), strict=True
    ):
        assert_close(actual, weight, 1e-4, str(path))


def keras_answering():
    """`jg.models.question_answering` in Keras, with its names."""
    text, question = keras.Input((None,), name="text"), keras.Input((None,), name="question")
    embedded = (
        keras.layers.Embedding(40, 6, name="embedding")(text),
        keras.layers.Embedding(30, 6, name="embedding_1")(question),
    )
    story, asked = keras.layers.LSTM(5, name="lstm")(embedded[0]), keras.layers.LSTM(5, name="lstm_1")(embedded[1])
    merged = keras.layers.Concatenate(name="concatenate")([story, asked])
    answer = keras.layers.Dense(11, activation="softmax", name="answer")(merged)
    return keras.Model([text, question], answer)


def test_forms_of_data_agree():  # oracle: the same data as a dict, a list, and batches
    trainer = pair_trainer()
    state = trainer.init(jax.random.key(0))
    lists = [PAIR["a"], PAIR["b"]], [AIMS["age"], AIMS["gender"]]
    batches = [
        ({k: v[i : i + 4] for k, v in PAIR.items()}, {k: v[i : i + 4] for k, v in AIMS.items()}) for i in (0, 4, 8)
    ]
    options = {"epochs": 2, "verbose": 0, "shuffle": False}
    by_dict = trainer.fit(state, PAIR, AIMS, batch_size=4, **options)
    by_list = trainer.fit(state, *lists, batch_size=4, **options)
    by_batches = trainer.fit(state, batches, **options)
    assert_same_bits(by_list[0], by_dict[0])
    assert by_list[1] == by_dict[1]
    for one, other in zip(leaves_of(by_batches[0].params), leaves_of(by_dict[0].params), strict=True):
        assert_close(one, other, 1e-6)
    assert trainer.evaluate(by_dict[0], PAIR, AIMS) == trainer.evaluate(by_dict[0], *lists)
    for one, other in zip(trainer.predict(state, PAIR), trainer.predict(state, lists[0], batch_size=3), strict=True):
        assert_close(one, other, 1e-6)
        assert one.shape == (10, 1)


def test_padding_does_not_count():  # oracle: one batch of all rows
    x, y = rows(23)
    trainer = trainer_of(classifier(normalised=True))
    state = trainer.init(jax.random.key(0))
    whole = trainer.evaluate(state, x, y, batch_size=23)
    for size in (5, 8, 22, 100):
        parts = trainer.evaluate(state, x, y, batch_size=size)
        assert parts.keys() == whole.keys()
        assert_close(list(parts.values()), list(whole.values()), 1e-6)


def test_compiled_once():  # oracle: the number of compilations
    x, y = rows(22)
    trainer = trainer_of(classifier(normalised=True, dropout=0.2))
    state = trainer.init(jax.random.key(0))
    state, _ = trainer.fit(state, x, y, epochs=3, batch_size=8, verbose=0)
    assert trainer._train.programs == 1
    trainer.fit(state, x, y, epochs=2, batch_size=8, verbose=0)
    assert trainer._train.programs == 1
    for _ in range(3):
        state, _ = trainer.train_step(state, (x[:4], y[:4]))
    assert (trainer._train.programs, trainer._train_one.programs) == (1, 1)  # without running sums


def test_train_step_donates_and_fit_does_not():  # oracle: which arrays still can be read
    x, y = rows(8)
    trainer = trainer_of(classifier())
    state = trainer.init(jax.random.key(0))
    trainer.fit(state, x, y, verbose=0)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    with pytest.raises(ZeroDivisionError):
        trainer.fit(state, x, y, verbose=0, callbacks=[jg.callbacks.LambdaCallback(on_batch_end=lambda run: 1 / 0)])
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    trainer.train_step(state, (x, y))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.params))


IN_ORDER = (["a", "b"], ["age", "gender"])
FORMS = {
    "dicts": lambda x, y: (x, y),
    "lists": lambda x, y: ([x[name] for name in IN_ORDER[0]], [y[name] for name in IN_ORDER[1]]),
    "weighted": lambda x, y: (x, y, {"age": x["b"][:, 0]}),
    "whole numbers": lambda x, y: ({**x, "b": x["b"].astype(np.int32)}, y),
    "without a target": lambda x, y: (x, {"age": y["age"], "gender": None}),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_step_on_arrays_that_are_on_the_device(form):  # oracle: the step on NumPy's arrays
    options = {"loss": {"age": "mse", "gender": None}} if form == "without a target" else {}
    trainer, batch = pair_trainer(**options), FORMS[form](PAIR, AIMS)
    found = {}
    for place in (lambda arrays: arrays, jax.device_put):
        state = trainer.init(jax.random.key(0))
        for _ in range(2):
            state, logs = trainer.train_step(state, place(batch))
        found[place] = (state.replace(key=jax.random.key_data(state.key)), logs)
    assert_same_bits(*found.values())
    assert trainer._train_one.programs == 2  # one for each: what is on the device is arranged within the step


def test_a_batch_that_does_not_fit_is_told_of_wherever_it_is():  # oracle: the words for NumPy's arrays
    trainer = pair_trainer()
    for batch in (
        ({**PAIR, "a": PAIR["a"][:, :3], "b": PAIR["b"][..., None]}, AIMS),
        ({"a": PAIR["a"]}, AIMS),
        (PAIR, {**AIMS, "age": AIMS["age"][:4]}),
        (PAIR,) * 4,
    ):
        texts = []
        for given in (batch, jax.device_put(batch)):
            state = trainer.init(jax.random.key(0))
            with pytest.raises(jg.GraphError) as failure:
                trainer.train_step(state, given)
            texts.append(str(failure.value))
            trainer.train_step(state, (PAIR, AIMS))  # what failed took nothing of the state
        assert texts[0] == texts[1]


class Interrupts(jg.callbacks.Callback):
    def on_batch_end(self, run):
        if run.epoch == 1 and run.batch == 1:
            raise KeyboardInterrupt


def test_interrupt_gives_the_last_state():  # oracle: the steps made one by one
    x, y = rows(12)
    trainer = trainer_of(classifier())
    start = trainer.init(jax.random.key(0))
    options = {"batch_size": 4, "shuffle": False, "verbose": 0}
    state, history = trainer.fit(start, x, y, epochs=9, callbacks=[Interrupts()], **options)
    assert int(state.step) == 5
    assert (history.epoch, history.stopped) == ([0], "interrupted")
    expected = jax.tree.map(jax.numpy.array, start)
    for step in range(5):
        part = slice(step % 3 * 4, step % 3 * 4 + 4)
        expected, _ = trainer.train_step(expected, (x[part], y[part]))
    assert_same_bits(state, expected)


SIGNALLED = """
import jax, sys
import jaxgraphs as jg
from tests.training.runs import classifier, rows, trainer_of

class Tells(jg.callbacks.Callback):
    def on_batch_end(self, run):
        print(run.epoch, flush=True)
        if run.batch == 2:
            sys.stdin.readline()

trainer = trainer_of(classifier())
state, history = trainer.fit(trainer.init(jax.random.key(0)), *rows(40), batch_size=4, verbose=0, callbacks=[Tells()])
print("step", int(state.step), history.stopped)
"""


def test_a_real_sigint():  # oracle: the child's last line
    child = subprocess.Popen(
        [sys.executable, "-c", SIGNALLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    for _ in range(3):
        assert child.stdout.readline() == "0\n"
    os.kill(child.pid, signal.SIGINT)
    out, _ = child.communicate("go on\n", timeout=120)
    assert out == "step 3 interrupted\n"
    assert child.returncode == 0


def test_weights_by_list_and_dict():  # oracle: the weighted sum of the parts
    data = (PAIR, AIMS)
    plain = pair_trainer()
    state = plain.init(jax.random.key(0))
    parts = plain.evaluate(state, *data)
    for weights in ([0.25, 10], {"age": 0.25, "gender": 10.0}):
        logs = pair_trainer(loss_weights=weights).evaluate(state, *data)
        assert_close(logs["loss"], 0.25 * parts["age_loss"] + 10 * parts["gender_loss"], 1e-6)


def test_sample_and_class_weights_are_keras():  # oracle: Keras
    x, y = rows(22)
    weight = np.linspace(0, 2, 22, dtype=np.float32)
    table = {0: 2.0, 1: 0.5}
    graph = classifier()
    for options in ({"sample_weight": weight}, {"class_weight": table}):
        with keras_rules():
            model = keras_classifier()
            model.compile("sgd", "sparse_categorical_crossentropy")
            variables = ported(model, graph)
            theirs = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, **options).history
        trainer = trainer_of(graph, "sgd", metrics=None)
        _, history = trainer.fit(
            trainer.init(jax.random.key(0), variables),
            x,
            y,
            batch_size=8,
            epochs=2,
            shuffle=False,
            verbose=0,
            **options,
        )
        assert_close(history.history["loss"], theirs["loss"], 1e-5, str(options))


def test_targets_may_be_absent():  # oracle: a trainer of the other output alone
    trainer = pair_trainer()
    state = trainer.init(jax.random.key(0))
    logs = trainer.evaluate(state, PAIR, {"age": AIMS["age"], "gender": None})
    alone = jg.Trainer(two_outputs(), "sgd", {"age": "mse"})
    assert_close(logs["loss"], alone.evaluate(state, PAIR, {"age": AIMS["age"], "gender": None})["loss"], 1e-6)


def test_frozen_layers_stay():  # oracle: the arrays before
    x, y = rows(16)
    graph = jg.freeze(classifier(kernel_regularizer="l2"), "hidden")
    trainer = trainer_of(graph, "adam")
    start = trainer.init(jax.random.key(0))
    state, _ = trainer.fit(start, x, y, epochs=2, verbose=0)
    assert_same_bits(state.params["hidden"], start.params["hidden"])
    assert not np.array_equal(state.params["label"]["kernel"], start.params["label"]["kernel"])
    assert not [path for path, _ in jax.tree_util.tree_leaves_with_path(state.opt_state) if "hidden" in str(path)]


def test_penalties_join_the_loss_and_constraints_hold():  # oracle: closed form
    x, y = rows(16)
    trainer = trainer_of(classifier(kernel_regularizer="l2", kernel_constraint="non_neg"), "adam")
    state, history = trainer.fit(trainer.init(jax.random.key(0)), x, y, epochs=3, verbose=0)
    kernel = np.asarray(state.params["hidden"]["kernel"])
    assert (kernel >= 0).all()
    logs = trainer.evaluate(state, x, y)
    assert_close(logs["regularization_loss"], 0.01 * np.sum(np.square(kernel)), 1e-5)
    probs = trainer.predict(state, x)
    crossentropy = -np.mean(np.log(probs[np.arange(16), y]))
    assert_close(logs["loss"], crossentropy + logs["regularization_loss"], 1e-5)
    assert len(history.history["regularization_loss"]) == 3


def test_steps_of_an_endless_generator():  # oracle: the number of batches read
    x, y = rows(8)
    read = []

    def endless():
        while True:
            read.append(1)
            yield x, y

    trainer = trainer_of(classifier())
    state, history = trainer.fit(trainer.init(jax.random.key(0)), endless(), epochs=3, steps_per_epoch=4, verbose=0)
    assert (int(state.step), len(read), len(history.epoch)) == (12, 12, 3)


def test_forms_of_validation_data():  # oracle: those of fit
    pandas = pytest.importorskip("pandas")
    (x, y), (held_x, held_y) = rows(16), rows(7, seed=1)
    trainer = trainer_of(classifier())

    def fit(x, y, held_out, **options):
        options = {"batch_size": 7, "verbose": 0, "validation_data": held_out} | options
        return trainer.fit(trainer.init(jax.random.key(0)), x, y, **options)[1]

    expected = fit(x, y, (held_x, held_y))
    for held_out in ([held_x, held_y], {"x": held_x, "label": held_y}, [(held_x, held_y)]):
        assert fit(x, y, held_out) == expected
    frames = [pandas.DataFrame(x), pandas.Series(y), (pandas.DataFrame(held_x), pandas.Series(held_y))]
    assert fit(*frames) == expected
    few = fit(x, y, (held_x, held_y), validation_batch_size=3, validation_steps=2).history["val_loss"]
    six = fit(x, y, (held_x[:6], held_y[:6]), validation_batch_size=3).history["val_loss"]
    assert few == pytest.approx(six, rel=1e-5)


def test_validation_every_second_epoch():  # oracle: evaluate
    x, y = rows(20)
    trainer = trainer_of(classifier())
    state, history = trainer.fit(
        trainer.init(jax.random.key(0)), x, y, epochs=4, verbose=0, validation_data=rows(7, seed=1), validation_freq=2
    )
    assert [value is None for value in history.history["val_loss"]] == [True, False, True, False]
    assert history.history["val_loss"][-1] == trainer.evaluate(state, *rows(7, seed=1))["loss"]


def test_shuffled_epochs_differ_and_repeat():  # oracle: the same run twice
    x, y = rows(20)
    trainer = trainer_of(classifier())
    start = trainer.init(jax.random.key(0))
    first = trainer.fit(start, x, y, epochs=2, batch_size=4, verbose=0)
    again = trainer.fit(start, x, y, epochs=2, batch_size=4, verbose=0)
    plain = trainer.fit(start, x, y, epochs=2, batch_size=4, verbose=0, shuffle=False)
    assert_same_bits(first[0], again[0])
    assert first[1] != plain[1]


def nested_model():
    """A softmax within a graph that is called twice."""
    inner_input = jg.Input((6,), name="inner")
    inner = jg.Graph(inner_input, layers.Dense(3, activation="softmax", name="deep")(inner_input), name="inside")
    a, b = jg.Input((6,), name="a"), jg.Input((6,), name="b")
    return jg.Graph([a, b], {"first": inner(a), "second": inner(b)})


def shared_model():
    """One softmax layer on two inputs."""
    a, b = jg.Input((6,), name="a"), jg.Input((6,), name="b")
    shared = layers.Dense(3, activation="softmax", name="shared")
    return jg.Graph([a, b], {"first": shared(a), "second": shared(b)})


@pytest.mark.parametrize("model", [nested_model, shared_model])
def test_losses_read_logits(model):  # oracle: closed form, where probabilities are 0 in float32
    graph = model()
    loss = {"first": "sparse_categorical_crossentropy", "second": "sparse_categorical_crossentropy"}
    trainer = jg.Trainer(graph, "sgd", loss)
    state = trainer.init(jax.random.key(0))
    kernel = np.zeros((6, 3), np.float32)
    kernel[0] = [300, 0, 0]
    params = jax.tree.map(lambda leaf: kernel if leaf.ndim == 2 else leaf, state.params)
    state = state.replace(params=jax.tree.map(jax.numpy.asarray, params))
    x = np.zeros((2, 6), np.float32)
    x[:, 0] = 1
    logs = trainer.evaluate(state, [x, -x], {"first": [1, 1], "second": [0, 0]})
    assert_close([logs["first_loss"], logs["second_loss"]], [300, 300 + np.log(2)], 1e-6)


ERRORS = [
    (
        lambda: jg.Trainer(classifier(), "sgd", None),
        """\
        No output has a loss.
          expected: a loss for at least one of ['label']
          fix:      Trainer(graph, loss="mse")""",
    ),
    (
        lambda: jg.Trainer(3, "sgd", "mse"),
        """\
        A Trainer trains a Graph.
          received: int
          fix:      Trainer(jg.Graph(inputs, outputs), ...)""",
    ),
    (
        lambda: jg.Trainer(two_outputs(), "sgd", {"agee": "mse"}),
        """\
        `loss` names outputs that the graph does not have.
          received: 'agee' is not an output; did you mean 'age'? Known: age, gender
          fix:      use the keys ['age', 'gender']""",
    ),
    (
        lambda: fitted(verbose=7),
        """\
        `verbose` is 0, 1, 2 or 'auto'.
          received: 7""",
    ),
    (
        lambda: fitted(x=None),
        """\
        fit was given no data.
          received: NoneType
          expected: arrays, or an iterable of batches (x, y)
          fix:      trainer.fit(state, x, y, epochs=10)""",
    ),
    (
        lambda: fitted(x=iter([rows(4)]), y=None, validation_split=0.5),
        """\
        fit needs data in memory for validation_split.
          received: list_iterator
          expected: arrays
          fix:      validation_data=(x, y)""",
    ),
    (
        lambda: fitted(x=iter([rows(4)]), y=None, epochs=2),
        """\
        Epoch 2 had no batch.
          expected: an iterable that can be read again for each epoch
          fix:      give a list or an object with __iter__, or steps_per_epoch with an endless generator""",
    ),
    (
        lambda: trainer_of(classifier()).evaluate({"params": {}}, iter([])),
        """\
        There was no batch to evaluate.
          fix:      a generator can be read only once: make a new one""",
    ),
    (
        lambda: fitted(validation_split=1.5),
        """\
        validation_split is a share between 0 and 1.
          received: 1.5
          fix:      for example 0.2""",
    ),
    (
        lambda: fitted(y=np.zeros(5, int)),
        """\
        The data's columns differ in length.
          received: input 'x': 8 examples
                    target 'label': 5 examples
          fix:      give one row for each example in every array""",
    ),
    (
        lambda: pair_trainer().fit(pair_trainer().init(jax.random.key(0)), PAIR, {"age": AIMS["age"]}, verbose=0),
        """\
        The targets of 1 outputs are missing.
          received: 'gender' is not among ['age']
          fix:      give a target for each output; None says that an output has none in this data""",
    ),
    (
        lambda: pair_trainer().fit(
            pair_trainer().init(jax.random.key(0)), PAIR, AIMS, class_weight={0: 1.0}, verbose=0
        ),
        """\
        class_weight is one table, and the graph has several outputs.
          received: {0: 1.0}
          fix:      class_weight={'age': {0: 1.0, 1: 2.0}}""",
    ),
    (
        lambda: jg.Trainer(two_outputs(), "sgd", ["mse"]),
        """\
        `loss` has 1 entries, and the graph has 2 outputs.
          received: loss=['mse']
          fix:      give one for each of ['age', 'gender'], or a dict by these names""",
    ),
]


def fitted(**changes):
    x, y = rows(8)
    trainer = trainer_of(classifier())
    return trainer.fit(trainer.init(jax.random.key(0)), **({"x": x, "y": y, "verbose": 0} | changes))


@pytest.mark.parametrize(("cause", "text"), ERRORS)
def test_errors(cause, text):  # oracle: the message, word for word
    with pytest.raises(jg.GraphError) as caught:
        cause()
    assert str(caught.value) == dedent(text)


def test_a_batch_on_the_device_stays_there(monkeypatch):  # oracle: none is asked for; and the step on NumPy's arrays
    x, y = rows(8)
    trainer = trainer_of(classifier())
    state = trainer.init(jax.random.key(0))
    placed = jax.device_put((x, y))
    fetched = []
    monkeypatch.setattr("jaxgraphs.training.feeding._array", lambda value, name: fetched.append(name) or value)
    state, logs = trainer.train_step(state, placed)
    monkeypatch.undo()
    assert not fetched
    other, expected = trainer.train_step(trainer.init(jax.random.key(0)), (x, y))
    assert float(logs["loss"]) == float(expected["loss"])
    for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(other.params), strict=True):
        np.testing.assert_array_equal(a, b)
