"""Learning: the backward pass, optimizers, and the loop around them."""
