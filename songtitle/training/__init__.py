"""Training: a loop on one process or many, its losses, and checkpoints that a kill cannot break."""
