"""Weights that were kept of an arm's best network, and what their file says of itself."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

FILE = "weights.safetensors"
"""In an arm's folder. Beside the network's own tensors it has `scale` and `shift`, which images are normalised with."""


def described(path: Path) -> dict[str, str] | None:
    """Of whose run weights are (`run_key`, `seed`, `validation_accuracy`), and how to build the network (`network`,
    `shape`, `torch`); None where there are none, or damaged ones: no result depends on them.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata())
    except (OSError, SafetensorError, TypeError):
        return None
