"""Keras 3: models in memory, ``.keras`` files, and HDF5 files of weights.

`models` and `reading` find the configuration and the arrays, `layers` makes the network of both.
Keras itself is never imported.
"""

from xpnet.formats.keras.models import from_keras
from xpnet.formats.keras.reading import read, read_headers

__all__ = ["from_keras", "read", "read_headers"]
