"""Data: the catalogue, fetching and preparing, and the batches a device trains on."""
