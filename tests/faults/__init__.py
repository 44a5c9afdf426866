"""Faults of every kind, seeded and counted: a quick part in `make test`, the whole in `make test-faults`."""
