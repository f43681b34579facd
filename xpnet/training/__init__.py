"""Training: gradients, optimizers, the training loop."""
