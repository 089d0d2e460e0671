"""The slips of a first hour: each is told in words, with what to type instead."""

import jax
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import Graph, Input, layers

words = Input((2,), dtype="int32", name="words")
x = layers.Flatten()(layers.Embedding(10, 4, name="table")(words))
GRAPH = Graph(words, [layers.Dense(1, name="price")(x), layers.Dense(3, activation="softmax", name="kind")(x)])
TRAINER = jg.Trainer(GRAPH, "sgd", {"price": "mse", "kind": "sparse_categorical_crossentropy"})
STATE = TRAINER.init(jax.random.key(0))
OTHER = jg.Trainer(GRAPH, jg.optimizers.get("adam"), {"price": "mse"})
BY_CLASS = jg.Trainer(GRAPH, "sgd", {"price": "mse"}, metrics={"kind": "f1_score"})
X = np.zeros((4, 2), np.int32)
Y = {"price": np.ones(4, np.float32), "kind": np.array([0, 1, 2, 0])}


def trained_by(loss):
    """A step with a loss of the user's."""
    trainer = jg.Trainer(GRAPH, "sgd", {"price": loss})
    return trainer.train_step(trainer.init(jax.random.key(0)), (X, Y))


def used_twice():
    """A step with a state whose memory the step before it reused."""
    state = TRAINER.init(jax.random.key(0))
    for _ in range(2):
        TRAINER.train_step(state, (X, Y))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: TRAINER.fit(X, Y), "The first argument of fit is the state: a Trainer holds no arrays."),
        (lambda: TRAINER.evaluate(X, Y), "The first argument of evaluate is the state"),
        (lambda: TRAINER.train_step(STATE.variables, (X, Y)), "The first argument of train_step is the state"),
        (lambda: TRAINER.lowered(STATE.variables, (X, Y)), "The first argument of lowered is the state"),
        (lambda: TRAINER.predict(X, X), "The first argument of predict is the state"),
        (lambda: TRAINER.init(0), "trainer.init needs a random key."),
        (lambda: TRAINER.fit(STATE, X, Y, epochs="3", batch_size=0), "received: epochs='3', batch_size=0"),
        (lambda: TRAINER.fit(STATE, X, Y, callbacks=["early"]), "received: 'early'"),
        (lambda: TRAINER.fit(STATE, X, Y, callbacks=jg.callbacks.EarlyStopping()), "fit takes a list of callbacks."),
        (lambda: TRAINER.fit(STATE, X), "fit was given no targets."),
        (lambda: TRAINER.evaluate(STATE, X), "evaluate was given no targets."),
        (lambda: TRAINER.fit(STATE, X, Y, validation_data=X), "validation_data was given no targets."),
        (lambda: TRAINER.fit(STATE, X, Y, validation_data=[(X,)], verbose=0), "validation_data was given no targets."),
        (lambda: TRAINER.fit(STATE, [(X,), (X,)], verbose=0), "fit was given no targets."),
        (lambda: TRAINER.evaluate(STATE, iter([X])), "evaluate was given no targets."),
        (lambda: TRAINER.train_step(TRAINER.init(jax.random.key(0)), X), "train_step was given no targets."),
        (lambda: TRAINER.fit(STATE, [(X, Y)], Y), "received: y beside an iterable in fit"),
        (lambda: TRAINER.evaluate(STATE, [(X, Y)], sample_weight=X), "sample_weight beside an iterable in evaluate"),
        (lambda: TRAINER.fit(STATE, 5), "This is neither data nor batches of it."),
        (lambda: TRAINER.predict(STATE, None), "This is neither data nor batches of it."),
        (lambda: TRAINER.fit(STATE, X, Y, validation_freq=0, prefetch="a"), "prefetch='a', validation_freq=0"),
        (
            lambda: TRAINER.fit(STATE, X, Y, initial_epoch=-1, steps_per_epoch=2.5),
            "initial_epoch=-1, steps_per_epoch=2.5",
        ),
        (lambda: TRAINER.predict(STATE, X, batch_size=0), "received: batch_size=0"),
        (lambda: TRAINER.evaluate(STATE, X, Y, steps=0), "received: steps=0"),
        (lambda: TRAINER.fit(STATE, X, Y, validation_split=".2"), "validation_split is a share between 0 and 1."),
        (lambda: TRAINER.fit(STATE, X, Y, class_weight=[1.0, 2.0]), "class_weight is a table."),
        (lambda: TRAINER.fit(STATE, X, Y, class_weight={"kind": {"a": 1.0}}), "for each class by its number."),
        (lambda: TRAINER.fit(STATE, np.zeros(4, [("a", "f4")]), Y), "'words' holds no numbers."),
        (lambda: TRAINER.fit(OTHER.init(jax.random.key(0)), X, Y), "The state is another optimizer's."),
        (lambda: TRAINER.init(jax.random.key(0), {"params": {}}), "The variables lack"),
        (used_twice, "This state has been used by a step"),
        (lambda: jg.Trainer(GRAPH, loss={"price": lambda y: y}), "received: too many positional arguments"),
        (
            lambda: jg.Trainer(GRAPH, loss={"price": "mse"}, metrics={"kind": lambda y: y}),
            "cannot be a loss or a metric",
        ),
        (lambda: trained_by(lambda y_true, y_pred: None), "The function '<lambda>' returned nothing."),
        (lambda: BY_CLASS.evaluate(STATE, X, Y), "received: kind_f1_score: 3 numbers"),
        (lambda: BY_CLASS.fit(BY_CLASS.init(jax.random.key(0)), X, Y), "received: kind_f1_score: 3 numbers"),
    ],
)
def test_slips(call, said):  # oracle: the messages
    with pytest.raises(jg.GraphError) as caught:
        call()
    assert said in str(caught.value)
    assert caught.value.fix or caught.value.expected


