import jax
import numpy as np

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.core import Dense
from jaxgraphs.symbolic.node import Input
from jaxgraphs.training.callbacks import Callback
from jaxgraphs.training.trainer import Trainer


class ActivationLogger(Callback):
    """The chapter's example, as in the docs of the base module."""

    def on_train_begin(self, run):
        names = [run.graph.layer_name(layer) for layer in run.graph.layers]
        self.layers, self.stored = run.graph.subgraph({name: name for name in names}), []

    def on_epoch_end(self, run):
        inputs = jax.tree.map(lambda column: column[:1], run.validation[0])
        self.stored.append(jax.device_get(self.layers.apply(run.state.variables, inputs)))


def test_activation_logger():  # oracle: the layers computed by hand with the epoch's weights
    x = Input((2,), name="x")
    graph = Graph(x, Dense(1, name="out")(Dense(3, name="hidden", activation="tanh")(x)))
    trainer = Trainer(graph, optimizer="sgd", loss="mse")
    draw = np.random.default_rng(0)
    data = draw.normal(size=(16, 2)).astype(np.float32), draw.normal(size=(16, 1)).astype(np.float32)
    kept = []

    class Keep(Callback):
        def on_epoch_end(self, run):
            kept.append(jax.device_get(run.state.params))

    logger = ActivationLogger()
    trainer.fit(
        trainer.init(jax.random.key(0)), *data, epochs=3, verbose=0, validation_data=data, callbacks=[logger, Keep()]
    )
    assert len(logger.stored) == 3
    for stored, params in zip(logger.stored, kept, strict=True):
        hidden = np.tanh(data[0][:1] @ params["hidden"]["kernel"] + params["hidden"]["bias"])
        np.testing.assert_allclose(stored["hidden"], hidden, atol=1e-6)
        np.testing.assert_allclose(stored["out"], hidden @ params["out"]["kernel"] + params["out"]["bias"], atol=1e-6)
    assert not np.allclose(logger.stored[0]["out"], logger.stored[2]["out"])
