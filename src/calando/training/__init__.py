"""Training: the loop, its state, evaluation and checkpoints."""
