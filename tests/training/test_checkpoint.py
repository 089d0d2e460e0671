"""Runs that end before their time and go on: equal, to the last bit, to those that did not."""

import errno
import os
import shutil
import signal
from textwrap import dedent

import jax
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs.training.callbacks import EarlyStopping, LambdaCallback, ReduceLROnPlateau
from jaxgraphs.training.checkpoint import Checkpoints
from jaxgraphs.training.checkpointing import session, store
from jaxgraphs.training.checkpointing.store import Store
from tests.training.runs import assert_same_bits, classifier, rows, trainer_of

X, Y = rows(42)
TRAINER = trainer_of(classifier(normalised=True, dropout=0.3))
START = TRAINER.init(jax.random.key(1))
ARRAYS = {"x": X, "y": Y, "batch_size": 8, "validation_split": 0.2}


class Fails(Exception):
    """What ends a run here."""


def dies_after(steps, hook="on_batch_end"):
    """A callback that ends the run as a crash would."""
    left = [steps]

    def count(run):
        left[0] -= 1
        if not left[0]:
            raise Fails

    return LambdaCallback(**{hook: count})


def watchers():
    return [EarlyStopping("val_loss", patience=2, restore_best_weights=True), ReduceLROnPlateau("loss", patience=1)]


def fit(resume=None, callbacks=(), data=ARRAYS, epochs=3, **options):
    """One run, with callbacks that remember; its state, history, and what they remember."""
    watching = watchers()
    state, history = TRAINER.fit(
        START, **data, epochs=epochs, verbose=0, resume=resume, callbacks=[*watching, *callbacks], **options
    )
    return state, history, [one.memory() for one in watching]


def assert_same_run(actual, expected):
    assert_same_bits(actual[0], expected[0])
    assert actual[1] == expected[1]
    assert_same_bits(jax.tree.map(np.asarray, actual[2]), jax.tree.map(np.asarray, expected[2]))


@pytest.fixture(scope="module")
def whole():
    """The run that nothing ended."""
    return fit()


@pytest.mark.parametrize("steps", [1, 2, 5, 6, 14])
@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_run_goes_on(tmp_path, whole, steps, asynchronous):  # oracle: the run that nothing ended
    saved = Checkpoints(tmp_path, every_steps=2, asynchronous=asynchronous)
    with pytest.raises(Fails):
        fit(saved, [dies_after(steps)])
    assert_same_run(fit(saved), whole)
    assert TRAINER._train.programs == 1


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_train_end"])
def test_a_run_goes_on_from_any_event(tmp_path, whole, hook):  # oracle: the run that nothing ended
    with pytest.raises(Fails):
        fit(tmp_path, [dies_after(1 if hook == "on_train_end" else 2, hook)])
    assert_same_run(fit(tmp_path), whole)


def test_a_finished_run_returns_at_once(tmp_path, whole):  # oracle: no step is made
    fit(tmp_path)
    steps = []
    assert_same_run(fit(tmp_path, [LambdaCallback(on_batch_begin=steps.append)]), whole)
    assert steps == []


def test_more_epochs_go_on(tmp_path):  # oracle: the longer run
    fit(tmp_path)
    assert_same_run(fit(tmp_path, epochs=5), fit(epochs=5))


def test_a_run_that_stopped_itself_stays_stopped(tmp_path):  # oracle: the run that nothing ended
    def run(resume, epochs):
        stopping = EarlyStopping("loss", min_delta=10.0)
        return TRAINER.fit(START, X, Y, epochs=epochs, verbose=0, callbacks=[stopping], resume=resume)

    expected = run(None, 9)
    assert 0 < len(expected[1].epoch) < 9
    for epochs in (9, 12):
        state, history = run(tmp_path, epochs)
        assert history == expected[1]
        assert_same_bits(state, expected[0])


def test_an_interrupted_run_goes_on(tmp_path, whole):  # oracle: the run that nothing ended
    def interrupt(run):
        if run.epoch == 1 and run.batch == 2:
            raise KeyboardInterrupt

    _, history, _ = fit(tmp_path, [LambdaCallback(on_batch_end=interrupt)])
    assert history.stopped == "interrupted"
    assert Store(tmp_path).names()[-1] == "epoch-00001-batch-00000003"
    assert_same_run(fit(tmp_path), whole)


@pytest.mark.parametrize("hook", ["on_batch_end", "on_epoch_end", "on_epoch_begin"])
def test_sigterm_saves_and_exits(tmp_path, whole, hook):  # oracle: the status, and the run that nothing ended
    def terminate(run):
        if run.epoch == 1 and run.batch in (None, 3):
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught:
        fit(tmp_path, [LambdaCallback(**{hook: terminate})])
    assert caught.value.code == 75
    assert signal.getsignal(signal.SIGTERM) is before
    assert_same_run(fit(tmp_path), whole)


