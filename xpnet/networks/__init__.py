"""Networks: parameters as plain, frozen data, and the forward pass."""
