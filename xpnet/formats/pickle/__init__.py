"""The book's pickle: a dictionary of NumPy arrays, read without unpickling anything."""

from xpnet.formats.pickle.reading import read
from xpnet.formats.pickle.values import TORCH_HINT

__all__ = ["TORCH_HINT", "read"]
