"""Windrow: clusters streams of web pages into lasting, labelled clusters, in one pass.

``Clusterer`` learns and assigns pandas, Polars and Arrow tables. ``Preparer``, ``Prepared`` and ``Model`` are its parts, for whoever
prepares in many places and learns in one; ``windrow.spark`` is made of them.
"""

from windrow._clusterer import Clusterer
from windrow._errors import DataError, Error, FencedError, InvalidError, MachineError
from windrow._windrow import Batch, Model, Prepared, Preparer, __version__

__all__ = [
    "Batch",
    "Clusterer",
    "DataError",
    "Error",
    "FencedError",
    "InvalidError",
    "MachineError",
    "Model",
    "Prepared",
    "Preparer",
    "__version__",
]
