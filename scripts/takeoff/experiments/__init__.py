"""The experiments: arms, analysis, figures and claims of each."""
