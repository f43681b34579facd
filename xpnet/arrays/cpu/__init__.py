"""Support for NumPy on a CPU: BLAS threads, blocked matrix products, memory."""