def truncate(place):
    largest = max((path for path in place.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)


def flip(place):
    file = sorted(place.glob("arrays/**/d/*"))[0]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


def halve(place):
    shutil.rmtree(place / "arrays" / "d")


def without_manifest(place):
    (place / "manifest.json").unlink()


@pytest.mark.parametrize("damage", [truncate, flip, halve, without_manifest])
def test_the_one_before_a_damaged_one(tmp_path, whole, damage):  # oracle: the warning; the run that nothing ended
    with pytest.raises(Fails):
        fit(Checkpoints(tmp_path, every_steps=2), [dies_after(11)])
    newest = Store(tmp_path).names()[-1]
    damage(tmp_path / newest)
    with pytest.warns(UserWarning, match=rf"{newest} is damaged: .* The one before, epoch-\d+-batch-\d+, is tried\."):
        assert_same_run(fit(Checkpoints(tmp_path, every_steps=2)), whole)


def test_all_damaged_is_a_fresh_start(tmp_path, whole):  # oracle: the warning; the run that nothing ended
    with pytest.raises(Fails):
        fit(tmp_path, [dies_after(8)])
    first, second = Store(tmp_path).names()
    halve(tmp_path / first)
    truncate(tmp_path / second)
    with pytest.warns(UserWarning, match="is damaged") as warned:
        assert_same_run(fit(tmp_path), whole)
    said = [str(warning.message) for warning in warned]
    assert said[0].endswith(f"The one before, {first}, is tried.")
    assert said[1].startswith(f"The checkpoint {first} is damaged: ")
    assert said[1].endswith("There is none before: a fresh start.")


def full_disk(monkeypatch, *, after):
    """From some save on there is no space: part of a checkpoint is written, and then nothing."""
    real, left = store._save_arrays, [after]

    def save(place, arrays):
        real(place, arrays)
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "_save_arrays", save)


def test_a_full_disk_is_warned_of(tmp_path, monkeypatch, whole):  # oracle: the warning; what was saved stays whole
    full_disk(monkeypatch, after=2)
    with pytest.warns(UserWarning, match="A checkpoint could not be written: No space left on device. The run goes on"):
        assert_same_run(fit(tmp_path), whole)
    assert Store(tmp_path).names() == ["epoch-00000-batch-00000000", "epoch-00001-batch-00000000"]
    Store(tmp_path).check("epoch-00001-batch-00000000")
    monkeypatch.undo()
    assert_same_run(fit(tmp_path), whole)


def test_a_full_disk_stops(tmp_path, monkeypatch, whole):  # oracle: the reason; the run goes on later
    full_disk(monkeypatch, after=2)
    _, history, _ = fit(Checkpoints(tmp_path, on_error="stop", asynchronous=False))
    assert history.stopped == "A checkpoint could not be written: No space left on device"
    assert history.epoch == [0, 1]
    monkeypatch.undo()
    assert_same_run(fit(tmp_path), whole)


def test_a_full_disk_raises(tmp_path, monkeypatch):  # oracle: the message, word for word
    full_disk(monkeypatch, after=0)
    with pytest.raises(jg.GraphError) as caught:
        fit(Checkpoints(tmp_path, on_error="raise"))
    text = f"A checkpoint could not be written: No space left on device\n  where:    {tmp_path}"
    assert str(caught.value) == text
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_directory_that_cannot_be_written_to(tmp_path, monkeypatch, whole):  # oracle: the warning, and the message
    def refuse(*args):
        raise OSError(errno.EROFS, "Read-only file system")

    fit(tmp_path)
    monkeypatch.setattr(session, "Lock", refuse)
    text = f"Checkpoints cannot be written to {tmp_path}: Read-only file system"
    with pytest.warns(UserWarning, match=text):
        assert_same_run(fit(tmp_path), whole)
    for choice in ("stop", "raise"):
        with pytest.raises(jg.GraphError, match=text):
            fit(Checkpoints(tmp_path, on_error=choice))


def refused(trainer, directory, data=ARRAYS):
    with pytest.raises(jg.GraphValueError) as caught:
        trainer.fit(trainer.init(jax.random.key(0)), **data, verbose=0, resume=directory)
    return str(caught.value)


