"""The weights of an arm's best network: of its final runs the one that is most accurate on its validation images."""

import json
from collections.abc import Collection
from pathlib import Path

import torch
from safetensors.torch import save_file

from takeoff.common.files import atomic_path
from takeoff.engine.state import Training
from takeoff.study.weights import described


def keep_if_best(path: Path, training: Training, key: str, accuracy: float) -> None:
    """Write the weights of `training`, whose run ended with this `accuracy` on its validation images, unless those of
    a run that is better are there; of two as good the one with the lower seed stays.
    """
    seed = training.run.seed
    kept = described(path)
    if kept and (accuracy, -seed) <= (float(kept["validation_accuracy"]), -int(kept["seed"])):
        return
    data = training.data
    words = {
        "run_key": key,
        "seed": str(seed),
        "validation_accuracy": repr(accuracy),
        "network": training.arm.network.model_dump_json(),
        "shape": json.dumps(data.shape),
        "torch": torch.__version__.partition("+")[0],
    }
    tensors = dict(training.model.state_dict()) | {"scale": data.scale, "shift": data.shift}
    with atomic_path(path) as temporary:
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, temporary, words)


def forget_others(path: Path, keys: Collection[str]) -> None:
    """Remove weights that are of none of the runs with these `keys`: the arm was another one then."""
    kept = described(path)
    if kept and kept["run_key"] not in keys:
        path.unlink()
