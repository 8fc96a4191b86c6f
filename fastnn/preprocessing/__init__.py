"""Data made ready: cleaned, scaled, encoded, by steps that are fitted on training rows only."""

from .base import Step, deserialize, get, serialize
from .clean import Clean, clean
from .encode import Labels, OneHot
from .scale import MinMax, Standardize
from .table import Pipeline, Table

__all__ = [
    "Clean",
    "Labels",
    "MinMax",
    "OneHot",
    "Pipeline",
    "Standardize",
    "Step",
    "Table",
    "clean",
    "deserialize",
    "get",
    "serialize",
]
