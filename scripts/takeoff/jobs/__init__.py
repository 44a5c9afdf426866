"""Around the engine: run files, checkpoints, devices, memory, ways of running; none of it changes a number."""
