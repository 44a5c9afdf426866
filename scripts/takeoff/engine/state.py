"""One run in training: its network, its momenta, its random streams, its scores, and what it leaves behind."""

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from takeoff.engine import architecture, augmentation
from takeoff.engine.augmentation import Batches
from takeoff.engine.dataset import Dataset
from takeoff.engine.descent import Descent
from takeoff.engine.evaluation import Score, evaluate
from takeoff.engine.hardware import Hardware
from takeoff.engine.network import SeededDropout, build, weighted_layers
from takeoff.engine.probes import probe
from takeoff.engine.schedule import learning_rate_at, steps_of
from takeoff.engine.streams import stream

if TYPE_CHECKING:
    from takeoff.study.arms import Arm, Run

EXPLODED = 10
"""A run whose training loss ends above this multiple of ln(classes), the loss of guessing, has diverged."""
PLAIN = ("epoch", "seconds", "history", "probe", "best")
"""What a checkpoint keeps of a run as it is."""


@dataclass(frozen=True)
class Epoch:
    """What one scored epoch of one run left behind; epoch 0 is before training."""

    run: "Run"
    values: dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """What a run ended with."""

    run: "Run"
    values: dict[str, Any]
    probe: list[dict[str, Any]] = field(default_factory=list)
    """Of a probed arm: a row per moment and layer."""


Record = Epoch | Finished


