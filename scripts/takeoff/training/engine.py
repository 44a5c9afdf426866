"""Training: given the data, an arm and a list of runs, a record per run and epoch, and one at each run's end."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from takeoff.models import architecture
from takeoff.models.network import SeededDropout, build, weighted_layers
from takeoff.models.streams import stream
from takeoff.study.arms import Arm, Run
from takeoff.training.checkpoints import Checkpoints
from takeoff.training.evaluation import Score, evaluate
from takeoff.training.hardware import Hardware
from takeoff.training.probes import probe
from takeoff.training.resident import Resident
from takeoff.training.schedule import learning_rate_at

EXPLODED = 10
"""A run whose training loss ends above this multiple of ln(classes), the loss of guessing, has diverged."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch of one run left behind; epoch 0 is before training."""

    run: Run
    values: dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """What a run ended with."""

    run: Run
    values: dict[str, Any]
    probe: list[dict[str, Any]] = field(default_factory=list)
    """Of a probed arm: a row per moment and layer."""


Record = Epoch | Finished
Way = Callable[[Resident, Arm, Iterable[Run], Hardware, Checkpoints], Iterator[Record]]
"""A way of training runs of one arm; every way gives the same records within rounding."""


def one_after_another(
    data: Resident, arm: Arm, runs: Iterable[Run], hardware: Hardware, checkpoints: Checkpoints
) -> Iterator[Record]:
    """Train the runs one by one.

    Args:
        data: the images, on the hardware's device.
        arm: the network, recipe and training-set size that the runs share.
        runs: their seeds and rates.
        hardware: device and precision.
        checkpoints: where long runs keep their state, and go on from it.

    Yields:
        An `Epoch` per run and epoch, in order, and a `Finished` at each run's end.

    """
    for run in runs:
        yield from _Training(data, arm, run, hardware).records(checkpoints)


