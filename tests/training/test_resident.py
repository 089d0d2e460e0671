"""Data kept on the device: the batches that the host gives, with nothing sent but orders and places."""

import jax
import numpy as np
import pytest

from jaxgraphs.training import resident
from jaxgraphs.training.callbacks.lambda_callback import LambdaCallback
from jaxgraphs.training.feeding import arrays_of, order_of
from jaxgraphs.training.feeds import ArrayFeed
from jaxgraphs.training.resident import Resident, kept
from jaxgraphs.training.sharding import make_layout, make_mesh
from tests.training.runs import assert_same_bits, classifier, rows, trainer_of, two_outputs

X, Y = rows(22)


@pytest.mark.parametrize("size", [22, 11, 8])
@pytest.mark.parametrize("can_pad", [True, False])
@pytest.mark.parametrize("first", [0, 1])
def test_the_batches_are_those_of_the_host(size, can_pad, first):  # oracle: Arrays.batches, to the bit
    ages = {"age": np.arange(22.0), "gender": None}
    data = arrays_of(two_outputs(), [X[:, :4], X[:, 4:]], ages, {"age": np.ones(22)})
    on_device = kept(data, None)
    assert isinstance(on_device, Resident)
    for order in (None, order_of(jax.random.key(0), 1, 22)):
        options = {"can_pad": can_pad, "first": first}
        expected, actual = list(data.batches(size, order, **options)), list(on_device.batches(size, order, **options))
        assert_same_bits(actual, expected)


def test_data_that_is_large_stays(monkeypatch):  # oracle: its size
    data = arrays_of(classifier(), X, Y)
    total = sum(column.nbytes for column in (*data.inputs, *data.targets))
    monkeypatch.setattr(resident, "SMALL", total - 1)
    assert kept(data, None) is data
    monkeypatch.setattr(resident, "SMALL", total)
    assert isinstance(kept(data, None), Resident)


def test_a_mesh_has_it_on_each_device():  # oracle: the shardings
    mesh = make_mesh(jax.devices()[:2])
    columns = kept(arrays_of(classifier(), X, Y), make_layout(mesh, None, {})).columns
    assert all(column.sharding.is_fully_replicated for column in columns if column is not None)
    assert all(len(column.sharding.device_set) == 2 for column in columns if column is not None)


@pytest.mark.parametrize("mesh", [False, True])
def test_training_on_it_changes_no_bit(monkeypatch, tmp_path, mesh):  # oracle: training on data that is not kept
    options = {"mesh": make_mesh(jax.devices()[:2])} if mesh else {}
    trainer, data = trainer_of(classifier(dropout=0.2), "sgd", **options), {"y": Y, "epochs": 2, "verbose": 0}
    np.save(tmp_path / "x.npy", X)
    on_disk = np.load(tmp_path / "x.npy", mmap_mode="r")

    def fit(x, **options):
        return trainer.fit(trainer.init(jax.random.key(0)), x, batch_size=8, validation_split=0.2, **data, **options)

    on_device = fit(X)
    monkeypatch.setattr(resident, "SMALL", 0)
    for x, prefetch in ((X, 0), (X, 2), (on_disk, 2)):
        state, history = fit(x, prefetch=prefetch)
        assert_same_bits(state, on_device[0])
        assert history == on_device[1]


def test_on_a_cpu_a_thread_reads_what_is_on_disk_alone(monkeypatch, tmp_path):  # oracle: by hand
    np.save(tmp_path / "x.npy", X)
    on_disk = np.load(tmp_path / "x.npy", mmap_mode="r")

    def is_ahead(x, backend):
        monkeypatch.setattr(jax, "default_backend", lambda: backend)
        return ArrayFeed(arrays_of(classifier(), x, Y), 8, shuffle=True, limit=None, can_pad=True).can_be_ahead

    assert [is_ahead(x, backend) for x in (X, on_disk) for backend in ("cpu", "gpu")] == [False, True, True, True]


def test_nothing_is_sent_unasked():  # oracle: the guard of JAX
    data = kept(arrays_of(classifier(), X, Y), None)
    list(data.batches(8))
    with jax.transfer_guard("disallow"):
        for batch in data.batches(8, np.arange(22)[::-1]):
            assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(batch))


@pytest.mark.parametrize(("prefetch", "kind"), [(0, np.ndarray), (2, jax.Array)])
def test_what_a_thread_reads_is_on_the_device_with_its_targets(prefetch, kind):  # oracle: the arrays' types
    seen = []

    see = LambdaCallback(on_batch_begin=lambda run: seen.extend(jax.tree.leaves(run.data)))
    trainer = trainer_of(classifier(), "sgd")
    batches = [(X[:8], Y[:8]), (X[8:16], Y[8:16])]
    trainer.fit(trainer.init(jax.random.key(0)), batches, verbose=0, prefetch=prefetch, callbacks=[see])
    assert len(seen) == 4
    assert all(isinstance(leaf, kind) for leaf in seen)
