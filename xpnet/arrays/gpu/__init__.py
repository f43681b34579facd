"""Support for CuPy on a CUDA GPU: diagnosis, facts and errors."""
