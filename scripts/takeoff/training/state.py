"""One run in training: its network, its momenta, its random streams, its scores, and how far it has come."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from takeoff.models import architecture
from takeoff.models.network import SeededDropout, build, weighted_layers
from takeoff.models.streams import stream
from takeoff.study.arms import Arm, Run
from takeoff.training.descent import Descent
from takeoff.training.evaluation import Score, evaluate
from takeoff.training.hardware import Hardware
from takeoff.training.outcomes import Finished
from takeoff.training.probes import probe
from takeoff.training.resident import Resident
from takeoff.training.schedule import learning_rate_at, steps_of

EXPLODED = 10
"""A run whose training loss ends above this multiple of ln(classes), the loss of guessing, has diverged."""


@dataclass(eq=False)
class Training:
    """One run: its network, its momenta, its streams, and how far it has come."""

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
        self.descent = Descent.of(self.model, arm.recipe)
        self.order = stream(seed, "order", device)
        self.crops = stream(seed, "crops", device)
        self.colours = stream(seed, "colours", device)
        self.batch_size = min(arm.recipe.batch_size, len(self.training))
        self.steps_per_pass, self.steps_per_epoch = steps_of(arm.recipe, len(self.training))
        self.ahead = self.training[:0].reshape(0, self.batch_size)  # of a pass that an epoch left unfinished
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

    def batches(self) -> Tensor:
        """The next epoch's batches, steps × images: positions among the dataset's training images, reshuffled
        wherever a pass over them ends. Epochs that are parts of a pass share its order; one of several passes, the last
        of them cut short, begins with a new one.
        """
        steps = self.steps_per_epoch
        if steps < self.steps_per_pass:
            if len(self.ahead) < steps:
                self.ahead = torch.cat([self.ahead, self._pass()])
            chosen, self.ahead = self.ahead[:steps], self.ahead[steps:]
            return chosen
        passes = math.ceil(steps / self.steps_per_pass)
        return torch.cat([self._pass() for _ in range(passes)])[:steps]

    def _pass(self) -> Tensor:
        """The batches of a pass, in a new order."""
        images = self.steps_per_pass * self.batch_size
        order = torch.randperm(len(self.training), generator=self.order, device=self.hardware.device)
        return self.training[order[:images]].reshape(-1, self.batch_size)

    def rates(self) -> list[float]:
        """The learning rate of each step of the next epoch."""
        first, per_epoch = self.epoch * self.steps_per_epoch, self.steps_per_epoch
        return [
            learning_rate_at(first + step, per_epoch, self.run.learning_rate, self.arm.recipe)
            for step in range(per_epoch)
        ]

    def ended_epoch(self, batch_loss: float, seconds: float) -> bool:
        """Count an epoch whose batches had this mean loss, and which took so long; whether it was scored.

        Nobody reads the scores on the way of a run whose end alone chooses a rate.
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
            # Copies: weights may be views of what several runs share, and would be saved with all of it.
            "model": {key: value.clone() for key, value in self.model.state_dict().items()},
            "momenta": [momentum.clone() for momentum in self.descent.momenta],
            "streams": [generator.get_state() for generator in self.streams()],
            "ahead": self.ahead.clone(),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "history": self.history,
            "probe": self.probe,
            "best": self.best,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.model.load_state_dict(state["model"])
        for momentum, kept in zip(self.descent.momenta, state["momenta"], strict=True):
            momentum.copy_(kept)
        for generator, kept in zip(self.streams(), state["streams"], strict=True):
            generator.set_state(kept)
        self.ahead = state["ahead"].to(self.training.device)
        self.epoch, self.seconds, self.history = state["epoch"], state["seconds"], state["history"]
        self.probe, self.best = state["probe"], state["best"]

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

        better = validation.accuracy > self.best.get("accuracy", -1.0)
        if self.arm.recipe.keep == "best" and better and self._finite():
            weights = {key: value.clone() for key, value in self.model.state_dict().items()}
            self.best = {"accuracy": validation.accuracy, "epoch": self.epoch, "weights": weights}

    def _probe(self, moment: str) -> None:
        """Look at every layer, of an arm for which that is asked."""
        if self.arm.probed:
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

    def _result(self, healthy: bool) -> dict[str, Any]:
        """The run's row: scores on all its training and validation images and, in a final run, on the test's."""
        last = self.history[-1]
        ended = self.best["epoch"] if self.best else self.epoch
        chosen = self.history[ended] if self.best else last
        train = self._score(self.training)
        test = self._test() if self.run.final else train
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
            result |= {
                "test_loss": test.loss,
                "test_accuracy": test.accuracy,
                "test_top5_accuracy": test.top5_accuracy,
                "test_correct": test.correct,
                "test_top5_correct": test.top5_correct,
            }
        return result
