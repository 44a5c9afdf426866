"""From what was measured, and the claims' criteria, to verdicts."""