def test_another_optimizer_is_refused(tmp_path):  # oracle: the message, word for word
    one = trainer_of(classifier(), "sgd")
    one.fit(one.init(jax.random.key(0)), X, Y, verbose=0, resume=tmp_path)
    shapes = {"hidden/bias": "(8,)", "hidden/kernel": "(6, 8)", "label/bias": "(3,)", "label/kernel": "(8, 3)"}
    absent = "opt_state/inner_state/direction/nu/{}: absent in the checkpoint, {} float32 in this run"
    assert refused(trainer_of(classifier(), "rmsprop"), tmp_path).splitlines() == [
        "The checkpoint is of another run: it cannot go on here.",
        f"  where:    {tmp_path}/epoch-00001-batch-00000000",
        '  received: optimizer: "sgd" in the checkpoint, "rmsprop" in this run',
        *(" " * 12 + absent.format(*item) for item in shapes.items()),
        "  fix:      give the graph, losses, optimizer, metrics and data of that run, or resume= another directory",
    ]


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (
            lambda: trainer_of(classifier(classes=4), "sgd"),
            "params/label/bias: (3,) float32 in the checkpoint, (4,) float32",
        ),
        (
            lambda: trainer_of(classifier(dtype="bfloat16"), "sgd"),
            "params/hidden/bias: (8,) float32 in the checkpoint, ",
        ),
        (lambda: trainer_of(classifier(), "sgd", metrics=None), "sums/metrics/accuracy"),
    ],
)
def test_another_graph_is_refused(tmp_path, other, line):  # oracle: the difference that is named
    one = trainer_of(classifier(), "sgd")
    one.fit(one.init(jax.random.key(0)), X, Y, verbose=0, resume=tmp_path)
    assert line in refused(other(), tmp_path)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"loss": "categorical_hinge"}, "losses/by output/label: "),
        ({"loss_weights": 2.0}, "losses/weights"),
    ],
)
def test_another_loss_is_refused(tmp_path, options, line):  # oracle: the difference that is named
    one, given = trainer_of(classifier(), "sgd"), {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    one.fit(one.init(jax.random.key(0)), X, Y, verbose=0, resume=tmp_path)
    assert line in refused(jg.Trainer(classifier(), "sgd", **(given | options)), tmp_path)
    # A pass may have another form of the loss.
    plain = jg.Trainer(classifier(), "sgd", **given, passes=None)
    plain.fit(plain.init(jax.random.key(0)), X, Y, verbose=0, resume=tmp_path)


def test_other_data_is_refused_within_an_epoch(tmp_path):  # oracle: the differences that are named
    with pytest.raises(Fails):
        fit(Checkpoints(tmp_path, every_steps=2), [dies_after(3)])
    with pytest.raises(jg.GraphValueError) as caught:
        fit(tmp_path, data=ARRAYS | {"batch_size": 4})
    assert "data/batch_size: 8 in the checkpoint, 4 in this run" in str(caught.value)


def test_another_rule_of_one_form_is_refused(tmp_path):  # oracle: the difference that is named
    optimizers = jg.optimizers
    one = trainer_of(classifier(), optimizers.adam())
    one.fit(one.init(jax.random.key(0)), X, Y, verbose=0, resume=tmp_path)
    line = "optimizer: another rule, or other numbers in it, such as momentum or decay"
    for other in (optimizers.adamw(), optimizers.adam(beta_1=0.8)):
        assert line in refused(trainer_of(classifier(), other), tmp_path)
    # The rate is in the state, and a name says no more than the rule.
    for same in ("adam", optimizers.adam(0.5)):
        again = trainer_of(classifier(), same)
        again.fit(again.init(jax.random.key(0)), X, Y, verbose=0, resume=tmp_path)


def test_a_run_without_a_step_binds_nobody(tmp_path):  # oracle: the warning; what an error leaves
    one, other = trainer_of(classifier(), "sgd"), trainer_of(classifier(classes=4), "adam")
    data = {"x": X, "y": Y, "verbose": 0, "resume": tmp_path}
    with pytest.raises(Fails):
        one.fit(one.init(jax.random.key(0)), **data, callbacks=[dies_after(1, "on_batch_begin")])
    assert Store(tmp_path).names() == []
    one.fit(one.init(jax.random.key(0)), **data, epochs=0)
    assert Store(tmp_path).names() == ["epoch-00000-batch-00000000"]
    with pytest.warns(UserWarning, match="A run that had made no step is given up: graph"):
        other.fit(other.init(jax.random.key(0)), **data)


def test_the_best_by_what_a_number_is(tmp_path):  # oracle: the message, word for word
    trainer = trainer_of(classifier(), metrics=[jg.metrics.TruePositives(name="found")])
    with pytest.raises(jg.GraphValueError) as caught:
        trainer.fit(
            trainer.init(jax.random.key(0)), X, Y, resume=Checkpoints(tmp_path, keep_best=1, monitor="val_found")
        )
    assert str(caught.value) == dedent("""\
        Checkpoints cannot tell whether 'val_found' should rise or fall.
          received: mode='auto'
          fix:      mode='max' or mode='min'""")


def test_several_steps_in_a_call_pass_by_a_save(tmp_path):  # oracle: every 5 steps, or at the first call after
    trainer = trainer_of(classifier(), steps_per_call=4)
    trainer.fit(
        trainer.init(jax.random.key(0)), X, Y, batch_size=4, epochs=1, verbose=0,
        resume=Checkpoints(tmp_path, every_steps=5, keep_last=9),
    )  # fmt: skip
    batches = [name[-2:] for name in Store(tmp_path).names()]
    assert batches == ["00", "08", "11", "00"]


def test_a_run_on_a_mesh_goes_on(tmp_path):  # oracle: the run that nothing ended, and its layout
    mesh = jg.sharding.make_mesh(jax.devices()[:4])
    trainer = trainer_of(classifier(dropout=0.3), mesh=mesh, sharding_rules=jg.sharding.fully_sharded())
    start = trainer.init(jax.random.key(1))

    def run(resume=None, callbacks=()):
        return trainer.fit(start, X, Y, batch_size=8, epochs=2, verbose=0, resume=resume, callbacks=callbacks)

    expected, history = run()
    saved = Checkpoints(tmp_path, every_steps=2)
    with pytest.raises(Fails):
        run(saved, [dies_after(9)])
    state, again = run(saved)
    assert_same_bits(state, expected)
    assert again == history
    layouts = [jax.tree.map(lambda leaf: leaf.sharding, one.params) for one in (state, expected)]
    assert layouts[0] == layouts[1]
    assert not state.params["hidden"]["kernel"].sharding.is_fully_replicated


def test_names_sort_by_number(tmp_path):  # oracle: by hand
    for name in ("epoch-100000-batch-00000000", "epoch-99999-batch-00000002", "epoch-99999-batch-00000010", "epochs"):
        (tmp_path / name).mkdir()
    (tmp_path / "epoch-100001-batch-00000000").write_text("a file")
    assert [name[6:-6] for name in Store(tmp_path).names()] == ["99999-batch-00", "99999-batch-00", "100000-batch-00"]


def test_two_runs_in_one_directory(tmp_path):  # oracle: the message, word for word; the first run's end
    texts = []

    def second(run):
        with pytest.raises(jg.GraphValueError) as caught:
            fit(tmp_path)
        texts.append(str(caught.value))

    fit(tmp_path, [LambdaCallback(on_epoch_end=second)], epochs=1)
    host = os.uname().nodename
    assert texts == [
        dedent(f"""\
        Another run saves its checkpoints in this directory.
          where:    {tmp_path}
          received: in use by process {os.getpid()} on {host}
          fix:      wait for it to end, or give this run a directory of its own: fit(..., resume=...)""")
    ]
    Store(tmp_path).check("epoch-00001-batch-00000000")


def test_what_stays(tmp_path):  # oracle: the policy
    saved = Checkpoints(tmp_path, keep_last=1, keep_best=1, keep_every=2, monitor="loss", mode="max")
    _, history, _ = fit(saved, epochs=4)
    best = int(np.argmax(history.history["loss"])) + 1
    assert Store(tmp_path).names() == [
        f"epoch-{epoch:05d}-batch-00000000" for epoch in sorted({best, 2, len(history.epoch)})
    ]


def test_a_callback_that_is_gone_is_told(tmp_path):  # oracle: the warning
    fit(tmp_path, epochs=1)
    with pytest.warns(UserWarning, match="the memory of EarlyStopping, ReduceLROnPlateau, and this run has no such"):
        TRAINER.fit(START, **ARRAYS, epochs=1, verbose=0, resume=tmp_path)


ERRORS = [
    (
        {"directory": 3},
        "`resume` is a directory, or jg.Checkpoints(directory, ...).\n"
        '  received: 3\n  fix:      fit(..., resume="runs/first")',
    ),
    ({"keep_last": 0}, "`keep_last` of Checkpoints does not fit.\n  received: 0\n  expected: a whole number from 1"),
    (
        {"every_steps": 1.5},
        "`every_steps` of Checkpoints does not fit.\n  received: 1.5\n  expected: a whole number from 1 or None",
    ),
    ({"mode": "up"}, "`mode` of Checkpoints is not known.\n  received: 'up'\n  expected: 'auto' or 'min' or 'max'"),
]


@pytest.mark.parametrize(("given", "text"), ERRORS)
def test_errors(given, text):  # oracle: the message, word for word
    with pytest.raises(jg.GraphError) as caught:
        Checkpoints(**({"directory": "runs"} | given))
    assert str(caught.value) == text
