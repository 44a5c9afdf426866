"""The commands that make tables of any runs: their arguments, and what they do."""
