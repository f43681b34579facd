"""Images and labels on disk, a file per format, and the embedded sample."""

from xpnet.datasets.read import read, stream
from xpnet.datasets.sample import sample

__all__ = ["read", "sample", "stream"]
