"""What a program of one's own can do while a model trains, at the moments that Keras names."""

from typing import TYPE_CHECKING

from fastnn.when_used import names_when_used

from .actions import LambdaCallback, LearningRateScheduler, ProgbarLogger, TerminateOnNaN
from .base import KIND, Callback, CallbackList, Logs, deserialize, get, serialize
from .history import History

if TYPE_CHECKING:
    from .averages import *
    from .checkpoints import *
    from .logging import *
    from .monitor import *
else:
    __getattr__, __dir__, __all__ = names_when_used(
        globals(),
        {
            "averages": "SwapEMAWeights",
            "checkpoints": "BackupAndRestore ModelCheckpoint",
            "logging": "CSVLogger TensorBoard",
            "monitor": "EarlyStopping ReduceLROnPlateau",
        },
        KIND,
    )
