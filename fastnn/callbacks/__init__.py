"""What a program of one's own can do while a model trains, at the moments that Keras names."""

from .actions import LambdaCallback, LearningRateScheduler, ProgbarLogger, TerminateOnNaN
from .averages import SwapEMAWeights
from .base import KIND, Callback, CallbackList, Logs, deserialize, get, serialize
from .checkpoints import BackupAndRestore, ModelCheckpoint
from .history import History
from .logging import CSVLogger, TensorBoard
from .monitor import EarlyStopping, ReduceLROnPlateau

__all__ = [
    "KIND",
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "Logs",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "deserialize",
    "get",
    "serialize",
]
