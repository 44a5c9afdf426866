"""Arms and runs: a fully stated network, recipe and training-set size, and one training of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from takeoff.study.model import Level, Study
from takeoff.study.settings import FACTORS, Network, Recipe, Settings


class Arm(Settings):
    """One fully stated network, recipe and training-set size: the unit of results."""

    name: str
    """Readable, and the folder of its results: `relu+batch+dropout0.5`."""
    network: Network
    recipe: Recipe
    train_samples: int | None = None
    """Images that the arm may see, validation included; None: every training image of the dataset."""

    @property
    def levels(self) -> dict[str, Any]:
        """The level of every setting that can be a factor."""
        settings = {**self.network.model_dump(), **self.recipe.model_dump()}
        return {factor: settings.get(factor, self.train_samples) for factor in FACTORS}


@dataclass(frozen=True)
class Run:
    """One training of one arm with one seed at one learning rate."""

    seed: int
    learning_rate: float
    final: bool = True
    """False for a run that only tunes: it never reads the test images."""


def make_arm(study: Study, levels: Mapping[str, Level], recipe: Mapping[str, Any] | None = None) -> Arm:
    """The arm of `study` with `levels` of its factors, and `recipe` where training differs too.

    Raises:
        ValueError: a factor or a level that does not exist (pydantic's own error, which names both).

    """
    network = {k: v for k, v in levels.items() if FACTORS[k] is Network}
    changed = {k: v for k, v in levels.items() if FACTORS[k] is Recipe} | dict(recipe or {})
    samples = levels.get("train_samples", study.dataset.train_samples)
    arm = Arm(
        name="unnamed",
        network=Network(**(study.network.model_dump() | network)),
        recipe=Recipe(**(study.recipe.model_dump() | changed)),
        train_samples=None if samples == "all" else int(samples),
    )
    return arm.model_copy(update={"name": arm_name(study, arm)})


def arm_name(study: Study, arm: Arm) -> str:
    """The arm's readable name: its activation, what it adds, and what differs from the study's settings."""
    network, recipe = arm.network, arm.recipe
    parts: list[str] = [network.activation]
    if network.norm != "none":
        parts.append(network.norm)
    if network.dropout:
        parts.append(f"dropout{_plain(network.dropout)}")
    for key in ("pooling", "initialisation"):
        if getattr(network, key) != getattr(study.network, key):
            parts.append(getattr(network, key))
    if network.width != study.network.width:
        parts.append(f"width{_plain(network.width)}")
    if recipe.augmentation != study.recipe.augmentation:
        parts.append("unaugmented" if recipe.augmentation == "none" else recipe.augmentation)
    for key, short in _RECIPE_WORDS.items():
        if getattr(recipe, key) != getattr(study.recipe, key):
            value = getattr(recipe, key)
            parts.append(f"{short}{value if isinstance(value, str) else _plain(value)}")
    if arm.train_samples not in {None, study.dataset.train_samples}:
        parts.append(f"n{arm.train_samples}")
    return "+".join(parts)


def _plain(number: float) -> str:
    """A number in full, without a needless `.0`: different settings must have different names."""
    return repr(number).removesuffix(".0")


_RECIPE_WORDS = {
    "epochs": "epochs",
    "batch_size": "batch",
    "momentum": "momentum",
    "weight_decay": "decay",
    "schedule": "",
    "warmup_epochs": "warmup",
}


def distinct(arms: Iterable[Arm]) -> list[Arm]:
    """Each arm once, in the order met: an arm that several experiments want is one arm."""
    return list({arm.name: arm for arm in arms}.values())
