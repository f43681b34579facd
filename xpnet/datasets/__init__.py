"""Images and labels on disk, a file per format, and the embedded sample."""

from xpnet.datasets.read import read, read_with, sample, stream, stream_with

__all__ = ["read", "read_with", "sample", "stream", "stream_with"]
