"""Models in files, and how objects are written down and made again, by Keras's names."""

from typing import TYPE_CHECKING

from fastnn.registry import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from fastnn.registry import deserialize as deserialize_keras_object
from fastnn.registry import serialize as serialize_keras_object
from fastnn.when_used import names_when_used

CustomObjectScope = custom_object_scope

if TYPE_CHECKING:
    from .models import load_model, load_weights, save_model, save_weights
else:
    __getattr__, __dir__, __all__ = names_when_used(
        globals(), {"models": "load_model load_weights save_model save_weights"}
    )
