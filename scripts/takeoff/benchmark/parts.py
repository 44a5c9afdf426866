"""The parts of the benchmark, each a table of its name, without torch."""

PARTS = ("numbers", "throughput", "arms", "bounds", "convolutions", "kernels", "memory", "compiled")
"""In turn: the last two may leave a GPU's memory, or torch's generators, as nobody wants them."""
OF_A_GPU = frozenset({"convolutions", "kernels", "memory", "compiled"})
"""Those that a CPU has no answer to."""
OF_A_STUDY = "arms"
"""That which needs a study and its images."""
