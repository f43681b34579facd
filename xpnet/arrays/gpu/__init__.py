"""Support for CuPy on a CUDA GPU: diagnosis, streams and pinned memory, fused kernels."""