@dataclass
class _Training:
    """One run: its network, its optimiser, its streams, and how far it has come."""

    data: Resident
    arm: Arm
    run: Run
    hardware: Hardware
    epoch: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    probe: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    """Of a recipe that keeps the best epoch: its number, and its weights."""

    def __post_init__(self) -> None:
        data, arm, seed, device = self.data, self.arm, self.run.seed, self.hardware.device
        chosen = data.split(arm.train_samples, seed)
        self.training, self.validation = (torch.from_numpy(indices).to(device) for indices in chosen)
        self.model = build(arm.network, data.resolution, data.channels, data.classes, seed, device)
        layers = architecture.layers(arm.network, data.resolution, data.channels, data.classes)
        self.flops_per_image = architecture.training_flops(layers)
        self.optimiser = _optimiser(self.model, self.run.learning_rate, arm)
        self.order = stream(seed, "order", device)
        self.crops = stream(seed, "crops", device)
        self.colours = stream(seed, "colours", device)
        self.batch_size = min(arm.recipe.batch_size, len(self.training))
        self.steps_per_pass = len(self.training) // self.batch_size
        images = arm.recipe.epoch_images
        # Sets of all sizes make as many steps, even one too small to fill a batch.
        self.steps_per_epoch = (
            self.steps_per_pass if images is None else max(1, images // arm.recipe.batch_size)
        )
        self.drawn = [weights.clone() for weights in weighted_layers(self.model)] if arm.probed else []

    def records(self, checkpoints: Checkpoints) -> Iterator[Record]:
        """Train from the start, or from the last checkpoint, to the end."""
        checkpoints.restore(self)
        if not self.history:
            self._remember(batch_loss=math.nan)
            self._probe("start")
        yield from (Epoch(self.run, values) for values in self.history)
        while self.epoch < self.arm.recipe.epochs and self._finite():
            began = time.perf_counter()
            batch_loss = self._train_epoch()
            self.seconds += time.perf_counter() - began
            self.epoch += 1
            self._remember(batch_loss)
            checkpoints.keep(self)
            yield Epoch(self.run, self.history[-1])
        self._probe("end")
        yield Finished(self.run, self._result(), self.probe)
        checkpoints.discard(self.run)

    def state(self) -> dict[str, Any]:
        """Weights, momenta, streams and scores: all that the rest of the run depends on."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "streams": [generator.get_state() for generator in self._streams()],
            "epoch": self.epoch,
            "seconds": self.seconds,
            "history": self.history,
            "probe": self.probe,
            "best": self.best,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        for generator, kept in zip(self._streams(), state["streams"], strict=True):
            generator.set_state(kept)
        self.epoch, self.seconds, self.history = state["epoch"], state["seconds"], state["history"]
        self.probe, self.best = state["probe"], state["best"]

    def _streams(self) -> list[torch.Generator]:
        masks = [m.generator for m in self.model if isinstance(m, SeededDropout)]
        return [self.order, self.crops, self.colours, *masks]

    def _train_epoch(self) -> float:
        """The mean loss of an epoch's batches. The host waits once, at its end."""
        recipe = self.arm.recipe
        self.model.train()
        total = torch.zeros((), device=self.hardware.device)
        for step in range(self.steps_per_epoch):
            place = step % self.steps_per_pass
            if place == 0:
                order = torch.randperm(len(self.training), generator=self.order, device=self.hardware.device)
            rate = learning_rate_at(
                self.epoch * self.steps_per_epoch + step, self.steps_per_epoch, self.run.learning_rate, recipe
            )
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            chosen = self.training[order[place * self.batch_size : (place + 1) * self.batch_size]]
            total += self._step(*self.data.batch(chosen, recipe.augmentation, self.crops, self.colours))
        return float(total) / self.steps_per_epoch

    def _step(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """One step of gradient descent; the batch's loss, on the device."""
        with torch.autocast(self.hardware.device.type, torch.bfloat16, enabled=self.hardware.half):
            loss = functional.cross_entropy(self.model(pixels).float(), labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def _remember(self, batch_loss: float) -> None:
        """Add the epoch's scores to the history: on the validation images, and on as many training images."""
        train = self._score(self.training[: len(self.validation)])
        validation = self._score(self.validation)
        step = self.epoch * self.steps_per_epoch
        rate = learning_rate_at(
            max(0, step - 1), self.steps_per_epoch, self.run.learning_rate, self.arm.recipe
        )
        self.history.append(
            {
                "epoch": self.epoch,
                "step": step,
                "learning_rate": rate,
                "batch_loss": batch_loss,
                "train_loss": train.loss,
                "train_accuracy": train.accuracy,
                "validation_loss": validation.loss,
                "validation_accuracy": validation.accuracy,
                "seconds": self.seconds,
            }
        )

        if self.arm.recipe.keep == "best" and validation.accuracy > self.best.get("accuracy", -1.0):
            weights = {key: value.clone() for key, value in self.model.state_dict().items()}
            self.best = {"accuracy": validation.accuracy, "epoch": self.epoch, "weights": weights}

    def _probe(self, moment: str) -> None:
        """Look at every layer, of an arm for which that is asked."""
        if self.arm.probed and self._finite():
            rows = probe(self.model, self.data, self.training, self.drawn, trained=moment == "end")
            self.probe += [{"moment": moment} | row for row in rows]

    def _score(self, indices: Tensor) -> Score:
        images, labels = self.data.images.index_select(0, indices), self.data.labels.index_select(0, indices)
        return self._or_chance(evaluate(self.model, self.data, images, labels, self.hardware))

    def _test(self) -> Score:
        images, labels = self.data.test_images, self.data.test_labels
        return self._or_chance(evaluate(self.model, self.data, images, labels, self.hardware))

    def _or_chance(self, score: Score) -> Score:
        """A network whose logits are no numbers does no better than guessing, whatever class comes first."""
        if math.isfinite(score.loss):
            return score
        first, five = 1 / self.data.classes, min(5, self.data.classes) / self.data.classes
        return replace(score, loss=math.nan, accuracy=first, top5_accuracy=five)

    def _finite(self) -> bool:
        """Whether the weights can still learn: the last scores are numbers."""
        return math.isfinite(self.history[-1]["train_loss"]) and math.isfinite(
            self.history[-1]["validation_loss"]
        )

    def _result(self) -> dict[str, Any]:
        """The run's row: scores on all its training and validation images and, in a final run, on the test's."""
        last = self.history[-1]
        numbers, ended = self._finite(), self.epoch
        if self.best:
            ended = self.best["epoch"]
            self.model.load_state_dict(self.best["weights"])
        chosen = self.history[ended]
        train = self._score(self.training)
        test = self._test() if self.run.final else train
        exploded = train.loss > EXPLODED * math.log(self.data.classes)
        numbers = numbers and math.isfinite(train.loss) and math.isfinite(test.loss)
        images = last["step"] * self.batch_size
        result = {
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "train_loss": train.loss,
            "train_accuracy": train.accuracy,
            "validation_loss": chosen["validation_loss"],
            "validation_accuracy": chosen["validation_accuracy"],
            "best_epoch": ended,
            "diverged": exploded or not numbers,
            "flops": float(images * self.flops_per_image),
            "seconds": self.seconds,
            "images_per_second": images / self.seconds if self.seconds else math.nan,
        }
        if self.run.final:
            result |= {
                "test_loss": test.loss,
                "test_accuracy": test.accuracy,
                "test_top5_accuracy": test.top5_accuracy,
                "test_correct": test.correct,
                "test_top5_correct": test.top5_correct,
            }
        return result


def _optimiser(model: nn.Module, learning_rate: float, arm: Arm) -> torch.optim.SGD:
    """Gradient descent with momentum; weight decay falls on weights alone."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": weights, "weight_decay": arm.recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=learning_rate, momentum=arm.recipe.momentum, fused=True)
