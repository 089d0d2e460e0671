"""What runs beside training: callbacks read an event and return an action."""

from jaxgraphs.training.callbacks.base import Action, Callback, NewState, Run, Stop
from jaxgraphs.training.callbacks.progress import ProgressBar

__all__ = ["Action", "Callback", "NewState", "ProgressBar", "Run", "Stop"]
