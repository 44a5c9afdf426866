"""Whole runs on a GPU where there is none: scores, probes, checkpoints and kept weights, in torch's fake tensors.

python tests/unit/gpu_runs.py

Each run is killed behind its first epoch, and goes on from its checkpoint to its end. A line for each network and way,
of each half: what the host waits for, where the training's tensors lie as an epoch ends, and on which devices a
checkpoint and the kept weights say that theirs lay. Then of one network, where something was done wrong. Left out are
numbers: what the host reads is a half, what a checkpoint keeps are zeros, in a file of the right size.
"""

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO
from unittest.mock import patch

import numpy as np
import torch
from gpu_steps import GPU, IMAGES, NETWORKS, SIDE, WAYS, WORDS, Watch, arm_of, built, moved, noise, pretend
from takeoff.engine import evaluation, probes, state
from takeoff.engine.dataset import Dataset
from takeoff.engine.state import Epoch, Training
from takeoff.jobs import weights
from takeoff.jobs.checkpoints import Checkpoints
from takeoff.jobs.running import train
from takeoff.jobs.ways import Way
from takeoff.study.arms import Arm, Run
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._pytree import tree_leaves, tree_map

TRIED = dict(zip(WORDS[:2], NETWORKS[:2], strict=True))
"""One with norm and dropout, one with neither."""
FAULTY = NETWORKS[WORDS.index("plain with norm")]
RECIPE = {"epochs": 2, "epoch_images": 64, "keep": "best"}
"""An epoch is half of a pass, whose rest a checkpoint keeps, as it does the best epoch's weights."""
Found = dict[str, Any]


def main() -> None:
    """Try two networks in every way, and each fault in one."""
    images = noise(IMAGES, SIDE, 3)
    pretend()
    # Of what is right, or wrong, with a score.
    torch.Tensor.numpy = lambda own: np.zeros(own.shape, (own.dtype.is_floating_point and np.float32) or bool)
    evaluation.BATCH["cuda"] = 64  # the training images are three batches
    for words, levels in TRIED.items():
        for way in WAYS:
            print(words, way.name, json.dumps(killed(images, arm_of(levels), way)), sep="\t")
    for name, fault in FAULTS.items():
        with fault():
            print(name, WAYS[1].name, json.dumps(killed(images, arm_of(FAULTY), WAYS[1])), sep="\t")


def killed(images: Dataset, arm: Arm, way: Way) -> dict[str, Found]:
    """What is to be found before a group of runs is killed, and behind that."""
    arm = arm.model_copy(update={"probed": True, "recipe": arm.recipe.model_copy(update=RECIPE)})
    with FakeTensorMode() as fake, tempfile.TemporaryDirectory() as folder:
        state.build = partial(built, fake)
        there = moved(images, fake)
        with patch("torch.save", saved), patch("torch.load", partial(loaded, fake, torch.load)):
            found = {}
            for half, last in (("begun", 1), ("resumed", None)):
                found[half] = trained(there, arm, way, Path(folder), last)
    return found


def trained(images: Dataset, arm: Arm, way: Way, folder: Path, last: int | None) -> Found:
    """Train to the end, or until every run has ended the epoch `last`."""
    found: Found = {"seen": {}, "scored": 0, "ended": 0, "probed": 0, "tensors": {}}
    written: dict[str, list[str]] = defaultdict(list)

    def ended(training: Training, record: object) -> None:
        weights.keep_if_best(folder / "weights.safetensors", training, "key", 0.5)

    def keep(tensors: dict[str, Tensor], path: Path, words: dict[str, str]) -> None:
        written["weights"] += [str(own.device) for own in tensors.values()]
        path.touch()

    def look(trainings: list[Training]) -> None:
        for own in trainings:
            parts = {"model": own.model.state_dict(), "momenta": own.descent.momenta, "ahead": own.ahead}
            for part, tensors in parts.items():
                found["tensors"][part] = devices(tensors)

    checkpoints = Checkpoints(folder, 0.0, lambda run: str(run.seed))
    runs = [Run(seed, 0.05) for seed in range(way.at_once)]
    with Watch() as watch, patch.object(weights, "save_file", keep):
        try:
            for record in train(images, arm, runs, GPU, checkpoints, way, refuse, look, ended):
                scored = isinstance(record, Epoch)
                found["scored" if scored else "ended"] += 1
                found["probed"] += 0 if scored else len(record.probe)
                if scored and record.values["epoch"] == last and record.run == runs[-1]:
                    break
        except (RuntimeError, AssertionError, TypeError) as error:
            found["error"] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    # How a network comes to this GPU is this script's own.
    found["seen"] = {what: times for what, times in sorted(watch.seen.items()) if "__post_init__" not in what}
    with unset_fake_temporarily():
        files = sorted(folder.glob("*.checkpoint"))
    found["files"] = [path.stat().st_size for path in files]
    found["written"] = {part: sorted(set(own)) for part, own in (written | SAVED).items()}
    SAVED.clear()
    return found


