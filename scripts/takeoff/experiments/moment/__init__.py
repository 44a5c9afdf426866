"""The 2012 ImageNet moment: the network against the best hand-made pipeline."""