@dataclass(eq=False)
class Training:
    """One run: its network, its momenta, its streams, and how far it has come."""

    data: Dataset
    arm: "Arm"
    run: "Run"
    hardware: Hardware
    epoch: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    probe: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    """Of a recipe that keeps the best epoch: its number, and its weights."""

    def __post_init__(self) -> None:
        data, arm, seed, device = self.data, self.arm, self.run.seed, self.hardware.device
        parts = data.split(arm.train_samples, seed)
        self.training, self.validation = (torch.from_numpy(indices).to(device) for indices in parts)
        self.model = build(arm.network, *data.shape, seed, device)
        self.flops_per_image = architecture.training_flops(architecture.layers(arm.network, *data.shape))
        self.descent = Descent.of(self.model, arm.recipe)
        purposes = ("order", "crops", "colours")
        self.order, self.crops, self.colours = (stream(seed, purpose, device) for purpose in purposes)
        self.batch_size = min(arm.recipe.batch_size, len(self.training))
        self.steps_per_pass, self.steps_per_epoch = steps_of(arm.recipe, len(self.training))
        self.ahead = self.training[:0].reshape(0, self.batch_size)  # left of a pass
        self.drawn = [weights.clone() for weights in weighted_layers(self.model)] if arm.probed else []

    def begin(self) -> None:
        """Score the network before its first step, unless it goes on from a checkpoint."""
        if not self.history:
            self._remember(batch_loss=math.nan)
            self._probe("start")

    @property
    def learning(self) -> bool:
        """Whether there is an epoch to train: the weights are still numbers, and epochs are left."""
        return self.epoch < self.arm.recipe.epochs and self._finite()

    def batches(self) -> Batches:
        """The next epoch's batches, steps × images, with their crops, flips and colours: reshuffled wherever a pass
        over the training images ends. Epochs that are parts of a pass share its order; one of several passes, the last
        of them cut short, begins with a new one.
        """
        steps, images = self.steps_per_epoch, self.steps_per_pass * self.batch_size
        if steps >= self.steps_per_pass:
            self.ahead = self.ahead[:0]
        while len(self.ahead) < steps:
            order = torch.randperm(len(self.training), generator=self.order, device=self.hardware.device)
            batches = self.training[order[:images]].reshape(-1, self.batch_size)
            self.ahead = torch.cat([self.ahead, batches])
        chosen, self.ahead = self.ahead[:steps], self.ahead[steps:]
        shape = self.data.images.shape[1:]
        return augmentation.drawn(chosen, self.arm.recipe.augmentation, shape, self.crops, self.colours)

    def rates(self) -> list[float]:
        """The learning rate of each step of the next epoch."""
        first = self.epoch * self.steps_per_epoch
        return [self._rate(step) for step in range(first, first + self.steps_per_epoch)]

    def _rate(self, step: int) -> float:
        return learning_rate_at(step, self.steps_per_epoch, self.run.learning_rate, self.arm.recipe)

    def ended_epoch(self, batch_loss: float, seconds: float) -> bool:
        """Count an epoch, whose batches had this mean loss, and say whether it was scored: of a run whose end alone
        chooses a learning rate, only the last is.
        """
        self.seconds += seconds
        self.epoch += 1
        watched = self.run.final or self.arm.target is not None or self.arm.recipe.keep == "best"
        scored = watched or self.epoch == self.arm.recipe.epochs or not math.isfinite(batch_loss)
        if scored:
            self._remember(batch_loss)
        return scored

    def finished(self) -> Finished:
        """What the run ends with: of a recipe that keeps the best epoch, with that one's weights."""
        healthy = self._finite()
        if self.best:
            self.model.load_state_dict(self.best["weights"])
            healthy = True  # those weights are numbers, whatever became of later ones
        if healthy:
            self._probe("end")
        return Finished(self.run, self._result(healthy), self.probe)

    def state(self) -> dict[str, Any]:
        """Weights, momenta, streams and scores: all that the rest of the run depends on."""
        return {
            "model": self._weights(),
            "momenta": [momentum.clone() for momentum in self.descent.momenta],
            "streams": [generator.get_state() for generator in self.streams()],
            "ahead": self.ahead.clone(),
            **{name: getattr(self, name) for name in PLAIN},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.model.load_state_dict(state["model"])
        for momentum, kept in zip(self.descent.momenta, state["momenta"], strict=True):
            momentum.copy_(kept)
        for generator, kept in zip(self.streams(), state["streams"], strict=True):
            generator.set_state(kept)
        self.ahead = state["ahead"].to(self.training.device)
        for name in PLAIN:
            setattr(self, name, state[name])

    def masks(self) -> list[torch.Generator]:
        """The streams of the dropout masks, from the images to the logits."""
        return [m.generator for m in self.model if isinstance(m, SeededDropout)]

    def streams(self) -> list[torch.Generator]:
        """All that the run draws from."""
        return [self.order, self.crops, self.colours, *self.masks()]

    def _remember(self, batch_loss: float) -> None:
        """Add the epoch's scores to the history: on the validation images, and on as many training images."""
        train = self._score(self.training[: len(self.validation)])
        validation = self._score(self.validation)
        step = self.epoch * self.steps_per_epoch
        self.history.append(
            {
                "epoch": self.epoch,
                "step": step,
                "learning_rate": self._rate(max(0, step - 1)),
                "batch_loss": batch_loss,
                "train_loss": train.loss,
                "train_accuracy": train.accuracy,
                "validation_loss": validation.loss,
                "validation_accuracy": validation.accuracy,
                "seconds": self.seconds,
            }
        )
        better = validation.accuracy > self.best.get("accuracy", -1.0)
        if self.arm.recipe.keep == "best" and better and self._finite():
            self.best = {"accuracy": validation.accuracy, "epoch": self.epoch, "weights": self._weights()}

    def _weights(self) -> dict[str, Tensor]:
        """Copies: weights may be views of what several runs share, and would be saved with all of it."""
        return {key: value.clone() for key, value in self.model.state_dict().items()}

    def _probe(self, moment: str) -> None:
        """Measure every layer of a probed arm."""
        if self.arm.probed:
            rows = probe(self.model, self.data, self.training, self.drawn, trained=moment == "end")
            self.probe += [{"moment": moment} | row for row in rows]

    def _score(self, indices: Tensor | None) -> Score:
        """The score on the training images at `indices`; without these, on the test images.

        A network whose logits are no numbers does no better than guessing, whatever class comes first.
        """
        data = self.data
        images, labels = data.images, data.labels
        if indices is None:
            images, labels = data.test_images, data.test_labels
            indices = torch.arange(len(labels), device=self.hardware.device)
        score = evaluate(self.model, data, images, labels, indices, self.hardware)
        if math.isfinite(score.loss):
            return score
        first, five = 1 / data.classes, min(5, data.classes) / data.classes
        return replace(score, loss=math.nan, accuracy=first, top5_accuracy=five)

    def _finite(self) -> bool:
        """Whether the weights can still learn: the last scores are numbers."""
        last = self.history[-1]
        return math.isfinite(last["train_loss"]) and math.isfinite(last["validation_loss"])

    def _result(self, healthy: bool) -> dict[str, Any]:
        """The run's row: scores on all its training and validation images and, in a final run, on the test's."""
        last = self.history[-1]
        ended = self.best.get("epoch", self.epoch)
        chosen = self.history[ended] if self.best else last
        train = self._score(self.training)
        test = self._score(None) if self.run.final else train
        exploded = train.loss > EXPLODED * math.log(self.data.classes)
        numbers = healthy and math.isfinite(train.loss) and math.isfinite(test.loss)
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
            result |= {f"test_{name}": value for name, value in vars(test).items()}
        return result
