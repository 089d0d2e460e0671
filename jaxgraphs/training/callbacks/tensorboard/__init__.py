"""What TensorBoard shows of a run, written without TensorFlow."""

from jaxgraphs.training.callbacks.tensorboard.callback import TensorBoard

__all__ = ["TensorBoard"]
