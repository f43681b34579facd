"""Networks as frozen data, and their forward pass."""
