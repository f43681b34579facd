"""Images and labels on disk, a file per format, and the embedded sample."""

from xpnet.datasets.read import read, sample, stream

__all__ = ["read", "sample", "stream"]
