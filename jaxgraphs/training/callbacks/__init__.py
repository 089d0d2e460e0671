"""What runs beside training: callbacks read an event and return an action."""

from jaxgraphs.training.callbacks.base import Action, Callback, NewState, Run, Stop
from jaxgraphs.training.callbacks.csv_logger import CSVLogger
from jaxgraphs.training.callbacks.early_stopping import EarlyStopping
from jaxgraphs.training.callbacks.lambda_callback import LambdaCallback
from jaxgraphs.training.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from jaxgraphs.training.callbacks.model_checkpoint import ModelCheckpoint
from jaxgraphs.training.callbacks.progress import ProgressBar
from jaxgraphs.training.callbacks.tensorboard import TensorBoard
from jaxgraphs.training.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "Action",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "NewState",
    "ProgressBar",
    "ReduceLROnPlateau",
    "Run",
    "Stop",
    "TensorBoard",
    "TerminateOnNaN",
]
