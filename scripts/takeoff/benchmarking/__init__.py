"""The benchmark: this engine against plain loops, start-up costs, and the cost of many runs, on the machine at hand."""