def refuse(line: str) -> None:
    """A job would go on another way; here is none to be left out."""
    raise AssertionError(line)


def devices(tensors: object) -> list[str]:
    """Where tensors lie."""
    return sorted({str(own.device) for own in tree_leaves(tensors) if isinstance(own, Tensor)})


SAVED: dict[str, list[str]] = {}
"""Where what went into checkpoints lay, by its key there."""
_save = torch.save


def saved(content: dict[str, Any], file: BinaryIO) -> None:
    """Save zeros in memory of the same size, shared by the same tensors, and say of it that it lies where theirs does,
    as a GPU's does.
    """
    memory: dict[int, torch.UntypedStorage] = {}
    places: dict[int, str] = {}

    def real(own: object) -> object:
        if not isinstance(own, FakeTensor):
            return own
        theirs = own.untyped_storage()
        if theirs._cdata not in memory:
            memory[theirs._cdata] = torch.UntypedStorage(theirs.nbytes()).fill_(0)
        places[memory[theirs._cdata]._cdata] = str(own.device)
        whole = torch.empty(0, dtype=own.dtype)
        return whole.set_(memory[theirs._cdata], own.storage_offset(), own.shape, own.stride())

    for key, part in content.items():
        if there := devices(part):
            SAVED[key] = sorted({*SAVED.get(key, []), *there})
    with unset_fake_temporarily():
        copied = tree_map(real, content)
        with patch("torch.serialization.location_tag", lambda own: places.get(own._cdata, "cpu")):
            _save(copied, file)


def loaded(fake: FakeTensorMode, load: Callable, file: BinaryIO, **how: object) -> dict[str, Any]:
    """What torch itself loads, which has no GPU to put it on; streams stay what they are."""
    with unset_fake_temporarily():
        content = load(file, **how)
    streams = content.pop("streams")
    faked = tree_map(lambda own: fake.from_tensor(own) if isinstance(own, Tensor) else own, content)
    return faked | {"streams": streams}


@contextmanager
def _reads_each_batch() -> Iterator[None]:
    """Of a score."""
    usual = evaluation.functional

    def cross_entropy(*arguments: object, **how: object) -> Tensor:
        loss = usual.cross_entropy(*arguments, **how)
        return loss * float(loss)

    with patch.object(evaluation, "functional", SimpleNamespace(cross_entropy=cross_entropy)):
        yield


@contextmanager
def _probes_from_the_host() -> Iterator[None]:
    """With the labels of images that a probe would have there."""
    usual = probes.functional

    def cross_entropy(logits: Tensor, labels: Tensor, **how: object) -> Tensor:
        return usual.cross_entropy(logits, labels.cpu(), **how)

    with patch.object(probes, "functional", SimpleNamespace(cross_entropy=cross_entropy)):
        yield


@contextmanager
def _leaves_on_the_host() -> Iterator[None]:
    """What a checkpoint kept of a pass."""
    usual = Training.load_state

    def load_state(own: Training, kept: dict[str, Any]) -> None:
        usual(own, kept)
        own.ahead = kept["ahead"]

    with patch.object(Training, "load_state", load_state):
        yield


@contextmanager
def _loads_onto_the_gpu() -> Iterator[None]:
    """A checkpoint, streams and all, whatever GPU it was written on."""
    usual = torch.load

    def load(file: BinaryIO, **how: object) -> object:
        return usual(file, **how | {"map_location": None})

    with patch("torch.load", load):
        yield


@contextmanager
def _saves_views() -> Iterator[None]:
    """Of the memory that fused runs share, with all of it."""
    with patch.object(Training, "_weights", lambda own: dict(own.model.state_dict())):
        yield


FAULTS = {
    "a score reads each batch": _reads_each_batch,
    "a probe mixes": _probes_from_the_host,
    "a checkpoint's rest stays": _leaves_on_the_host,
    "a checkpoint loads to where it was": _loads_onto_the_gpu,
    "a checkpoint keeps views": _saves_views,
}

if __name__ == "__main__":
    main()
