"""Whether this machine trains right, and how fast: gradients, ways of training, plain loops beside the engine."""
