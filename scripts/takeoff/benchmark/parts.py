"""The parts of the benchmark, each a table of its name, without torch."""

PARTS = ("numbers", "throughput", "arms", "memory", "bounds", "convolutions", "kernels")
"""In turn."""
OF_A_GPU = frozenset({"memory", "convolutions", "kernels"})
"""Those that a CPU has no answer to."""
OF_A_STUDY = "arms"
"""That which needs a study and its images."""
