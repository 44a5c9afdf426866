"""Data: the catalogue, fetching, preparing, and splits."""
