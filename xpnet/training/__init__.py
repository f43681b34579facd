"""Training: gradients, optimizers, the training loop and its checkpoints."""