@pytest.mark.parametrize("call", [TRAINER.fit, TRAINER.evaluate], ids=["fit", "evaluate"])
def test_numbers_that_have_no_place(call):  # oracle: the message, word for word
    with pytest.raises(jg.GraphValueError) as caught:
        call(STATE, X + 12, {**Y, "kind": Y["kind"] + 1})
    assert (
        str(caught.value)
        == """\
Whole numbers in the data are larger than what the graph has a place for.
  received: target 'kind': 3, where the output has 3 classes, 0 to 2
            input 'words': 12, where table has 10 rows, 0 to 9
  fix:      count from 0; or a wider output, Dense(classes), or a longer table, Embedding(ids, ...)"""
    )


def test_classes_that_do_not_count_may_be_any():  # oracle: the loss without them
    weight = {"price": np.ones(4, np.float32), "kind": np.array([1.0, 1.0, 1.0, 0.0], np.float32)}
    unknown = {**Y, "kind": np.array([0, 1, 2, 99])}
    expected = TRAINER.evaluate(STATE, X, Y, sample_weight=weight)
    assert TRAINER.evaluate(STATE, X, unknown, sample_weight=weight) == expected


def test_what_holds_arrays_is_shown_shortly():  # oracle: the texts
    assert repr(STATE) == "<TrainState: step 0, 76 params in float32>"
    assert repr(TRAINER) == "<Trainer of Graph: sgd; losses of price, kind>"


@pytest.mark.parametrize("name", ["compile", "fit", "evaluate", "predict", "get_layer", "save"])
def test_what_a_model_of_keras_has(name):  # oracle: the message
    with pytest.raises(AttributeError, match="it is a description") as caught:
        getattr(GRAPH, name)
    assert isinstance(caught.value, jg.GraphError)
    assert caught.value.fix
    assert not hasattr(GRAPH, "no_such_thing")


def test_a_name_that_is_not_watched():  # oracle: the names of the logs
    stopping = jg.callbacks.EarlyStopping(monitor="val_los")
    with pytest.raises(jg.GraphValueError, match="and monitor='val_loss', or monitor='loss'"):
        TRAINER.fit(STATE, X, Y, verbose=0, callbacks=[stopping])


def test_an_error_within_a_loss_says_which():  # oracle: the error's note
    with pytest.raises(jax.errors.TracerArrayConversionError) as caught:
        trained_by(lambda y_true, y_pred: np.asarray(y_pred))
    expected = "in '<lambda>', a function of (y_true, y_pred), which are JAX's: jnp in the place of np"
    assert expected in caught.value.__notes__
