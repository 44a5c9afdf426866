"""Exactly what a network's number depends on: layers, network, step, schedule, images, scoring, choice of the rate."""
