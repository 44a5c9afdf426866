"""The study: one typed file, its arms and its runs."""
