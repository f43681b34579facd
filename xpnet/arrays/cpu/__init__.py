"""Support for NumPy on a CPU: threads, memory, the name of the processor."""
